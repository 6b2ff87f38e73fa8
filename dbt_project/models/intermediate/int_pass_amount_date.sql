-- Grain: an item every other pass left over and what `amount_date` made of it: no shared reference, but the same currency, class
-- and amount (not zero) within the settlement lag. A pair that is each other's sole candidate is suggested, or matched where the
-- profile says so; any other line that has a candidate is ambiguous. A suggestion consumes nothing.
-- Candidates are counted per amount and day, never paired: a million equal amounts stay linear.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

items as (

    select * from {{ ref('int_pass_left_over') }}
    where disposition = 'free'

),

dated as (

    select
        items.item_type,
        items.item_id,
        items.compared_currency as currency,
        items.line_class,
        items.compared_minor as amount_minor,
        window_days.business_day_number
    from items
    cross join profile
    inner join window_days
        on
            cast(items.sort_at as date) = window_days.utc_day
            and items.sort_at >= window_days.starts_at
            and items.sort_at < window_days.ends_at
    where profile.amount_date_rule <> 'off' and items.line_class is not null and items.compared_minor <> 0

),

days as (

    select
        currency,
        line_class,
        amount_minor,
        business_day_number,
        cast(sum(case when item_type = 'settlement_line' then 1 else 0 end) as bigint) as lines,
        cast(sum(case when item_type = 'ledger_transaction' then 1 else 0 end) as bigint) as movements,
        min(case when item_type = 'settlement_line' then item_id end) as first_line_id,
        min(case when item_type = 'ledger_transaction' then item_id end) as first_transaction_id
    from dated
    group by currency, line_class, amount_minor, business_day_number

),

near as (

    select
        line_days.currency,
        line_days.line_class,
        line_days.amount_minor,
        line_days.business_day_number as line_day,
        movement_days.business_day_number as movement_day,
        line_days.lines,
        movement_days.movements,
        line_days.first_line_id,
        movement_days.first_transaction_id
    from days as line_days
    cross join profile
    inner join days as movement_days
        on
            line_days.currency = movement_days.currency
            and line_days.line_class = movement_days.line_class
            and line_days.amount_minor = movement_days.amount_minor
            and abs(line_days.business_day_number - movement_days.business_day_number) <= profile.settlement_lag_days
    where line_days.lines > 0 and movement_days.movements > 0

),

line_candidates as (

    select
        currency,
        line_class,
        amount_minor,
        line_day,
        cast(sum(movements) as bigint) as candidates
    from near
    group by currency, line_class, amount_minor, line_day

),

movement_candidates as (

    select
        currency,
        line_class,
        amount_minor,
        movement_day,
        cast(sum(lines) as bigint) as candidates
    from near
    group by currency, line_class, amount_minor, movement_day

),

sole_pairs as (

    select
        near.currency,
        near.line_class,
        near.amount_minor,
        near.first_line_id as line_id,
        near.first_transaction_id as transaction_id,
        {{ match_id(
            'amount_date', "''", 'near.currency', 'near.line_class', 'near.amount_minor', 'near.first_line_id',
            'near.first_transaction_id'
        ) }} as match_id
    from near
    cross join scope
    inner join line_candidates
        on
            near.currency = line_candidates.currency
            and near.line_class = line_candidates.line_class
            and near.amount_minor = line_candidates.amount_minor
            and near.line_day = line_candidates.line_day
            and line_candidates.candidates = 1
    inner join movement_candidates
        on
            near.currency = movement_candidates.currency
            and near.line_class = movement_candidates.line_class
            and near.amount_minor = movement_candidates.amount_minor
            and near.movement_day = movement_candidates.movement_day
            and movement_candidates.candidates = 1

),

contested_lines as (

    select
        dated.item_id,
        dated.currency
    from dated
    inner join line_candidates
        on
            dated.currency = line_candidates.currency
            and dated.line_class = line_candidates.line_class
            and dated.amount_minor = line_candidates.amount_minor
            and dated.business_day_number = line_candidates.line_day
    left join sole_pairs on dated.item_id = sole_pairs.line_id and dated.currency = sole_pairs.currency
    where dated.item_type = 'settlement_line' and sole_pairs.line_id is null

),

outcomes as (

    select
        {{ item_columns('items') }},
        items.was_ambiguous or contested_lines.item_id is not null as was_ambiguous,
        case
            when coalesce(line_pairs.match_id, movement_pairs.match_id) is null then 'free'
            when profile.amount_date_rule = 'match' then 'matched'
            else 'suggested'
        end as disposition,
        coalesce(line_pairs.match_id, movement_pairs.match_id) as match_id
    from items
    cross join profile
    left join sole_pairs as line_pairs
        on
            items.item_type = 'settlement_line'
            and items.item_id = line_pairs.line_id
            and items.compared_currency = line_pairs.currency
    left join sole_pairs as movement_pairs
        on
            items.item_type = 'ledger_transaction'
            and items.item_id = movement_pairs.transaction_id
            and items.compared_currency = movement_pairs.currency
    left join contested_lines
        on
            items.item_type = 'settlement_line'
            and items.item_id = contested_lines.item_id
            and items.compared_currency = contested_lines.currency

)

select * from outcomes
