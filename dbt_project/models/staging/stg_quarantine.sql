-- Grain: a quarantined input row.

with source as (

    select * from {{ source('raw', 'quarantine') }}

),

renamed as (

    select
        source as source_table,
        provider,
        file_id,
        row_number,
        reason,
        raw
    from source

)

select * from renamed
