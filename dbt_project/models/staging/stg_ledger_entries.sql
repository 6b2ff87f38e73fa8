-- Grain: a delivered ledger row, every delivery of every file, whatever its provider.
-- `signed_minor` is credit positive, as movements are read.

with source as (

    select * from {{ source('raw', 'ledger_entries') }}

),

renamed as (

    select
        provider,
        entry_id,
        transaction_id,
        movement_type,
        account,
        direction,
        amount_minor,
        case when direction = 'credit' then amount_minor else -amount_minor end as signed_minor,
        currency,
        posted_at,
        provider_reference,
        intent_id,
        file_id,
        file_sha256,
        file_sequence,
        row_number
    from source

)

select * from renamed
