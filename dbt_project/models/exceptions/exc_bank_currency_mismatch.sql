-- Grain: an unmatched line that names an open payout in another currency, without the bank stating what was instructed in it.
{{ config(tags=['bank']) }}

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
        'bank_currency_mismatch' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'bank line ' || open_items.item_id || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' names payout ' || mismatches.transaction_id || ' of '
        || {{ money('mismatches.movement_minor', 'mismatches.movement_currency', 'payout_currencies.exponent') }}
        || case
            when open_items.compared_currency = open_items.currency then ', and the bank states no instructed amount'
            else
                ', and the bank states '
                || {{ money('open_items.compared_minor', 'open_items.compared_currency', 'compared_currencies.exponent') }}
        end as explanation
    from mismatches
    inner join open_items on mismatches.line_id = open_items.item_id and mismatches.currency = open_items.currency
    left join currencies on open_items.currency = currencies.currency
    left join currencies as compared_currencies on open_items.compared_currency = compared_currencies.currency
    left join currencies as payout_currencies on mismatches.movement_currency = payout_currencies.currency

)

select * from final
