-- A break that a model finds is an exception of this run, or one that an earlier run has opened: none is lost on the way
-- for want of a vocabulary row, an owner, a due date or a currency.
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

lost as (

    select found.*
    from found
    left join told
        on
            found.exception_type = told.exception_type
            and found.subject_type = told.subject_type
            and found.subject_id = told.subject_id
            and found.currency = told.currency
    where told.subject_id is null

)

select * from lost
