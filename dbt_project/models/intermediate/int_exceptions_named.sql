-- Grain: a break that this run finds, with the exception that names it from now on: one that it opens, else the one that named it last.
{{ config(materialized='view') }}

with judged as (

    select * from {{ ref('int_exceptions_judged') }}

),

opened as (

    select * from {{ ref('int_exceptions_opened') }}
    where not is_undone

),

final as (

    select
        judged.exception_type,
        judged.subject_type,
        judged.subject_id,
        judged.currency,
        judged.match_id,
        judged.is_reason,
        coalesce(opened.exception_id, judged.last_exception_id) as exception_id
    from judged
    left join opened
        on
            judged.exception_type = opened.exception_type
            and judged.subject_type = opened.subject_type
            and judged.subject_id = opened.subject_id
            and judged.currency = opened.currency

)

select * from final
