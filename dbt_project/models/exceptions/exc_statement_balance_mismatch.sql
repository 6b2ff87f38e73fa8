-- Grain: a statement whose opening and lines do not come to its closing: lines of it are missing or wrong.
{{ config(tags=['bank']) }}

with statements as (

    select * from {{ ref('bank_statement_chain') }}
    where mismatch_minor <> 0

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'statement_balance_mismatch' as exception_type,
        'statement' as subject_type,
        statements.statement_id as subject_id,
        cast(null as varchar) as provider_reference,
        statements.currency,
        statements.closing_minor as amount_minor,
        statements.mismatch_minor as difference_minor,
        cast(null as varchar) as match_id,
        'statement ' || statements.statement_id || ' closes with '
        || {{ money('statements.closing_minor', 'statements.currency', 'currencies.exponent') }}
        || ', and its opening and lines come to '
        || {{ money('statements.closing_minor - statements.mismatch_minor', 'statements.currency', 'currencies.exponent') }} as explanation
    from statements
    left join currencies on statements.currency = currencies.currency

)

select * from final
