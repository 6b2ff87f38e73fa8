-- Grain: the fee of a settled line, where the profile says that fees are posted separately: an item of class `fee` of −fee_minor with
-- the line's reference. A fee of 0 is none. It is a part of its line's row and no row of its own.
-- New is the fee of a line that no earlier run has seen; carried is what an earlier run left open, whatever became of its line. What
-- earlier runs gave up of a carried fee is taken off.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

words as (

    select * from {{ ref('int_line_words') }}

),

carried as (

    select
        *,
        {{ fee_line_id('item_id') }} as line_id
    from {{ ref('int_earlier_open_items') }}
    where is_fee

),

written_off as (

    select
        item_id,
        currency,
        cast(sum(amount_minor) as bigint) as written_off_minor
    from {{ ref('stg_earlier_write_offs') }}
    where item_type = 'settlement_line'
    group by item_id, currency

),

new_fees as (

    select
        lines.line_id,
        lines.currency,
        -lines.fee_minor as amount_minor,
        lines.provider_reference,
        lines.merchant_reference,
        lines.settled_at,
        lines.settlement_file,
        lines.opened_window,
        false as is_carried
    from lines
    cross join profile
    where
        profile.fee_posting = 'separate'
        and lines.fee_minor <> 0
        and lines.settlement_status = 'settled'
        and not lines.is_seen_before
        and not lines.is_carried

),

known_files as (

    select settlement_file from scope
    union
    select settlement_file from earlier_runs

),

-- A line is what was delivered last.
deliveries_of_carried as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.line_id
            order by deliveries.file_sequence desc nulls last, deliveries.row_number desc nulls last
        ) as age_rank
    from carried
    inner join deliveries on carried.line_id = deliveries.line_id and carried.currency = deliveries.currency
    inner join known_files on deliveries.settlement_file = known_files.settlement_file

),

carried_fees as (

    select
        carried.line_id,
        carried.currency,
        -latest.fee_minor - coalesce(written_off.written_off_minor, 0) as amount_minor,
        latest.provider_reference,
        coalesce(words.merchant_reference, latest.merchant_reference) as merchant_reference,
        latest.settled_at,
        latest.file_id as settlement_file,
        carried.opened_window,
        true as is_carried
    from carried
    inner join deliveries_of_carried as latest on carried.line_id = latest.line_id and latest.age_rank = 1
    left join words on carried.line_id = words.line_id
    left join written_off on carried.item_id = written_off.item_id and carried.currency = written_off.currency
    where latest.settlement_status = 'settled' and latest.fee_minor + coalesce(written_off.written_off_minor, 0) <> 0

),

fees as (

    select * from new_fees
    union all
    select * from carried_fees

),

final as (

    select
        {{ fee_item_id('fees.line_id') }} as item_id,
        fees.*
    from fees

)

select * from final
