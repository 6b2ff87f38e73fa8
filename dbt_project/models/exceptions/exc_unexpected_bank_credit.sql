-- Grain: a line that a provider's pattern names, or that could be a payout by its amount, and that no payout answers.
{{ config(tags=['bank']) }}

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'free'

),

lines as (

    select
        line_id,
        currency,
        max(text) as text
    from {{ ref('bank_line_rows') }}
    group by line_id, currency

),

currency_mismatches as (

    select * from {{ ref('int_currency_mismatches') }}

),

names as (

    select
        line_id,
        currency,
        {{ ordered_text_agg('provider', ' or ', 'provider asc nulls last') }} as providers
    from (
        select distinct
            line_id,
            currency,
            provider
        from {{ ref('bank_line_names') }}
    ) as names_of_lines
    group by line_id, currency

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'unexpected_bank_credit' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'bank line ' || open_items.item_id || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' (' || coalesce(nullif(trim(lines.text), ''), 'no text') || ') looks like a payout'
        || coalesce(' of ' || nullif(names.providers, ''), '') || ', and no payout answers it' as explanation
    from open_items
    left join lines on open_items.item_id = lines.line_id and open_items.currency = lines.currency
    left join names on open_items.item_id = names.line_id and open_items.currency = names.currency
    left join currency_mismatches
        on open_items.item_id = currency_mismatches.line_id and open_items.currency = currency_mismatches.currency
    left join currencies on open_items.currency = currencies.currency
    where currency_mismatches.line_id is null

)

select * from final
