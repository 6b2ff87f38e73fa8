-- Grain: a row that an earlier run of this provider published in `write_offs`, in its current revision.
-- `run_sequence` is the publishing run's place in the order of creation.

with source as (

    select * from {{ source('earlier', 'write_offs') }}

)

select * from source
