-- Grain: a statement that does not open with what the one before it closed with: one is missing, or one is wrong.
{{ config(tags=['bank']) }}

with statements as (

    select * from {{ ref('bank_statement_chain') }}
    where gap_minor <> 0

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'statement_gap' as exception_type,
        'statement' as subject_type,
        statements.statement_id as subject_id,
        cast(null as varchar) as provider_reference,
        statements.currency,
        statements.opening_minor as amount_minor,
        statements.gap_minor as difference_minor,
        cast(null as varchar) as match_id,
        'statement ' || statements.statement_id || ' opens with '
        || {{ money('statements.opening_minor', 'statements.currency', 'currencies.exponent') }}
        || ', and the one before it, ' || statements.previous_statement_id || ', closed with '
        || {{ money('statements.opening_minor - statements.gap_minor', 'statements.currency', 'currencies.exponent') }}
        || ': a statement is missing between them, or one is wrong' as explanation
    from statements
    left join currencies on statements.currency = currencies.currency

)

select * from final
