-- Grain: an intent: who asked for the movement, what that actor was allowed, and what policy said.
-- The event of the controlled stage speaks, where there is none the earliest one; events count that happened by as_of.

with scope as (

    select * from {{ source('run', 'scope') }}

),

events as (

    select * from {{ ref('stg_internal_events') }}

),

visible as (

    select events.*
    from events
    inner join scope on events.occurred_at <= scope.as_of

),

ordered as (

    select
        visible.*,
        row_number() over (
            partition by visible.intent_id
            order by
                case when visible.stage = 'controlled' then 0 else 1 end asc nulls last,
                visible.occurred_at asc nulls last,
                visible.event_id asc nulls last,
                visible.stage asc nulls last,
                visible.actor asc nulls last,
                visible.actor_scope asc nulls last,
                visible.policy asc nulls last,
                visible.policy_result asc nulls last,
                visible.file_sequence asc nulls last,
                visible.row_number asc nulls last
        ) as recency_rank
    from visible

),

final as (

    select
        intent_id,
        event_id,
        actor,
        actor_scope,
        policy,
        policy_result,
        occurred_at
    from ordered
    where recency_rank = 1

)

select * from final
