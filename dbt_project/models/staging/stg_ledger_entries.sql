-- Grain: a delivered ledger row, every delivery of every file, whatever its provider.
-- `signed_minor` is credit positive, as movements are read. `is_seen_before` marks what an earlier run has met.

with source as (

    select * from {{ source('raw', 'ledger_entries') }}

),

seen_files as (

    select * from {{ source('earlier', 'ledger_files') }}

),

renamed as (

    select
        source.provider,
        source.entry_id,
        source.transaction_id,
        source.movement_type,
        source.account,
        source.direction,
        source.amount_minor,
        case when source.direction = 'credit' then source.amount_minor else -source.amount_minor end as signed_minor,
        source.currency,
        source.posted_at,
        source.provider_reference,
        source.intent_id,
        source.file_id,
        source.file_sha256,
        source.file_sequence,
        source.row_number,
        coalesce(source.posted_at < seen_files.seen_until, false) as is_seen_before
    from source
    left join seen_files on source.file_sequence = seen_files.file_sequence

)

select * from renamed
