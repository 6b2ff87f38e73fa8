-- Grain: a callback event that waits, or of which this run has learnt something; the next run starts from here. Revisions of
-- releases that read all of the past list every event they saw. Internal to runs: no exposure reads it.
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
    where
        scope.reads_whole_history
        or states.callback_state in ('in_transit', 'excepted')
        or states.callback_state is distinct from states.earlier_state
        or states.new_deliveries > 0

)

select * from final
