-- Grain: a line that repeats an amount already paired under the same reference: the provider settled the same thing twice.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'duplicate'

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'duplicate_settlement_line' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        open_items.amount_minor as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || open_items.item_id || ' repeats '
        || case
            when open_items.compared_currency <> open_items.currency
                then {{ money('open_items.compared_minor', 'open_items.compared_currency', 'compared_currencies.exponent') }}
            else {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        end
        || ' of reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || ', which another line has already settled' as explanation
    from open_items
    left join currencies on open_items.currency = currencies.currency
    left join currencies as compared_currencies on open_items.compared_currency = compared_currencies.currency

)

select * from final
