-- Grain: an unmatched line whose reference an open movement bears in another currency.

with mismatches as (

    select * from {{ ref('int_currency_mismatches') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line'

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'currency_mismatch' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || open_items.item_id || ' and ledger transaction ' || mismatches.transaction_id
        || ' share reference ' || open_items.provider_reference || ', but '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || case
            when open_items.compared_currency = open_items.currency then ''
            else
                ', for which the customer paid '
                || {{ money('open_items.compared_minor', 'open_items.compared_currency', 'compared_currencies.exponent') }}
                || ','
        end
        || ' is not '
        || {{ money('mismatches.movement_minor', 'mismatches.movement_currency', 'movement_currencies.exponent') }}
            as explanation
    from mismatches
    inner join open_items
        on mismatches.line_id = open_items.item_id and mismatches.currency = open_items.currency
    left join currencies on open_items.currency = currencies.currency
    left join currencies as compared_currencies on open_items.compared_currency = compared_currencies.currency
    left join currencies as movement_currencies on mismatches.movement_currency = movement_currencies.currency

)

select * from final
