-- Grain: an exception as the earlier runs left it: the newest published state of each.

with published as (

    select * from {{ ref('stg_earlier_exceptions') }}

),

ordered as (

    select
        published.*,
        row_number() over (
            partition by published.exception_id
            order by published.run_sequence desc nulls last
        ) as state_rank
    from published

),

final as (

    select * exclude (state_rank)
    from ordered
    where state_rank = 1

)

select * from final
