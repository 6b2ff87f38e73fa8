-- Grain: a settlement line with several deliveries, with the newest batch and references among its deliveries: a later delivery may
-- name the batch, or fill in a reference that was blank. They are no content, and a blank changes nothing (contract §10.13).
-- Deliveries of the run's own file and of the files of earlier runs count; a file that no run has read does not yet.

with scope as (

    select * from {{ source('run', 'scope') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

seen_files as (

    select settlement_file from scope
    union
    select settlement_file from earlier_runs

),

seen as (

    select deliveries.*
    from deliveries
    inner join seen_files on deliveries.settlement_file = seen_files.settlement_file

),

repeated as (

    select line_id
    from seen
    group by line_id
    having count(*) > 1

),

ordered as (

    select
        seen.line_id,
        nullif(seen.batch_id, '') as batch_id,
        nullif(seen.merchant_reference, '') as merchant_reference,
        nullif(seen.original_reference, '') as original_reference,
        row_number() over (
            partition by seen.line_id
            order by seen.file_sequence desc nulls last, seen.row_number desc nulls last
        ) as age_rank
    from seen
    inner join repeated on seen.line_id = repeated.line_id

),

last_words as (

    select
        line_id,
        {{ first_by('batch_id', 'age_rank') }} filter (where batch_id is not null) as batch_id,
        {{ first_by('merchant_reference', 'age_rank') }} filter (where merchant_reference is not null) as merchant_reference,
        {{ first_by('original_reference', 'age_rank') }} filter (where original_reference is not null) as original_reference
    from ordered
    group by line_id

),

other_batches as (

    select
        ordered.line_id,
        {{ first_by('ordered.batch_id', 'ordered.age_rank') }} filter (where ordered.batch_id is not null) as batch_before
    from ordered
    inner join last_words
        on ordered.line_id = last_words.line_id and ordered.batch_id is distinct from last_words.batch_id
    group by ordered.line_id

),

final as (

    select
        last_words.line_id,
        last_words.batch_id,
        last_words.merchant_reference,
        last_words.original_reference,
        other_batches.line_id is not null as is_batch_changed,
        other_batches.batch_before
    from last_words
    left join other_batches on last_words.line_id = other_batches.line_id

)

select * from final
