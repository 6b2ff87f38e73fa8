-- Grain: a row that an earlier run of this provider published in `conservation`, in its current revision.
-- `run_sequence` is the publishing run's place in the order of creation.

with source as (

    select * from {{ source('earlier', 'conservation') }}

)

select * from source
