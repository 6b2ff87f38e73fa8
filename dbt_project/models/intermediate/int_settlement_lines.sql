-- Grain: a settlement line (line_id) the run sees: every line of its settlement file and the lines earlier runs left open.
-- The last delivery of a line is its content (a restatement), with the last word on its batch and blank references.
-- Equal deliveries are counted in `redeliveries`; lines that a restatement took out are gone.
-- `is_seen_before` marks a line of this file that an earlier run already disposed of: a redelivery in another file.
-- `written_off_minor` is what earlier runs gave up of a line that is carried; the rest of it is carried.
-- `settlement_file` is the file that a line was delivered in, also where a run of it was taken back and its rows went on to this one.

with scope as (

    select * from {{ source('run', 'scope') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}
    where item_type = 'settlement_line' and not is_fee

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

words as (

    select * from {{ ref('int_line_words') }}

),

earlier_files as (

    select distinct settlement_file from earlier_runs

),

removed as (

    select line_id from {{ ref('int_restatements') }}
    where change_type = 'removed'

),

in_file as (

    select
        deliveries.*,
        true as is_in_file
    from deliveries
    inner join scope on deliveries.settlement_file = scope.settlement_file
    left join removed on deliveries.line_id = removed.line_id
    where removed.line_id is null

),

of_carried as (

    select
        deliveries.*,
        false as is_in_file
    from deliveries
    inner join scope on deliveries.settlement_file <> scope.settlement_file
    inner join earlier_files on deliveries.settlement_file = earlier_files.settlement_file
    inner join carried on deliveries.line_id = carried.item_id and deliveries.currency = carried.currency

),

visible as (

    select * from in_file
    union all
    select * from of_carried

),

-- Nearly every line is delivered once; only the others need an ordered look.
repeated as (

    select line_id
    from visible
    group by line_id
    having count(*) > 1

),

ordered_repeats as (

    select
        visible.*,
        row_number() over (
            partition by visible.line_id
            order by visible.file_sequence desc nulls last, visible.row_number desc nulls last
        ) as age_rank,
        row_number() over (
            partition by
                visible.line_id,
                visible.line_type,
                visible.settlement_status,
                coalesce(visible.provider_reference, ''),
                coalesce(nullif(visible.merchant_reference, ''), words.merchant_reference, ''),
                coalesce(nullif(visible.original_reference, ''), words.original_reference, ''),
                visible.gross_minor,
                visible.fee_minor,
                visible.net_minor,
                visible.currency,
                visible.settled_at,
                visible.presentment_minor,
                coalesce(visible.presentment_currency, ''),
                visible.is_in_file
            order by visible.file_sequence desc nulls last, visible.row_number desc nulls last
        ) as copy_rank
    from visible
    inner join repeated on visible.line_id = repeated.line_id
    left join words on visible.line_id = words.line_id

),

-- What an earlier file left open is a row of its own: this file only repeats it.
redeliveries as (

    select
        line_id,
        cast(
            case
                when min(case when is_in_file then 1 else 0 end) = 1
                    then sum(case when copy_rank > 1 then 1 else 0 end)
                else sum(case when is_in_file then 1 else 0 end)
            end as bigint
        ) as redeliveries,
        max(case when is_in_file then 1 else 0 end) as in_file
    from ordered_repeats
    group by line_id

),

latest as (

    select
        visible.*,
        cast(0 as bigint) as redeliveries,
        visible.is_in_file as is_line_in_file
    from visible
    left join repeated on visible.line_id = repeated.line_id
    where repeated.line_id is null

    union all

    select
        ordered_repeats.* exclude (age_rank, copy_rank),
        redeliveries.redeliveries,
        redeliveries.in_file = 1 as is_line_in_file
    from ordered_repeats
    inner join redeliveries on ordered_repeats.line_id = redeliveries.line_id
    where ordered_repeats.age_rank = 1

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

seen_earlier as (

    select distinct deliveries.line_id
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file

),

final as (

    select
        latest.line_id,
        latest.file_id as settlement_file,
        latest.line_type,
        latest.settlement_status,
        latest.provider_reference,
        case when words.line_id is null then latest.merchant_reference else words.merchant_reference end as merchant_reference,
        case when words.line_id is null then latest.original_reference else words.original_reference end as original_reference,
        case when words.line_id is null then latest.batch_id else words.batch_id end as batch_id,
        latest.gross_minor,
        latest.fee_minor,
        latest.net_minor,
        latest.currency,
        latest.settled_at,
        latest.presentment_minor,
        latest.presentment_currency,
        latest.file_id,
        latest.row_number,
        latest.is_line_in_file,
        latest.redeliveries,
        carried.opened_window,
        case when carried.item_id is null then 0 else coalesce(written_off.written_off_minor, 0) end as written_off_minor,
        carried.item_id is not null as is_carried,
        seen_earlier.line_id is not null and carried.item_id is null as is_seen_before
    from latest
    left join carried
        on latest.line_id = carried.item_id and latest.currency = carried.currency
    left join written_off
        on latest.line_id = written_off.item_id and latest.currency = written_off.currency
    left join seen_earlier on latest.line_id = seen_earlier.line_id
    left join words on latest.line_id = words.line_id

)

select * from final
