-- Grain: side and currency. Every row taken in, carried ones included, is in exactly one bucket; the amount of one that was
-- written off, and has changed since, is in two: what was given up, and the change, which is open and counts the row. The unexplained
-- columns are 0 or the run is not published. `…_in` is counted from what was accepted, the buckets from its dispositions.
-- Quarantined rows have no amount and no trusted currency: they are under currency ''.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

lines as (

    select
        lines.*,
        case when profile.compare_amount = 'net' then lines.net_minor else lines.gross_minor end - lines.written_off_minor
            as amount_minor
    from {{ ref('int_settlement_lines') }} as lines
    cross join profile

),

movements as (

    select * from {{ ref('int_movements') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

),

outcomes as (

    select * from {{ ref('int_item_outcomes') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

-- A fee that is posted separately is a part of its line's row: an amount, and no row (ADR 0047).
fee_items as (

    select * from {{ ref('int_fee_items') }}

),

zero_lines as (

    select * from {{ ref('int_zero_lines') }}

),

callback_states as (

    select * from {{ ref('int_callback_states') }}
    where has_one_payload

),

conflicting_deliveries as (

    select * from {{ ref('int_conflicting_deliveries') }}

),

quarantine as (

    select * from {{ ref('stg_quarantine') }}

),

-- Entries that came again: whatever the disposition of their movement since, the run that meets them first counts them.
redelivered_entries as (

    select
        transactions.currency,
        cast(sum(transactions.redeliveries) as bigint) as row_count,
        cast(sum(transactions.redelivered_minor) as bigint) as amount_minor
    from transactions
    where transactions.first_clearing_entry_id is not null
    group by transactions.currency
    having sum(transactions.redeliveries) > 0

),

-- Inflow ---------------------------------------------------------------------------------------------------------------

inflow as (

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

),

-- Dispositions ---------------------------------------------------------------------------------------------------------

dispositions as (

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
        outcomes.currency,
        'matched' as bucket,
        cast(1 as bigint) as row_count,
        coalesce(lines.amount_minor, outcomes.leg_minor) as amount_minor
    from outcomes
    left join lines on outcomes.item_id = lines.line_id and not lines.is_seen_before
    where outcomes.is_batch_line

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
    left join outcomes on outcomes.is_batch_line and lines.line_id = outcomes.item_id
    where match_line_types.line_type is null and not lines.is_seen_before and outcomes.item_id is null

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

),

quarantined_rows as (

    select
        case quarantine.source_table
            when 'settlement_lines' then 'settlement'
            when 'ledger_entries' then 'ledger'
            when 'callbacks' then 'callback'
        end as side,
        count(*) as row_count
    from quarantine
    inner join scope
        on
            quarantine.source_table in ('ledger_entries', 'callbacks')
            or (quarantine.source_table = 'settlement_lines' and quarantine.file_id = scope.settlement_file)
    group by quarantine.source_table

),

-- Ledger and callback rows that were never accepted have no window: the source holds those of files that no earlier run has met.
quarantined as (

    select
        side,
        '' as currency,
        cast(row_count as bigint) as row_count
    from quarantined_rows

),

in_sums as (

    select
        side,
        currency,
        sum(row_count) as rows_in,
        sum(amount_minor) as amount_in_minor
    from inflow
    group by side, currency
    having sum(row_count) > 0 or max(case when side = 'settlement' and row_count = 0 then 1 else 0 end) = 1

    union all

    select
        side,
        currency,
        row_count as rows_in,
        0 as amount_in_minor
    from quarantined

),

bucket_sums as (

    select
        side,
        currency,
        sum(case when bucket = 'matched' then row_count else 0 end) as matched,
        sum(case when bucket = 'in_transit' then row_count else 0 end) as in_transit,
        sum(case when bucket = 'excepted' then row_count else 0 end) as excepted,
        sum(case when bucket = 'accounted' then row_count else 0 end) as accounted,
        sum(case when bucket = 'duplicates' then row_count else 0 end) as duplicates,
        sum(case when bucket = 'matched' then amount_minor else 0 end) as matched_minor,
        sum(case when bucket = 'in_transit' then amount_minor else 0 end) as in_transit_minor,
        sum(case when bucket = 'excepted' then amount_minor else 0 end) as excepted_minor,
        sum(case when bucket = 'accounted' then amount_minor else 0 end) as accounted_minor,
        sum(case when bucket = 'duplicates' then amount_minor else 0 end) as duplicates_minor
    from dispositions
    group by side, currency

),

final as (

    select
        scope.run_id,
        in_sums.side,
        in_sums.currency,
        cast(in_sums.rows_in as bigint) as rows_in,
        cast(coalesce(bucket_sums.matched, 0) as bigint) as matched,
        cast(coalesce(bucket_sums.in_transit, 0) as bigint) as in_transit,
        cast(coalesce(bucket_sums.excepted, 0) as bigint) as excepted,
        cast(coalesce(bucket_sums.accounted, 0) as bigint) as accounted,
        cast(coalesce(bucket_sums.duplicates, 0) as bigint) as duplicates,
        cast(coalesce(quarantined.row_count, 0) as bigint) as quarantined,
        cast(
            in_sums.rows_in
            - coalesce(
                bucket_sums.matched + bucket_sums.in_transit + bucket_sums.excepted + bucket_sums.accounted
                + bucket_sums.duplicates, 0
            )
            - coalesce(quarantined.row_count, 0) as bigint
        ) as rows_unexplained,
        cast(in_sums.amount_in_minor as bigint) as amount_in_minor,
        cast(coalesce(bucket_sums.matched_minor, 0) as bigint) as matched_minor,
        cast(coalesce(bucket_sums.in_transit_minor, 0) as bigint) as in_transit_minor,
        cast(coalesce(bucket_sums.excepted_minor, 0) as bigint) as excepted_minor,
        cast(coalesce(bucket_sums.accounted_minor, 0) as bigint) as accounted_minor,
        cast(coalesce(bucket_sums.duplicates_minor, 0) as bigint) as duplicates_minor,
        cast(0 as bigint) as quarantined_minor,
        cast(
            in_sums.amount_in_minor
            - coalesce(
                bucket_sums.matched_minor + bucket_sums.in_transit_minor + bucket_sums.excepted_minor
                + bucket_sums.accounted_minor + bucket_sums.duplicates_minor, 0
            ) as bigint
        ) as amount_unexplained_minor
    from in_sums
    cross join scope
    left join bucket_sums on in_sums.side = bucket_sums.side and in_sums.currency = bucket_sums.currency
    left join quarantined on in_sums.side = quarantined.side and in_sums.currency = quarantined.currency

)

select * from final
