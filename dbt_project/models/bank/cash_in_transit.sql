-- Grain: a provider and currency. What was in transit before, and what was paid out since, less what the bank credited and what was
-- written off, is what is in transit after: difference_minor is 0 or the run is not published.

with scope as (

    select * from {{ source('run', 'scope') }}

),

payouts as (

    select
        name,
        currency,
        provider
    from {{ ref('bank_payouts_known') }}

),

amounts as (

    select
        item_id,
        currency,
        amount_minor as opening_minor,
        -amount_minor as paid_out_minor,
        cast(0 as bigint) as credited_minor,
        cast(0 as bigint) as written_off_minor,
        cast(0 as bigint) as closing_minor
    from {{ ref('int_earlier_open_items') }}
    where item_type = 'ledger_transaction'

    union all

    select
        transaction_id as item_id,
        currency,
        0 as opening_minor,
        amount_minor as paid_out_minor,
        0 as credited_minor,
        0 as written_off_minor,
        0 as closing_minor
    from {{ ref('int_movements') }}

    union all

    -- What comes back from a match that is taken back, as it is now.
    select
        items.item_id,
        items.currency,
        0 as opening_minor,
        items.amount_minor - earlier_legs.amount_minor as paid_out_minor,
        -earlier_legs.amount_minor as credited_minor,
        0 as written_off_minor,
        0 as closing_minor
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_earlier_legs') }} as earlier_legs
        on
            items.released_from_match_id = earlier_legs.match_id
            and items.item_id = earlier_legs.leg_id
            and earlier_legs.leg_type = 'ledger_transaction'
    where items.item_type = 'ledger_transaction'

    union all

    select
        item_id,
        currency,
        0 as opening_minor,
        0 as paid_out_minor,
        leg_minor as credited_minor,
        0 as written_off_minor,
        0 as closing_minor
    from {{ ref('int_item_outcomes') }}
    where item_type = 'ledger_transaction' and disposition = 'matched'

    union all

    select
        item_id,
        currency,
        0 as opening_minor,
        0 as paid_out_minor,
        0 as credited_minor,
        case when is_written_off then amount_minor else 0 end as written_off_minor,
        open_minor as closing_minor
    from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction'

),

sums as (

    select
        coalesce(payouts.provider, '') as payout_provider,
        amounts.currency,
        cast(sum(amounts.opening_minor) as bigint) as opening_minor,
        cast(sum(amounts.paid_out_minor) as bigint) as paid_out_minor,
        cast(sum(amounts.credited_minor) as bigint) as credited_minor,
        cast(sum(amounts.written_off_minor) as bigint) as written_off_minor,
        cast(sum(amounts.closing_minor) as bigint) as closing_minor
    from amounts
    left join payouts on amounts.item_id = payouts.name and amounts.currency = payouts.currency
    group by coalesce(payouts.provider, ''), amounts.currency

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
        sums.opening_minor + sums.paid_out_minor - sums.credited_minor - sums.written_off_minor - sums.closing_minor
            as difference_minor
    from sums
    cross join scope

)

select * from final
