-- Grain: an exception that this run opens: a break that no exception names, or one that was resolved and is back.
-- Of lane, owner and deadline each comes from the first routing rule that sets it, else from its type.
-- `is_undone` marks what a decision in this run was about and no longer matches: it stays as it was decided, before what is open again.

with scope as (

    select * from {{ source('run', 'scope') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

routing as (

    select * from {{ source('run', 'routing') }}

),

exception_types as (

    select * from {{ ref('exception_types') }}

),

judged as (

    select * from {{ ref('int_exceptions_judged') }}

),

last_occurrences as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence

),

earlier as (

    select * from {{ ref('int_earlier_exceptions') }}

),

-- What a decision in this run was about and no longer matches; counts earlier exceptions of this type.
undone as (

    select
        *,
        row_number() over (
            partition by exception_type, subject_type, subject_id, currency
            order by exception_id asc nulls last
        ) as undone_rank
    from {{ ref('int_decided_breaks') }}
    where is_undone

),

undone_before as (

    select
        exception_type,
        subject_type,
        subject_id,
        currency,
        cast(count(*) as bigint) as exceptions
    from undone
    group by exception_type, subject_type, subject_id, currency

),

restatements as (

    select * from {{ ref('int_restatements') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

-- What a person resolved stays as it was resolved.
decided as (

    select exception_id
    from {{ source('run', 'exception_states') }}
    where is_own and status = 'resolved'

),

near_misses as (

    select * from {{ ref('int_near_misses') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

-- Items of one side that a decision matched with each other: no counterpart has come, late or not.
one_sided as (

    select match_id
    from {{ ref('int_matches') }}
    where cardinality in ('none_to_many', 'many_to_none')

),

-- An item that is written off, for an exception of an earlier run or for one that this run itself has opened.
written_off as (

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        open_items.exception_id,
        earlier.exception_id is null as is_of_this_run
    from open_items
    left join earlier on open_items.exception_id = earlier.exception_id
    where open_items.is_written_off

),

-- What the system resolved and is back opens again, and so does what operators decided about other money, or wrote off or matched
-- though it is open; what they decided about just this, or that is open, stays as it is.
opening_now as (

    select
        judged.*,
        judged.last_occurrence + coalesce(undone_before.exceptions, 0) + 1 as occurrence,
        false as is_undone
    from judged
    left join undone_before
        on
            judged.exception_type = undone_before.exception_type
            and judged.subject_type = undone_before.subject_type
            and judged.subject_id = undone_before.subject_id
            and judged.currency = undone_before.currency
    left join written_off
        on
            judged.subject_type = written_off.item_type
            and judged.subject_id = written_off.item_id
            and judged.currency = written_off.currency
            and not (judged.is_reason and written_off.is_of_this_run)
    where
        judged.last_exception_id is null
        or (
            judged.last_status = 'resolved'
            and (
                judged.last_resolution in ('matched_late', 'superseded')
                or (judged.is_reason and judged.last_resolution in ('matched_manually', 'written_off') and written_off.item_id is null)
                or (judged.is_other_amount and written_off.item_id is null)
            )
        )

),

-- What was decided about and is undone stays, before what is open again.
opening as (

    select
        exception_type,
        subject_type,
        subject_id,
        provider_reference,
        currency,
        amount_minor,
        difference_minor,
        match_id,
        explanation,
        is_settled,
        is_undone,
        last_occurrence,
        last_exception_id,
        occurrence
    from opening_now

    union all

    select
        undone.exception_type,
        undone.subject_type,
        undone.subject_id,
        undone.provider_reference,
        undone.currency,
        undone.amount_minor,
        undone.difference_minor,
        undone.match_id,
        undone.explanation,
        undone.is_settled,
        undone.is_undone,
        coalesce(last_occurrences.occurrence, 0) as last_occurrence,
        last_occurrences.exception_id as last_exception_id,
        coalesce(last_occurrences.occurrence, 0) + undone.undone_rank as occurrence
    from undone
    left join last_occurrences
        on
            undone.exception_type = last_occurrences.exception_type
            and undone.subject_type = last_occurrences.subject_type
            and undone.subject_id = last_occurrences.subject_id
            and undone.currency = last_occurrences.currency

),

-- Of lane, owner and deadline each comes from the first matching rule that sets it.
ruled as (

    select
        opening.exception_type,
        opening.subject_type,
        opening.subject_id,
        opening.currency,
        {{ first_by('routing.lane', 'routing.rule_number') }} filter (where routing.lane is not null) as lane,
        {{ first_by('routing.owner', 'routing.rule_number') }} filter (where routing.owner is not null) as owner,
        {{ first_by('routing.sla_business_days', 'routing.rule_number') }}
        filter (where routing.sla_business_days is not null) as sla_business_days
    from opening
    cross join scope
    inner join routing
        on
            coalesce(routing.exception_type, opening.exception_type) = opening.exception_type
            and coalesce(routing.provider, scope.provider) = scope.provider
            and coalesce(routing.currency, opening.currency) = opening.currency
            and coalesce(routing.min_amount_minor, abs(opening.amount_minor)) <= abs(opening.amount_minor)
            and coalesce(routing.max_amount_minor, abs(opening.amount_minor)) >= abs(opening.amount_minor)
    group by opening.exception_type, opening.subject_type, opening.subject_id, opening.currency

),

routed as (

    select
        opening.*,
        {{ exception_id('opening', 'opening.occurrence') }} as exception_id,
        case
            when opening.occurrence > opening.last_occurrence + 1
                then {{ exception_id('opening', 'opening.occurrence - 1') }}
            else opening.last_exception_id
        end as previous_exception_id,
        exception_types.severity,
        exception_types.is_blocking,
        exception_types.has_candidates,
        coalesce(ruled.lane, exception_types.lane) as lane,
        coalesce(ruled.owner, scope.owner) as owner,
        coalesce(ruled.sla_business_days, exception_types.sla_business_days) as sla_business_days
    from opening
    cross join scope
    inner join exception_types on opening.exception_type = exception_types.exception_type
    left join ruled
        on
            opening.exception_type = ruled.exception_type
            and opening.subject_type = ruled.subject_type
            and opening.subject_id = ruled.subject_id
            and opening.currency = ruled.currency

),

-- What ends with this run: with a match by decision, or with a callback that an earlier revision of the run missed.
ended as (

    select
        routed.exception_id,
        one_sided.match_id is not null as is_one_sided
    from routed
    left join one_sided on routed.match_id = one_sided.match_id
    left join decided on routed.exception_type = 'missing_callback' and routed.exception_id = decided.exception_id
    where routed.is_settled and decided.exception_id is null

),

due as (

    select
        routed.sla_business_days,
        min(due_windows.ends_at) as due_at
    from (select distinct sla_business_days from routed) as routed
    cross join scope
    inner join windows as scope_window on scope.ledger_window = scope_window.window_date
    inner join windows as due_windows
        on due_windows.business_day_number >= scope_window.business_day_number + routed.sla_business_days
    group by routed.sla_business_days

),

final as (

    select
        routed.exception_id,
        scope.run_id,
        routed.exception_type,
        routed.severity,
        routed.subject_type,
        routed.subject_id,
        routed.provider_reference,
        routed.currency,
        routed.amount_minor,
        routed.difference_minor,
        routed.owner,
        routed.lane,
        case when ended.exception_id is null then 'open' else 'resolved' end as status,
        due.due_at,
        scope.review_cutoff_at as opened_at,
        case
            when ended.is_one_sided then 'matched_manually'
            when ended.exception_id is not null then 'matched_late'
        end as resolution,
        cast(null as varchar) as superseded_by,
        routed.explanation
        || case
            when routed.previous_exception_id is not null then '; it was resolved before as ' || routed.previous_exception_id
            else ''
        end
        || case
            when restatements.change_type = 'added' then '; the line was added by a restated file'
            when restatements.gross_before_minor <> restatements.gross_after_minor
                then
                    '; the file was restated: gross was '
                    || {{ money('restatements.gross_before_minor', 'restatements.currency', 'currencies.exponent') }}
            when restatements.change_type = 'changed' then '; the line was changed by a restated file'
            else ''
        end as explanation,
        coalesce(near_misses.candidates, '[]') as candidates,
        cast(routed.occurrence as bigint) as occurrence,
        routed.previous_exception_id,
        routed.match_id,
        routed.is_blocking,
        scope.settlement_file,
        scope.ledger_window,
        case when ended.exception_id is not null then scope.run_id end as resolved_run_id,
        routed.is_undone
    from routed
    cross join scope
    inner join due on routed.sla_business_days = due.sla_business_days
    left join ended on routed.exception_id = ended.exception_id
    left join restatements
        on routed.subject_type = 'settlement_line' and routed.subject_id = restatements.line_id
    left join currencies on restatements.currency = currencies.currency
    left join near_misses
        on
            routed.subject_type = near_misses.item_type
            and routed.subject_id = near_misses.item_id
            and routed.currency = near_misses.currency
            and routed.has_candidates

)

select * from final
