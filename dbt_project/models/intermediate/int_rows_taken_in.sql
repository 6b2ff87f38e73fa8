-- Grain: a row that the run takes in, carried ones included, by side and currency: counted from what was accepted, whatever became of
-- it. Deliveries of one row that come again are counted with it (`row_count`); a part of a row, such as a fee, counts none.
{{ config(materialized='view') }}

with profile as (

    select * from {{ source('run', 'profile') }}

),

lines as {{ read_where_used() }} (

    select
        lines.*,
        {{ line_amount('lines', 'profile') }} as amount_minor
    from {{ ref('int_settlement_lines') }} as lines
    cross join profile

),

movements as (

    select * from {{ ref('int_movements') }}

),

outcomes as {{ read_where_used() }} (

    select * from {{ ref('int_unpaired_outcomes') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

-- A fee that is posted separately is a part of its line's row: an amount, and no row (ADR 0047).
fee_items as (

    select * from {{ ref('int_fee_items') }}

),

callback_states as {{ read_where_used() }} (

    select * from {{ ref('int_callback_states') }}
    where has_one_payload

),

conflicting_deliveries as (

    select * from {{ ref('int_conflicting_deliveries') }}

),

redelivered_entries as (

    select * from {{ ref('int_redelivered_entries') }}

),

final as (

    select
        'settlement' as side,
        currency,
        1 + redeliveries as row_count,
        amount_minor * (1 + redeliveries) as amount_minor
    from lines

    union all

    select
        'settlement' as side,
        currency,
        cast(0 as bigint) as row_count,
        amount_minor
    from fee_items

    union all

    select
        'ledger' as side,
        currency,
        cast(1 as bigint) as row_count,
        amount_minor
    from movements

    union all

    select
        'ledger' as side,
        currency,
        row_count,
        amount_minor
    from redelivered_entries

    union all

    select
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        cast(case when is_fee then 0 else 1 end as bigint) as row_count,
        amount_minor
    from outcomes
    where released_from_match_id is not null

    union all

    select
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        cast(case when is_fee then 0 else 1 end as bigint) as row_count,
        item_minor as amount_minor
    from open_items
    where is_written_off and released_from_match_id is not null

    union all

    -- Lines an earlier run accounted for come back when their batch matches as a whole.
    select
        'settlement' as side,
        outcomes.currency,
        cast(1 as bigint) as row_count,
        outcomes.leg_minor as amount_minor
    from outcomes
    left join lines on outcomes.item_id = lines.line_id and not lines.is_seen_before
    where outcomes.is_batch_line and lines.line_id is null

    union all

    select
        'callback' as side,
        currency,
        (new_deliveries + case when earlier_state in ('in_transit', 'excepted') then 1 else 0 end) as row_count,
        amount_minor * (new_deliveries + case when earlier_state in ('in_transit', 'excepted') then 1 else 0 end) as amount_minor
    from callback_states

    union all

    select
        'callback' as side,
        currency,
        cast(1 as bigint) as row_count,
        amount_minor
    from conflicting_deliveries
    where is_new or (is_carried and is_first)

)

select * from final
