-- Grain: a delivery of a stage that an intent went through. The same event may be here many times.
{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'internal_events') }}

),

renamed as (

    select
        provider,
        event_id,
        intent_id,
        stage,
        actor,
        scope as actor_scope,
        policy,
        policy_result,
        occurred_at,
        transaction_id,
        file_id,
        file_sequence,
        row_number
    from source

)

select * from renamed
