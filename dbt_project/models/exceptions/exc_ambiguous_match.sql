-- Grain: an unmatched line with several equal candidates. Nothing breaks the tie by luck.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'ambiguous'

),

currency_mismatches as (

    select * from {{ ref('int_currency_mismatches') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'ambiguous_match' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || open_items.item_id || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || ') has several counterparts that nothing tells apart' as explanation
    from open_items
    left join currency_mismatches
        on open_items.item_id = currency_mismatches.line_id and open_items.currency = currency_mismatches.currency
    left join currencies on open_items.currency = currencies.currency
    where currency_mismatches.line_id is null

)

select * from final
