-- Grain: a provider and currency. What was in transit before, and what was paid out since, less what the bank credited, kept as its fee
-- and took back, what was written off, and what matched payouts lack, which is the difference of an exception, is what is in transit
-- after: difference_minor is 0 or the run is not published.

with scope as (

    select * from {{ source('run', 'scope') }}

),

edition as (

    select * from {{ source('bank', 'edition') }}

),

known as (

    select
        name,
        currency,
        provider
    from {{ ref('bank_payouts_known') }}

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

-- What of a payout the run opens with, what it is now as an item, and whether an earlier run has seen it.
changes as (

    select
        item_id,
        currency,
        amount_minor as before_minor,
        cast(0 as bigint) as now_minor,
        amount_minor as opening_minor,
        1 as seen_before
    from {{ ref('int_earlier_open_items') }}
    where item_type = 'ledger_transaction'

    union all

    select
        transaction_id as item_id,
        currency,
        0 as before_minor,
        amount_minor as now_minor,
        0 as opening_minor,
        0 as seen_before
    from {{ ref('int_movements') }}

    union all

    -- What comes back from a match that is taken back, as it is now.
    select
        items.item_id,
        items.currency,
        earlier_legs.amount_minor as before_minor,
        items.amount_minor as now_minor,
        0 as opening_minor,
        1 as seen_before
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_earlier_legs') }} as earlier_legs
        on
            items.released_from_match_id = earlier_legs.match_id
            and items.item_id = earlier_legs.leg_id
            and earlier_legs.leg_type = 'ledger_transaction'
    where items.item_type = 'ledger_transaction'

),

of_payouts as (

    select
        item_id,
        currency,
        cast(sum(now_minor - before_minor) as bigint) as change_minor,
        cast(sum(opening_minor) as bigint) as opening_minor,
        max(seen_before) as seen_before
    from changes
    group by item_id, currency

),

amounts as (

    select
        of_payouts.item_id,
        of_payouts.currency,
        of_payouts.opening_minor,
        case
            when edition.edition < 2 or (payouts.returned_minor = 0 and not payouts.is_returned) then of_payouts.change_minor
            when of_payouts.seen_before = 0 then payouts.paid_out_minor
            else cast(0 as bigint)
        end as paid_out_minor,
        of_payouts.change_minor,
        cast(0 as bigint) as credited_minor,
        cast(0 as bigint) as fee_minor,
        cast(0 as bigint) as written_off_minor,
        cast(0 as bigint) as short_minor,
        cast(0 as bigint) as closing_minor
    from of_payouts
    cross join edition
    left join payouts on of_payouts.item_id = payouts.name and of_payouts.currency = payouts.currency

    union all

    select
        credits.name as item_id,
        credits.currency,
        0 as opening_minor,
        0 as paid_out_minor,
        0 as change_minor,
        credits.sign * case when edition.edition < 2 then credits.leg_minor else credits.credited_minor end as credited_minor,
        case when edition.edition < 2 then 0 else credits.sign * credits.fee_minor end as fee_minor,
        case when edition.edition < 2 then 0 else credits.sign * credits.given_up_minor end as written_off_minor,
        case when edition.edition < 2 then 0 else credits.sign * credits.short_minor end as short_minor,
        0 as closing_minor
    from {{ ref('bank_payout_credits') }} as credits
    cross join edition

    union all

    select
        item_id,
        currency,
        0 as opening_minor,
        0 as paid_out_minor,
        0 as change_minor,
        0 as credited_minor,
        0 as fee_minor,
        case when is_written_off then amount_minor else 0 end as written_off_minor,
        0 as short_minor,
        open_minor as closing_minor
    from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction'

),

sums as (

    select
        coalesce(known.provider, '') as payout_provider,
        amounts.currency,
        cast(sum(amounts.opening_minor) as bigint) as opening_minor,
        cast(sum(amounts.paid_out_minor) as bigint) as paid_out_minor,
        cast(sum(amounts.credited_minor) as bigint) as credited_minor,
        cast(sum(amounts.fee_minor) as bigint) as fee_minor,
        cast(sum(amounts.paid_out_minor - amounts.change_minor) as bigint) as returned_minor,
        cast(sum(amounts.written_off_minor) as bigint) as written_off_minor,
        cast(sum(amounts.short_minor) as bigint) as short_minor,
        cast(sum(amounts.closing_minor) as bigint) as closing_minor
    from amounts
    left join known on amounts.item_id = known.name and amounts.currency = known.currency
    group by coalesce(known.provider, ''), amounts.currency

),

final as (

    select
        scope.run_id,
        sums.payout_provider,
        sums.currency,
        sums.opening_minor,
        sums.paid_out_minor,
        sums.credited_minor,
        sums.written_off_minor,
        sums.closing_minor,
        sums.opening_minor + sums.paid_out_minor - sums.credited_minor - sums.fee_minor - sums.returned_minor
        - sums.written_off_minor - sums.short_minor - sums.closing_minor as difference_minor,
        sums.fee_minor,
        sums.returned_minor,
        sums.short_minor
    from sums
    cross join scope

)

select * from final
