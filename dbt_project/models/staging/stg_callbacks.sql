-- Grain: a callback delivery. The same event may be here many times.

with source as (

    select * from {{ source('raw', 'callbacks') }}

),

renamed as (

    select
        provider,
        provider_event_id,
        event_type,
        provider_reference,
        merchant_reference,
        amount_minor,
        currency,
        status as callback_status,
        occurred_at,
        received_at,
        sequence as event_sequence,
        signature_verified,
        movement_type,
        file_id,
        file_sha256,
        file_sequence,
        row_number
    from source

)

select * from renamed
