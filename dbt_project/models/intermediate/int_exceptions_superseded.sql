-- Grain: an exception of an earlier run that holds no longer, though nothing settled it: its item is gone or has another reason by now,
-- or the match that it speaks of was taken back. `superseded_by` is what holds instead, if anything does.

with exception_types as (

    select * from {{ ref('exception_types') }}

),

unresolved as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence and status <> 'resolved'

),

reason_types as (

    select * from {{ ref('int_unmatched_reasons') }}

),

found_ids as (

    select * from {{ ref('int_exceptions_named') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

made_items as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

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
    inner join exception_types on unresolved.exception_type = exception_types.exception_type and exception_types.is_of_match
    inner join reversed on unresolved.match_id = reversed.match_id
    left join found_ids
        on
            unresolved.exception_type = found_ids.exception_type
            and unresolved.subject_type = found_ids.subject_type
            and unresolved.subject_id = found_ids.subject_id
            and unresolved.currency = found_ids.currency
    where
        found_ids.exception_id is null

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

final as (

    select
        exception_id,
        superseded_by
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

)

select * from final
