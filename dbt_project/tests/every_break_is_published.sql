-- A break that a model finds is an exception of this run, or one that an earlier run has opened: none is lost on the way
-- for want of a vocabulary row, an owner, a due date or a currency. Why an item is unmatched is published once: by the unresolved reason.
{{ config(meta={'dagster': {'ref': {'name': 'exceptions'}}}) }}

with found as (

    select * from {{ ref('int_exceptions_found') }}

),

published as (

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

unresolved_reasons as (

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
    left join published
        on
            found.exception_type = published.exception_type
            and found.subject_type = published.subject_type
            and found.subject_id = published.subject_id
            and found.currency = published.currency
    left join {{ ref('int_unmatched_reasons') }} as reasons on found.exception_type = reasons.exception_type
    left join unresolved_reasons
        on
            reasons.rank > 3
            and found.subject_type = unresolved_reasons.subject_type
            and found.subject_id = unresolved_reasons.subject_id
            and found.currency = unresolved_reasons.currency
    where published.subject_id is null and unresolved_reasons.subject_id is null

)

select * from lost
