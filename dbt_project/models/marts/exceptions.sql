-- Grain: an exception this run opened, or one an earlier run opened and this run changes: to the amounts that hold now, or to
-- resolved, as matched_late where what it waited for has come, as superseded where its reason is another by now or its match is
-- gone. The id derives from tenant, provider, type, subject and occurrence, never from the run. Exceptions that stay open
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

-- What a decision matched in this run remains an exception; some of it the match settles.
found as (

    select
        *,
        false as is_settled
    from {{ ref('int_exceptions_found') }}

    union all

    select * exclude (is_undone, exception_id)
    from {{ ref('int_decided_breaks') }}
    where not is_undone

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

open_items as (

    select * from {{ ref('int_open_items') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

original_claims as (

    select * from {{ ref('int_original_claims') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

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

unresolved as (

    select * from last_occurrences
    where status <> 'resolved'

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

-- What this run finds, each with the exception that named it last. A reason gives way to an unresolved firm one that comes before it.
judged as (

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

all_opened as (

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
        case when routed.is_settled then 'resolved' else 'open' end as status,
        due.due_at,
        scope.review_cutoff_at as opened_at,
        case
            when routed.is_settled and one_sided.match_id is not null then 'matched_manually'
            when routed.is_settled then 'matched_late'
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
        case when routed.is_settled then scope.run_id end as resolved_run_id,
        routed.is_undone
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

opened as (

    select * exclude (is_undone)
    from all_opened
    where not is_undone

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

-- What was found, with the exception that names it from now on.
found_ids as (

    select
        judged.exception_type,
        judged.subject_type,
        judged.subject_id,
        judged.currency,
        judged.match_id,
        judged.is_reason,
        judged.last_exception_id,
        judged.last_status,
        coalesce(opened.exception_id, judged.last_exception_id) as exception_id
    from judged
    left join opened
        on
            judged.exception_type = opened.exception_type
            and judged.subject_type = opened.subject_type
            and judged.subject_id = opened.subject_id
            and judged.currency = opened.currency

),

-- A match of this run with its items, and what of it is an amount_mismatch.
made_items as (

    select
        outcomes.match_id,
        outcomes.item_type,
        outcomes.item_id,
        outcomes.currency,
        outcomes.leg_currency
    from outcomes

),

mismatched as (

    select distinct match_id
    from found
    where exception_type = 'amount_mismatch' and subject_type = 'settlement_line'

),

-- A line of a match that was taken back is matched again with a movement of it.
rejoined as (

    select distinct
        unresolved.exception_id,
        lines.match_id
    from unresolved
    inner join made_items as lines
        on
            unresolved.subject_type = lines.item_type
            and unresolved.subject_id = lines.item_id
            and unresolved.currency = lines.leg_currency
    inner join made_items as movements on lines.match_id = movements.match_id and movements.item_type = 'ledger_transaction'
    inner join earlier_items
        on
            unresolved.match_id = earlier_items.match_id
            and movements.item_type = earlier_items.item_type
            and movements.item_id = earlier_items.item_id
    where unresolved.exception_type = 'amount_mismatch'

),

-- What it waited for has come.
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
    left join reason_types on earlier.exception_type = reason_types.exception_type
    where reason_types.exception_type is not null or earlier.exception_type = 'orphan_callback'
    group by earlier.exception_id

    union all

    -- The match may be another by now than the one that missed its callback: the movement decides.
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
        rejoined.exception_id,
        min(matches.match_id) as match_id
    from rejoined
    inner join matches on rejoined.match_id = matches.match_id
    left join mismatched on matches.match_id = mismatched.match_id
    where mismatched.match_id is null
    group by rejoined.exception_id

    union all

    -- A callback has said the right amount since.
    select
        unresolved.exception_id,
        unresolved.match_id
    from unresolved
    inner join callback_state on unresolved.match_id = callback_state.match_id
    left join reversed on unresolved.match_id = reversed.match_id
    left join found_ids
        on found_ids.exception_type = 'amount_mismatch' and unresolved.match_id = found_ids.match_id
    where
        unresolved.exception_type = 'amount_mismatch'
        and unresolved.subject_type = 'callback'
        and reversed.match_id is null
        and found_ids.exception_id is null

    union all

    -- The original has become larger, or what was taken back was given back.
    select
        unresolved.exception_id,
        cast(null as varchar) as match_id
    from unresolved
    inner join original_claims on unresolved.subject_id = original_claims.line_id
    left join found_ids on unresolved.exception_id = found_ids.exception_id
    where unresolved.exception_type = 'over_applied_reference' and found_ids.exception_id is null

    union all

    -- The entries that were missing have come.
    select
        unresolved.exception_id,
        cast(null as varchar) as match_id
    from unresolved
    cross join scope
    inner join transactions on unresolved.subject_id = transactions.transaction_id and unresolved.currency = transactions.currency
    left join found_ids on unresolved.exception_id = found_ids.exception_id
    where
        unresolved.exception_type = 'unbalanced_transaction'
        and unresolved.ledger_window <= scope.ledger_window
        and found_ids.exception_id is null

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

settled_ids as (

    select
        exception_id,
        min(match_id) as match_id
    from settled_late
    group by exception_id

),

-- The item is still unmatched, and this run finds another reason.
replaced_reasons as (

    select
        unresolved.exception_id,
        found_ids.exception_id as superseded_by,
        cast(1 as bigint) as preference
    from unresolved
    inner join reason_types on unresolved.exception_type = reason_types.exception_type
    inner join found_ids
        on
            unresolved.subject_type = found_ids.subject_type
            and unresolved.subject_id = found_ids.subject_id
            and unresolved.currency = found_ids.currency
            and unresolved.exception_type <> found_ids.exception_type
            and found_ids.is_reason

),

-- A movement that repeats another no more, and is in transit; an item of which restated entries or files left nothing.
gone_reasons as (

    select
        unresolved.exception_id,
        cast(null as varchar) as superseded_by,
        cast(4 as bigint) as preference
    from unresolved
    inner join reason_types on unresolved.exception_type = reason_types.exception_type
    inner join carried
        on
            unresolved.subject_type = carried.item_type
            and unresolved.subject_id = carried.item_id
            and unresolved.currency = carried.currency
    left join open_items
        on
            unresolved.subject_type = open_items.item_type
            and unresolved.subject_id = open_items.item_id
            and unresolved.currency = open_items.currency
    where
        open_items.item_id is null
        or (unresolved.exception_type = 'duplicate_ledger_posting' and open_items.disposition <> 'duplicate')

),

-- The match that an exception speaks of was taken back, and what holds instead says otherwise.
without_match as (

    select unresolved.*
    from unresolved
    inner join reversed on unresolved.match_id = reversed.match_id
    left join found_ids
        on
            unresolved.exception_type = found_ids.exception_type
            and unresolved.subject_type = found_ids.subject_type
            and unresolved.subject_id = found_ids.subject_id
            and unresolved.currency = found_ids.currency
    where
        unresolved.exception_type in ('amount_mismatch', 'missing_callback', 'status_conflict')
        and found_ids.exception_id is null

),

replaced_matches as (

    select
        without_match.exception_id,
        found_ids.exception_id as superseded_by,
        cast(1 as bigint) as preference
    from without_match
    inner join found_ids
        on
            without_match.subject_type = found_ids.subject_type
            and without_match.subject_id = found_ids.subject_id
            and (without_match.currency = found_ids.currency or without_match.subject_type = 'settlement_line')
            and found_ids.is_reason

    union all

    select
        without_match.exception_id,
        found_ids.exception_id as superseded_by,
        cast(2 as bigint) as preference
    from without_match
    inner join earlier_items on without_match.match_id = earlier_items.match_id
    inner join made_items
        on
            earlier_items.item_type = made_items.item_type
            and earlier_items.item_id = made_items.item_id
            and earlier_items.currency = made_items.currency
    inner join found_ids
        on made_items.match_id = found_ids.match_id and without_match.exception_type = found_ids.exception_type

    union all

    -- Another callback of the match is the last success by now, and differs as well.
    select
        unresolved.exception_id,
        found_ids.exception_id as superseded_by,
        cast(2 as bigint) as preference
    from unresolved
    inner join found_ids
        on
            unresolved.match_id = found_ids.match_id
            and unresolved.exception_type = found_ids.exception_type
            and unresolved.subject_type = found_ids.subject_type
            and unresolved.subject_id <> found_ids.subject_id
    left join found_ids as again on unresolved.exception_id = again.exception_id
    where unresolved.exception_type = 'amount_mismatch' and unresolved.subject_type = 'callback' and again.exception_id is null

    union all

    select
        without_match.exception_id,
        cast(null as varchar) as superseded_by,
        cast(4 as bigint) as preference
    from without_match

),

superseded as (

    select *
    from (
        select
            replacements.*,
            row_number() over (
                partition by exception_id
                order by preference asc nulls last, superseded_by asc nulls last
            ) as preference_rank
        from (
            select * from replaced_reasons
            union all
            select * from gone_reasons
            union all
            select * from replaced_matches
        ) as replacements
    ) as ranked
    where preference_rank = 1

),

ended as (

    select
        exception_id,
        match_id,
        'matched_late' as resolution,
        cast(null as varchar) as superseded_by,
        'matched late' as how
    from settled_ids

    union all

    select
        superseded.exception_id,
        cast(null as varchar) as match_id,
        'superseded' as resolution,
        superseded.superseded_by,
        'superseded' || coalesce(' by ' || found_ids.exception_type || ' ' || superseded.superseded_by, '') as how
    from superseded
    left join found_ids on superseded.superseded_by = found_ids.exception_id
    left join settled_ids on superseded.exception_id = settled_ids.exception_id
    where settled_ids.exception_id is null

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
        case when one_sided.match_id is not null then 'matched_manually' else ended.resolution end as resolution,
        ended.superseded_by,
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

-- What this run writes off shows the amount written off, whatever the run that opened it says by now.
shown as (

    select * from unresolved

    union all

    select last_occurrences.*
    from last_occurrences
    inner join written_off on last_occurrences.exception_id = written_off.exception_id
    where last_occurrences.status = 'resolved' and last_occurrences.resolution = 'written_off'

),

-- What stays open shows what holds now. Decisions lie over it as over what was opened: it is published as open.
changed as (

    select
        shown.exception_id,
        shown.run_id,
        shown.exception_type,
        shown.severity,
        shown.subject_type,
        shown.subject_id,
        judged.provider_reference,
        shown.currency,
        judged.amount_minor,
        judged.difference_minor,
        shown.published_owner as owner,
        shown.published_lane as lane,
        'open' as status,
        shown.due_at,
        shown.opened_at,
        cast(null as varchar) as resolution,
        cast(null as varchar) as superseded_by,
        judged.explanation
        || case
            when shown.previous_exception_id is not null then '; it was resolved before as ' || shown.previous_exception_id
            else ''
        end as explanation,
        shown.candidates,
        shown.occurrence,
        shown.previous_exception_id,
        judged.match_id,
        shown.is_blocking,
        shown.settlement_file,
        shown.ledger_window,
        cast(null as varchar) as resolved_run_id
    from shown
    inner join judged on shown.exception_id = judged.last_exception_id
    where judged.is_other_amount or coalesce(judged.match_id, '') <> coalesce(shown.match_id, '')

),

final as (

    select * exclude (is_undone)
    from all_opened
    union all
    select * from changed
    union all
    select * from resolved

)

select * from final
