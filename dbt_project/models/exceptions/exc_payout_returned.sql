-- Grain: a payout that the bank took back by a line of its own, or that its provider reports failed or returned, until one that
-- was sent in its place is credited.
{{ config(tags=['bank']) }}

with payouts as (

    select * from {{ ref('bank_payouts') }}

),

credited as (

    select payouts.retries_payout_id
    from payouts
    inner join {{ ref('bank_credited_payouts') }} as credits
        on payouts.name = credits.name and payouts.currency = credits.currency
    where payouts.retries_payout_id <> ''

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'payout_returned' as exception_type,
        'ledger_transaction' as subject_type,
        payouts.name as subject_id,
        payouts.reference as provider_reference,
        payouts.currency,
        case when payouts.is_returned then payouts.paid_out_minor else payouts.returned_minor end as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'payout ' || payouts.name || coalesce(' for batch ' || nullif(payouts.batch_id, ''), '') || ' of '
        || {{ money('payouts.paid_out_minor', 'payouts.currency', 'currencies.exponent') }} || ' '
        || case
            when payouts.is_returned and payouts.returned_minor <> 0
                then 'is ' || payouts.status || ' by ' || payouts.provider || ', and the bank took it back'
            when payouts.is_returned then 'is ' || payouts.status || ' by ' || payouts.provider
            else
                'was taken back by the bank: '
                || {{ money('payouts.returned_minor', 'payouts.currency', 'currencies.exponent') }}
        end as explanation
    from payouts
    left join credited on payouts.payout_id = credited.retries_payout_id
    left join currencies on payouts.currency = currencies.currency
    where (payouts.is_returned or payouts.returned_minor <> 0) and credited.retries_payout_id is null

)

select * from final
