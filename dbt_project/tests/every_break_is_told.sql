-- A break that a model finds is an exception of this run, or one that an earlier run has opened: none is lost on the way
-- for want of a vocabulary row, an owner, a due date or a currency. Why an item is unmatched is told once: by the reason that stands.
{{ config(meta={'dagster': {'ref': {'name': 'exceptions'}}}) }}

with found as (

    select * from {{ ref('int_exceptions_found') }}

),

told as (

    select
        exception_type,
        subject_type,
        subject_id,
        currency
    from {{ ref('exceptions') }}

    union

    select
        exception_type,
        subject_type,
        subject_id,
        currency
    from {{ ref('int_earlier_exceptions') }}

),

standing_reasons as (

    select distinct
        earlier.subject_type,
        earlier.subject_id,
        earlier.currency
    from {{ ref('int_earlier_exceptions') }} as earlier
    inner join {{ ref('int_unmatched_reasons') }} as reasons on earlier.exception_type = reasons.exception_type
    where earlier.status <> 'resolved' and reasons.is_terminal_reason

),

lost as (

    select found.*
    from found
    left join told
        on
            found.exception_type = told.exception_type
            and found.subject_type = told.subject_type
            and found.subject_id = told.subject_id
            and found.currency = told.currency
    left join {{ ref('int_unmatched_reasons') }} as reasons on found.exception_type = reasons.exception_type
    left join standing_reasons
        on
            reasons.rank > 3
            and found.subject_type = standing_reasons.subject_type
            and found.subject_id = standing_reasons.subject_id
            and found.currency = standing_reasons.currency
    where told.subject_id is null and standing_reasons.subject_id is null

)

select * from lost
