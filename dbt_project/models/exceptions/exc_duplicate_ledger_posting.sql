-- Grain: a movement that repeats an amount already paired under the same reference: the ledger posted the same thing twice.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction' and disposition = 'duplicate'

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'duplicate_ledger_posting' as exception_type,
        'ledger_transaction' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        -open_items.amount_minor as difference_minor,
        cast(null as varchar) as match_id,
        'ledger transaction ' || open_items.item_id || ' repeats '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' of reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || ', which another transaction has already posted' as explanation
    from open_items
    left join currencies on open_items.currency = currencies.currency

)

select * from final
