-- Grain: a delivered settlement row of the run's provider, every delivery of every file.
-- Assumes: the source holds the files of one provider only (the run's scratch database is made so).

with source as (

    select * from {{ source('raw', 'settlement_lines') }}

),

renamed as (

    select
        provider,
        settlement_file,
        line_id,
        line_type,
        status as settlement_status,
        provider_reference,
        merchant_reference,
        original_reference,
        batch_id,
        gross_minor,
        fee_minor,
        net_minor,
        currency,
        settled_at,
        presentment_minor,
        presentment_currency,
        trace_id,
        statement_text,
        file_id,
        file_sha256,
        file_sequence,
        row_number
    from source

)

select * from renamed
