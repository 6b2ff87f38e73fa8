-- A break that a model finds is an exception of this run, or one that an earlier run has opened: none is lost on the way
-- for want of a vocabulary row, an owner, a due date or a currency. Why an item is unmatched is published once: by the firm reason.
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

firm_reasons as (

    select
        earlier.subject_type,
        earlier.subject_id,
        earlier.currency,
        min(reasons.reason_order) as reason_order
    from {{ ref('int_earlier_exceptions') }} as earlier
    inner join {{ ref('int_unmatched_reasons') }} as reasons on earlier.exception_type = reasons.exception_type
    where earlier.status <> 'resolved' and reasons.is_firm_reason
    group by earlier.subject_type, earlier.subject_id, earlier.currency

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
    left join firm_reasons
        on
            reasons.reason_order > firm_reasons.reason_order
            and found.subject_type = firm_reasons.subject_type
            and found.subject_id = firm_reasons.subject_id
            and found.currency = firm_reasons.currency
    where published.subject_id is null and firm_reasons.subject_id is null

)

select * from lost
