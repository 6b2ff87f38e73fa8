-- Grain: a row of the account's bank in quarantine that no earlier run has counted, as a row of the engine's outer side.
{{ config(meta={'instead_of': 'stg_quarantine'}, materialized='view') }}

with source as (

    select * from {{ source('raw', 'quarantine') }}

),

scope as (

    select * from {{ source('run', 'scope') }}

),

renamed as (

    select
        'settlement_lines' as source_table,
        source.provider,
        scope.settlement_file as file_id,
        source.row_number,
        source.reason,
        source.raw
    from source
    cross join scope

)

select * from renamed
