-- Grain: side and currency. Every row taken in (int_rows_taken_in), carried ones included, is in exactly one bucket (int_rows_disposed).
-- The unexplained columns are 0 or the run is not published.
-- Quarantined rows have no amount and no trusted currency: they are under currency ''.

with scope as (

    select * from {{ source('run', 'scope') }}

),

inflow as (

    select * from {{ ref('int_rows_taken_in') }}

),

dispositions as (

    select * from {{ ref('int_rows_disposed') }}

),

quarantine as (

    select * from {{ ref('stg_quarantine') }}

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
