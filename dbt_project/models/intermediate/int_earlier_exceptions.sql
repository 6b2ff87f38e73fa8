-- Grain: an exception as the earlier runs left it: the newest published state of each, with what operators decided since.
-- What a run resolved stays so, unless a person had resolved it before. What operators resolved in this very run is
-- judged as it was before they did: their decision is about what this run shows, and lies over it.
-- `published_owner` and `published_lane` are those it opened with; `is_last_occurrence` marks the one that named its subject last.

with published as (

    select * from {{ ref('stg_earlier_exceptions') }}

),

decided as (

    select * from {{ source('run', 'exception_states') }}

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

newest as (

    select * exclude (state_rank)
    from ordered
    where state_rank = 1

),

final as (

    select
        newest.* exclude (owner, lane, status, resolution),
        newest.owner as published_owner,
        newest.lane as published_lane,
        coalesce(decided.owner, newest.owner) as owner,
        coalesce(decided.lane, newest.lane) as lane,
        case
            when newest.status = 'resolved' then newest.status
            when coalesce(decided.is_own, false) then newest.status
            else coalesce(decided.status, newest.status)
        end as status,
        case
            when decided.status = 'resolved' and not coalesce(decided.is_own, false) then decided.resolution
            else newest.resolution
        end as resolution,
        row_number() over (
            partition by newest.exception_type, newest.subject_type, newest.subject_id, newest.currency
            order by newest.occurrence desc nulls last, newest.exception_id asc nulls last
        ) = 1 as is_last_occurrence
    from newest
    left join decided on newest.exception_id = decided.exception_id

)

select * from final
