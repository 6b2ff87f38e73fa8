-- Grain: a line of the run's settlement file that a later delivery of the same file changed, added or took out.
-- A delivery restates an earlier one when it gives a line of it other content: it then replaces the whole earlier delivery, and
-- lines it leaves out are removed. Deliveries that only repeat or complete one another are parts of one file, no restatement.
-- A line whose batch alone was named or changed since an earlier delivery, of whatever file, is `batch_changed`.

with scope as (

    select * from {{ source('run', 'scope') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

words as (

    select * from {{ ref('int_line_words') }}

),

in_file as {{ read_where_used() }} (

    select deliveries.*
    from deliveries
    inner join scope on deliveries.settlement_file = scope.settlement_file

),

-- Only a line with several deliveries can have other content.
repeated as (

    select
        in_file.*,
        {{ joined_fields([
            'in_file.line_type', 'in_file.settlement_status', 'in_file.provider_reference',
            "coalesce(nullif(in_file.merchant_reference, ''), words.merchant_reference)",
            "coalesce(nullif(in_file.original_reference, ''), words.original_reference)", 'in_file.gross_minor',
            'in_file.fee_minor', 'in_file.net_minor', 'in_file.currency', 'in_file.settled_at',
            'in_file.presentment_minor', 'in_file.presentment_currency'
        ]) }} as content
    from in_file
    inner join words on in_file.line_id = words.line_id

),

changed_lines as (

    select line_id
    from repeated
    group by line_id
    having min(content) <> max(content) and min(file_sequence) <> max(file_sequence)

),

changed_deliveries as (

    select repeated.*
    from repeated
    inner join changed_lines on repeated.line_id = changed_lines.line_id

),

restating as (

    select distinct
        newer.file_sequence as newer_sequence,
        older.file_sequence as older_sequence
    from changed_deliveries as newer
    inner join changed_deliveries as older
        on
            newer.line_id = older.line_id
            and newer.file_sequence > older.file_sequence
            and newer.content <> older.content

),

restated_lines as (

    select
        in_file.line_id,
        in_file.file_sequence,
        restating.newer_sequence
    from in_file
    inner join restating on in_file.file_sequence = restating.older_sequence

),

left_out as (

    select distinct
        restated_lines.line_id,
        restated_lines.file_sequence
    from restated_lines
    left join in_file as kept
        on restated_lines.line_id = kept.line_id and restated_lines.newer_sequence = kept.file_sequence
    where kept.line_id is null

),

affected_sequences as (

    select newer_sequence as file_sequence from restating
    union
    select older_sequence as file_sequence from restating

),

standings as (

    select
        in_file.line_id,
        min(in_file.file_sequence) as first_sequence,
        sum(case when left_out.line_id is null then 1 else 0 end) as standing_deliveries
    from in_file
    inner join affected_sequences on in_file.file_sequence = affected_sequences.file_sequence
    left join left_out
        on in_file.line_id = left_out.line_id and in_file.file_sequence = left_out.file_sequence
    group by in_file.line_id

),

older_sequences as (

    select distinct older_sequence
    from restating

),

restated as (

    select
        standings.line_id,
        case
            when standings.standing_deliveries = 0 then 'removed'
            when changed_lines.line_id is not null then 'changed'
            when older_sequences.older_sequence is null then 'added'
        end as change_type
    from standings
    left join changed_lines on standings.line_id = changed_lines.line_id
    left join older_sequences on standings.first_sequence = older_sequences.older_sequence

),

rebatched as (

    select distinct
        words.line_id,
        words.batch_before,
        words.batch_id as batch_after
    from words
    inner join in_file on words.line_id = in_file.line_id
    where words.is_batch_changed

),

changes as (

    select
        coalesce(restated.line_id, rebatched.line_id) as line_id,
        coalesce(restated.change_type, 'batch_changed') as change_type,
        rebatched.batch_before,
        rebatched.batch_after
    from restated
    full outer join rebatched on restated.line_id = rebatched.line_id
    where restated.change_type is not null or rebatched.line_id is not null

),

ordered as (

    select
        in_file.*,
        changes.change_type,
        changes.batch_before,
        changes.batch_after,
        row_number() over (
            partition by in_file.line_id
            order by in_file.file_sequence asc nulls last, in_file.row_number asc nulls last
        ) as first_rank,
        row_number() over (
            partition by in_file.line_id
            order by in_file.file_sequence desc nulls last, in_file.row_number desc nulls last
        ) as last_rank
    from in_file
    inner join changes on in_file.line_id = changes.line_id

),

final as (

    select
        line_id,
        change_type,
        max(currency) as currency,
        max(case when first_rank = 1 and change_type <> 'added' then provider_reference end) as reference_before,
        max(case when last_rank = 1 and change_type <> 'removed' then provider_reference end) as reference_after,
        max(case when first_rank = 1 and change_type <> 'added' then settlement_status end) as status_before,
        max(case when last_rank = 1 and change_type <> 'removed' then settlement_status end) as status_after,
        max(case when first_rank = 1 and change_type <> 'added' then gross_minor end) as gross_before_minor,
        max(case when last_rank = 1 and change_type <> 'removed' then gross_minor end) as gross_after_minor,
        max(case when first_rank = 1 and change_type <> 'added' then fee_minor end) as fee_before_minor,
        max(case when last_rank = 1 and change_type <> 'removed' then fee_minor end) as fee_after_minor,
        max(case when first_rank = 1 and change_type <> 'added' then net_minor end) as net_before_minor,
        max(case when last_rank = 1 and change_type <> 'removed' then net_minor end) as net_after_minor,
        max(batch_before) as batch_before,
        max(batch_after) as batch_after
    from ordered
    group by line_id, change_type

)

select * from final
