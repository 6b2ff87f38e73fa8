-- Grain: a statement whose opening and lines do not come to its closing: lines of it are missing or wrong. Or one that goes on from the
-- statement before it, so that all of its lines are new, and has lines under ids of that one or an earlier one: they count once.
{{ config(tags=['bank']) }}

with statements as (

    select * from {{ ref('bank_statement_chain') }}
    where mismatch_minor <> 0

),

currencies as (

    select * from {{ ref('currencies') }}

),

counted_once as (

    select * from {{ ref('bank_repeated_lines') }}

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

    union all

    select
        'statement_balance_mismatch' as exception_type,
        'statement' as subject_type,
        counted_once.statement_id as subject_id,
        cast(null as varchar) as provider_reference,
        counted_once.currency,
        counted_once.closing_minor as amount_minor,
        counted_once.amount_minor as difference_minor,
        cast(null as varchar) as match_id,
        'statement ' || counted_once.statement_id || ' goes on from the statement before it, and '
        || cast(counted_once.lines as varchar) || ' of its lines have the ids of lines before: '
        || {{ money('counted_once.amount_minor', 'counted_once.currency', 'currencies.exponent') }}
        || ' of it counts once where the balances have it twice' as explanation
    from counted_once
    left join currencies on counted_once.currency = currencies.currency

)

select * from final
