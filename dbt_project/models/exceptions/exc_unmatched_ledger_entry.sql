-- Grain: a movement still without a settlement line after the settlement lag. Before that it is in transit, no exception.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction' and disposition in ('free', 'ambiguous') and is_overdue

),

profile as (

    select * from {{ source('run', 'profile') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'unmatched_ledger_entry' as exception_type,
        'ledger_transaction' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'ledger transaction ' || open_items.item_id || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || ') is unsettled after ' || cast(open_items.age_business_days as varchar)
        || ' business days; the provider may take ' || cast(profile.settlement_lag_days as varchar) as explanation
    from open_items
    cross join profile
    left join currencies on open_items.currency = currencies.currency

)

select * from final
