-- Grain: an input row that was not let in.

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
