-- Grain: a payout that no line of its bank account answers after the lag, or that repeats one already credited. Before that it is in
-- transit, and no exception.
{{ config(tags=['bank']) }}

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction' and ((disposition in ('free', 'ambiguous') and is_overdue) or disposition = 'duplicate')

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'missing_bank_credit' as exception_type,
        'ledger_transaction' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'payout ' || open_items.item_id || coalesce(' for batch ' || nullif(payouts.batch_id, ''), '') || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' by ' || payouts.provider || ', paid out on ' || cast(payouts.paid_on as varchar)
        || case
            when open_items.disposition = 'duplicate' then ', repeats a payout that the bank has credited'
            else
                ', is not in the bank after ' || cast(open_items.age_business_days as varchar)
                || ' business days; it may take ' || cast(payouts.bank_lag_days as varchar)
        end as explanation
    from open_items
    inner join payouts on open_items.item_id = payouts.name and open_items.currency = payouts.currency
    left join currencies on open_items.currency = currencies.currency
)

select * from final
