-- Grain: a row of which the run has disposed, by side and currency, with the one bucket that it is in: matched, in_transit, excepted,
-- accounted or duplicates. The amount of one that was written off, and has changed since, is in two: what was given up, and the change,
-- which is open and counts the row.
{{ config(materialized='view') }}

with profile as (

    select * from {{ source('run', 'profile') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

lines as {{ read_where_used() }} (

    select
        lines.*,
        {{ line_amount('lines', 'profile') }} as amount_minor
    from {{ ref('int_settlement_lines') }} as lines
    cross join profile

),

outcomes as {{ read_where_used() }} (

    select * from {{ ref('int_item_outcomes') }}

),

batch_lines as (

    select * from {{ ref('int_unpaired_outcomes') }}
    where is_batch_line

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

zero_lines as (

    select * from {{ ref('int_zero_lines') }}

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
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        'matched' as bucket,
        cast(case when is_fee then 0 else 1 end as bigint) as row_count,
        amount_minor
    from outcomes
    where disposition = 'matched' and not is_batch_line

    union all

    select
        'settlement' as side,
        batch_lines.currency,
        'matched' as bucket,
        cast(1 as bigint) as row_count,
        coalesce(lines.amount_minor, batch_lines.leg_minor) as amount_minor
    from batch_lines
    left join lines on batch_lines.item_id = lines.line_id and not lines.is_seen_before

    union all

    select
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        'accounted' as bucket,
        cast(case when open_minor = 0 and not is_fee then 1 else 0 end as bigint) as row_count,
        amount_minor
    from open_items
    where is_written_off

    union all

    select
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        case
            when item_type = 'settlement_line' then 'excepted'
            when is_written_off or (disposition in ('free', 'ambiguous') and not is_overdue) then 'in_transit'
            else 'excepted'
        end as bucket,
        cast(case when is_fee then 0 else 1 end as bigint) as row_count,
        open_minor as amount_minor
    from open_items
    where not is_written_off or open_minor <> 0

    union all

    select
        'settlement' as side,
        lines.currency,
        'accounted' as bucket,
        cast(1 as bigint) as row_count,
        lines.amount_minor
    from lines
    left join match_line_types on lines.line_type = match_line_types.line_type
    left join batch_lines on lines.line_id = batch_lines.item_id
    where match_line_types.line_type is null and not lines.is_seen_before and batch_lines.item_id is null

    union all

    select
        'settlement' as side,
        currency,
        'accounted' as bucket,
        cast(1 as bigint) as row_count,
        cast(0 as bigint) as amount_minor
    from zero_lines

    union all

    select
        'settlement' as side,
        currency,
        'duplicates' as bucket,
        redeliveries + case when is_seen_before then 1 else 0 end as row_count,
        amount_minor * (redeliveries + case when is_seen_before then 1 else 0 end) as amount_minor
    from lines

    union all

    select
        'ledger' as side,
        currency,
        'duplicates' as bucket,
        row_count,
        amount_minor
    from redelivered_entries

    union all

    select
        'callback' as side,
        currency,
        callback_state as bucket,
        cast(1 as bigint) as row_count,
        amount_minor
    from callback_states
    where earlier_state is null or earlier_state in ('in_transit', 'excepted')

    union all

    select
        'callback' as side,
        currency,
        'duplicates' as bucket,
        new_deliveries - case when earlier_state is null then 1 else 0 end as row_count,
        amount_minor * (new_deliveries - case when earlier_state is null then 1 else 0 end) as amount_minor
    from callback_states

    union all

    -- Neither payload of a conflict is a redelivery of the other.
    select
        'callback' as side,
        currency,
        case when is_first then 'excepted' else 'duplicates' end as bucket,
        cast(1 as bigint) as row_count,
        amount_minor
    from conflicting_deliveries
    where is_new or (is_carried and is_first)

)

select * from final
