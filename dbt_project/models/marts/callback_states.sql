-- Grain: a callback event this run saw and what became of it; the next run starts from here. Internal to runs: no
-- exposure reads it.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

states as (

    select * from {{ ref('int_callback_states') }}

),

final as (

    select
        scope.run_id,
        states.provider_event_id,
        states.callback_state,
        states.deliveries
    from states
    cross join scope

)

select * from final
