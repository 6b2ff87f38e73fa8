-- Grain: a break that this run finds, or whose item a decision in it matched, once a subject, with the exception that named it last.
-- An item is unmatched for one reason at a time: a reason gives way to an unresolved firm one that comes before it. What a decision
-- matched remains an exception, and so does a callback that an earlier revision of the run missed and that has come since; `is_settled`
-- marks what the match or the callback settles.
-- `is_other_amount`: the exception that named it last says another amount.

with found as (

    select
        *,
        false as is_settled
    from {{ ref('int_exceptions_found') }}

    union all

    select * exclude (is_undone, exception_id)
    from {{ ref('int_decided_breaks') }}
    where not is_undone

    union all

    select
        *,
        true as is_settled
    from {{ ref('int_callbacks_come_since') }}

),

last_occurrences as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence

),

unresolved as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence and status <> 'resolved'

),

reason_types as (

    select * from {{ ref('int_unmatched_reasons') }}

),

-- A wrong currency stays the reason though its movement finds another line.
firm_reasons as (

    select
        unresolved.subject_type,
        unresolved.subject_id,
        unresolved.currency,
        min(reason_types.reason_order) as reason_order
    from unresolved
    inner join reason_types on unresolved.exception_type = reason_types.exception_type and reason_types.is_firm_reason
    group by unresolved.subject_type, unresolved.subject_id, unresolved.currency

),

-- A callback may speak for two matches; the break is published once, for the first.
one_a_subject as (

    select
        found.*,
        row_number() over (
            partition by found.exception_type, found.subject_type, found.subject_id, found.currency
            order by found.match_id asc nulls last, found.explanation asc nulls last
        ) as subject_rank
    from found

),

final as (

    select
        one_a_subject.* exclude (subject_rank),
        reason_types.exception_type is not null and one_a_subject.match_id is null as is_reason,
        coalesce(last_occurrences.occurrence, 0) as last_occurrence,
        last_occurrences.exception_id as last_exception_id,
        last_occurrences.status as last_status,
        last_occurrences.resolution as last_resolution,
        coalesce(cast(one_a_subject.amount_minor as varchar), '') <> coalesce(cast(last_occurrences.amount_minor as varchar), '')
        or coalesce(cast(one_a_subject.difference_minor as varchar), '')
        <> coalesce(cast(last_occurrences.difference_minor as varchar), '') as is_other_amount
    from one_a_subject
    left join last_occurrences
        on
            one_a_subject.exception_type = last_occurrences.exception_type
            and one_a_subject.subject_type = last_occurrences.subject_type
            and one_a_subject.subject_id = last_occurrences.subject_id
            and one_a_subject.currency = last_occurrences.currency
    left join reason_types on one_a_subject.exception_type = reason_types.exception_type
    left join firm_reasons
        on
            reason_types.reason_order > firm_reasons.reason_order
            and one_a_subject.subject_type = firm_reasons.subject_type
            and one_a_subject.subject_id = firm_reasons.subject_id
            and one_a_subject.currency = firm_reasons.currency
    where one_a_subject.subject_rank = 1 and firm_reasons.subject_id is null

)

select * from final
