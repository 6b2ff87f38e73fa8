-- Grain: an exception this run opened, or one an earlier run opened and this run resolved as matched_late.
-- The id derives from tenant, provider, type, subject and occurrence, never from the run. Exceptions that stay open
-- unchanged are not repeated: readers take the newest published state of each.

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

-- What a decision matched in this run's books stays told; some of it the match settles.
found as (

    select
        *,
        false as is_settled
    from {{ ref('int_exceptions_found') }}

    union all

    select * from {{ ref('int_decided_breaks') }}

),

restatements as (

    select * from {{ ref('int_restatements') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

near_misses as (

    select * from {{ ref('int_near_misses') }}

),

earlier as (

    select * from {{ ref('int_earlier_exceptions') }}

),

outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where successes > 0

),

callback_states as (

    select * from {{ ref('int_callback_states') }}
    where callback_state = 'matched'

),

matches as (

    select * from {{ ref('int_matches') }}

),

-- Items of one side that a decision matched with each other: no counterpart has come, late or not.
one_sided as (

    select match_id
    from {{ ref('int_matches') }}
    where cardinality in ('none_to_many', 'many_to_none')

),

gone_back as (

    select * from {{ ref('int_money_gone_back') }}

),

payout_totals as (

    select * from {{ ref('int_payout_totals') }}
    where difference_minor = 0 and is_payout_line_right

),

-- An item is unmatched for one reason at a time.
reason_types as (

    select * from {{ ref('int_unmatched_reasons') }}

),

firm_reasons as (

    select distinct
        earlier.subject_type,
        earlier.subject_id,
        earlier.currency
    from earlier
    inner join reason_types on earlier.exception_type = reason_types.exception_type and reason_types.is_firm
    where earlier.status <> 'resolved'

),

last_occurrences as (

    select *
    from (
        select
            earlier.*,
            row_number() over (
                partition by exception_type, subject_type, subject_id, currency
                order by occurrence desc nulls last, exception_id asc nulls last
            ) as occurrence_rank
        from earlier
    ) as ranked
    where occurrence_rank = 1

),

-- A callback may speak for two matches; the break is told once, for the first.
one_a_subject as (

    select
        found.*,
        row_number() over (
            partition by found.exception_type, found.subject_type, found.subject_id, found.currency
            order by found.match_id asc nulls last, found.explanation asc nulls last
        ) as subject_rank
    from found

),

-- A break the system resolved and that is back opens anew; one a person has decided on, or that is open, stays as it is.
opening as (

    select
        one_a_subject.* exclude (subject_rank),
        coalesce(last_occurrences.occurrence, 0) + 1 as occurrence,
        last_occurrences.exception_id as previous_exception_id
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
            reason_types.exception_type is not null
            and one_a_subject.subject_type = firm_reasons.subject_type
            and one_a_subject.subject_id = firm_reasons.subject_id
            and one_a_subject.currency = firm_reasons.currency
    where
        one_a_subject.subject_rank = 1
        and firm_reasons.subject_id is null
        and (
            last_occurrences.exception_id is null
            or (last_occurrences.status = 'resolved' and last_occurrences.resolution = 'matched_late')
        )

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
        exception_types.severity,
        exception_types.is_blocking,
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

opened as (

    select
        'exc_' || left({{ sha256_hex(
            "scope.tenant_id || '|' || scope.provider || '|' || routed.exception_type || '|' || routed.subject_type || '|' || routed.currency || '|' || cast(routed.occurrence as varchar) || '|' || routed.subject_id"
        ) }}, 24) as exception_id,
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
        case when routed.is_settled then 'resolved' else 'open' end as status,
        due.due_at,
        scope.review_cutoff_at as opened_at,
        case
            when routed.is_settled and one_sided.match_id is not null then 'matched_manually'
            when routed.is_settled then 'matched_late'
        end as resolution,
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
        case when routed.is_settled then scope.run_id end as resolved_run_id
    from routed
    cross join scope
    inner join due on routed.sla_business_days = due.sla_business_days
    left join one_sided on routed.match_id = one_sided.match_id
    left join restatements
        on routed.subject_type = 'settlement_line' and routed.subject_id = restatements.line_id
    left join currencies on restatements.currency = currencies.currency
    left join near_misses
        on
            routed.subject_type = near_misses.item_type
            and routed.subject_id = near_misses.item_id
            and routed.currency = near_misses.currency
            and routed.exception_type in (
                'unmatched_provider_row', 'unmatched_ledger_entry', 'ambiguous_match', 'currency_mismatch',
                'duplicate_settlement_line', 'duplicate_ledger_posting'
            )

),

matched_subjects as (

    select
        item_type as subject_type,
        item_id as subject_id,
        currency,
        match_id
    from outcomes

    union all

    select
        'callback' as subject_type,
        provider_event_id as subject_id,
        currency,
        cast(null as varchar) as match_id
    from callback_states

),

resolved_originals as (

    select * from {{ ref('int_resolved_originals') }}

),

matched_movements as (

    select
        item_id,
        currency,
        match_id
    from outcomes
    where item_type = 'ledger_transaction'

    union

    select
        item_id,
        currency,
        match_id
    from earlier_items
    where item_type = 'ledger_transaction'

),

-- Only what a counterpart settles by itself: what a duplicate or a wrong currency was is a matter of judgement, match or not.
settled_late as (

    select
        earlier.exception_id,
        min(matched_subjects.match_id) as match_id
    from earlier
    inner join matched_subjects
        on
            earlier.subject_type = matched_subjects.subject_type
            and earlier.subject_id = matched_subjects.subject_id
            and earlier.currency = matched_subjects.currency
    where
        earlier.exception_type in (
            'unmatched_provider_row', 'unmatched_ledger_entry', 'ambiguous_match', 'orphan_callback'
        )
    group by earlier.exception_id

    union all

    -- The match may be another by now than the one that missed its callback: the movement tells.
    select
        earlier.exception_id,
        min(callback_state.match_id) as match_id
    from earlier
    inner join matched_movements
        on earlier.subject_id = matched_movements.item_id and earlier.currency = matched_movements.currency
    inner join callback_state on matched_movements.match_id = callback_state.match_id
    where earlier.exception_type = 'missing_callback'
    group by earlier.exception_id

    union all

    select
        exception_id,
        cast(null as varchar) as match_id
    from resolved_originals

    union all

    -- A later part made the difference disappear.
    select
        earlier.exception_id,
        min(matches.match_id) as match_id
    from earlier
    inner join outcomes
        on
            earlier.subject_type = outcomes.item_type
            and earlier.subject_id = outcomes.item_id
            and earlier.currency = outcomes.currency
    inner join matches on outcomes.match_id = matches.match_id and matches.difference_minor = 0
    where earlier.exception_type = 'amount_mismatch'
    group by earlier.exception_id

    union all

    -- What failed or was reversed has been settled and posted back since.
    select
        earlier.exception_id,
        min(gone_back.match_id) as match_id
    from earlier
    inner join matched_movements
        on earlier.subject_id = matched_movements.item_id and earlier.currency = matched_movements.currency
    inner join gone_back on matched_movements.match_id = gone_back.match_id
    where earlier.exception_type = 'status_conflict' and earlier.subject_type = 'ledger_transaction'
    group by earlier.exception_id

    union all

    -- The rows that were missing from a payout's total have come.
    select
        earlier.exception_id,
        cast(null as varchar) as match_id
    from earlier
    inner join payout_totals
        on earlier.subject_id = payout_totals.payout_line_id and earlier.currency = payout_totals.currency
    where earlier.exception_type = 'control_total_mismatch'

),

-- The item is still unmatched, and this run opens a better reason.
superseded as (

    select
        earlier.exception_id,
        min(opening.exception_type) as exception_type
    from earlier
    inner join reason_types on earlier.exception_type = reason_types.exception_type and not reason_types.is_firm
    inner join opening
        on
            earlier.subject_type = opening.subject_type
            and earlier.subject_id = opening.subject_id
            and earlier.currency = opening.currency
            and earlier.exception_type <> opening.exception_type
            and opening.match_id is null
    inner join reason_types as better on opening.exception_type = better.exception_type
    group by earlier.exception_id

),

ended as (

    select
        exception_id,
        match_id,
        'matched late' as how
    from settled_late

    union all

    select
        exception_id,
        cast(null as varchar) as match_id,
        'told as ' || exception_type || ' instead' as how
    from superseded

),

resolved as (

    select
        earlier.exception_id,
        earlier.run_id,
        earlier.exception_type,
        earlier.severity,
        earlier.subject_type,
        earlier.subject_id,
        earlier.provider_reference,
        earlier.currency,
        earlier.amount_minor,
        earlier.difference_minor,
        earlier.owner,
        earlier.lane,
        'resolved' as status,
        earlier.due_at,
        earlier.opened_at,
        case when one_sided.match_id is not null then 'matched_manually' else 'matched_late' end as resolution,
        earlier.explanation || '; '
        || case when one_sided.match_id is not null then 'matched by decision' else ended.how end
        || ' by run ' || scope.run_id || ' of window '
        || cast(scope.ledger_window as varchar) as explanation,
        earlier.candidates,
        earlier.occurrence,
        earlier.previous_exception_id,
        coalesce(ended.match_id, earlier.match_id) as match_id,
        earlier.is_blocking,
        earlier.settlement_file,
        earlier.ledger_window,
        scope.run_id as resolved_run_id
    from earlier
    inner join ended on earlier.exception_id = ended.exception_id
    left join one_sided on ended.match_id = one_sided.match_id
    cross join scope
    where earlier.status <> 'resolved'

),

final as (

    select * from opened
    union all
    select * from resolved

)

select * from final
