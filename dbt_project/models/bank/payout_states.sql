-- Grain: a payout that the run of its account judges: open, credited or returned in it. `status`: expected (before its first day),
-- in_transit, overdue (after the lag), credited, partially_credited, returned, failed. `credited_minor` is what its match credited,
-- fees left out; of several payouts in one match each has its own amount, and what is short is with the last of them.

with scope as (

    select * from {{ source('run', 'scope') }}

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction'

),

legs as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

matches as (

    select * from {{ ref('int_matches') }}

),

fees as (

    select * from {{ ref('bank_match_fees') }}

),

credited_on as (

    select
        match_id,
        max(cast(sort_at as date)) as credited_on
    from legs
    where item_type = 'settlement_line'
    group by match_id

),

matched as (

    select
        legs.item_id,
        legs.currency,
        legs.match_id,
        legs.leg_minor,
        matches.difference_minor + coalesce(fees.fee_minor, 0) as short_minor,
        coalesce(fees.fee_minor, cast(0 as bigint)) as fee_minor,
        credited_on.credited_on,
        row_number() over (
            partition by legs.match_id
            order by legs.sort_at desc nulls last, legs.item_id desc nulls last
        ) as place
    from legs
    inner join matches on legs.match_id = matches.match_id
    left join fees on legs.match_id = fees.match_id
    left join credited_on on legs.match_id = credited_on.match_id
    where legs.item_type = 'ledger_transaction'

),

final as (

    select
        scope.run_id,
        payouts.provider as payout_provider,
        payouts.payout_id,
        payouts.name as transaction_id,
        payouts.batch_id,
        payouts.currency,
        payouts.paid_out_minor,
        payouts.returned_minor,
        case
            when matched.item_id is null then cast(0 as bigint)
            when matched.place = 1 then matched.leg_minor + matched.short_minor
            else matched.leg_minor
        end as credited_minor,
        case when matched.place = 1 then matched.fee_minor else cast(0 as bigint) end as fee_minor,
        payouts.paid_on,
        payouts.expected_from,
        payouts.expected_to,
        matched.credited_on,
        matched.match_id,
        case
            when payouts.is_returned then payouts.status
            when payouts.returned_minor <> 0 then 'returned'
            when matched.item_id is not null and matched.place = 1 and matched.short_minor < 0 then 'partially_credited'
            when matched.item_id is not null then 'credited'
            when open_items.is_overdue then 'overdue'
            when scope.ledger_window < coalesce(payouts.expected_from, payouts.paid_on) then 'expected'
            else 'in_transit'
        end as status,
        nullif(payouts.trace_id, '') as trace_id,
        nullif(payouts.statement_text, '') as statement_text,
        nullif(payouts.retries_payout_id, '') as retries_payout_id,
        payouts.run_id as reported_run_id,
        payouts.run_revision as reported_revision
    from payouts
    cross join scope
    left join open_items on payouts.name = open_items.item_id and payouts.currency = open_items.currency
    left join matched on payouts.name = matched.item_id and payouts.currency = matched.currency
    where open_items.item_id is not null or matched.item_id is not null or payouts.is_returned

)

select * from final
