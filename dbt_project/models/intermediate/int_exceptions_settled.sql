-- Grain: an exception of an earlier run of which what it waited for has come, with a match of that if there is one.

with scope as (

    select * from {{ source('run', 'scope') }}

),

earlier as (

    select * from {{ ref('int_earlier_exceptions') }}

),

unresolved as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence and status <> 'resolved'

),

exception_types as (

    select * from {{ ref('exception_types') }}

),

found_ids as (

    select * from {{ ref('int_exceptions_named') }}

),

outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

matches as (

    select * from {{ ref('int_matches') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

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

transactions as (

    select * from {{ ref('int_transactions') }}

),

original_claims as (

    select * from {{ ref('int_original_claims') }}

),

resolved_originals as (

    select * from {{ ref('int_resolved_originals') }}

),

gone_back as (

    select * from {{ ref('int_money_gone_back') }}

),

payout_totals as (

    select * from {{ ref('int_payout_totals') }}
    where difference_minor = 0 and is_payout_line_right

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

mismatched as (

    select distinct match_id
    from {{ ref('int_exceptions_found') }}
    where exception_type = 'amount_mismatch' and subject_type = 'settlement_line'

),

-- A line of a match that was taken back is matched again with a movement of it.
rejoined as (

    select distinct
        unresolved.exception_id,
        lines.match_id
    from unresolved
    inner join outcomes as lines
        on
            unresolved.subject_type = lines.item_type
            and unresolved.subject_id = lines.item_id
            and unresolved.currency = lines.leg_currency
    inner join outcomes as movements on lines.match_id = movements.match_id and movements.item_type = 'ledger_transaction'
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
    inner join exception_types on earlier.exception_type = exception_types.exception_type and exception_types.is_closed_by_match
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

final as (

    select
        exception_id,
        min(match_id) as match_id
    from settled_late
    group by exception_id

)

select * from final
