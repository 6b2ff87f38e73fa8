-- Grain: a statement that repeats another under its own id: the same opening, lines and closing. Its lines are counted once.
{{ config(tags=['bank']) }}

with statements as (

    select * from {{ ref('bank_statements_seen') }}
    where duplicate_of is not null and statement_type = 'statement'

),

final as (

    select
        'duplicate_statement' as exception_type,
        'statement' as subject_type,
        statements.statement_id as subject_id,
        cast(null as varchar) as provider_reference,
        statements.currency,
        statements.closing_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'statement ' || statements.statement_id || ' says what statement ' || statements.duplicate_of
        || ' said: the same opening, lines and closing' as explanation
    from statements

)

select * from final
