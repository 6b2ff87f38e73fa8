-- Grain: a delivery of a callback event that has come with two payloads; for these few, conservation counts every delivery.
-- `is_first` marks the one that represents its payload, the others repeat it. `is_new` marks what no earlier run has counted: it
-- counts what there is in the order of files, so the newest deliveries are the new ones.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

conflicting as (

    select * from {{ ref('int_callback_events') }}
    where not has_one_payload

),

deliveries as (

    select * from {{ ref('stg_callbacks') }}

),

ranked as (

    select
        deliveries.provider_event_id,
        deliveries.currency,
        deliveries.amount_minor,
        conflicting.earlier_state,
        conflicting.deliveries - conflicting.new_deliveries as known_deliveries,
        row_number() over (
            partition by deliveries.provider_event_id
            order by deliveries.file_sequence asc nulls last, deliveries.row_number asc nulls last
        ) as delivery_rank,
        row_number() over (
            partition by
                deliveries.provider_event_id,
                deliveries.event_type,
                coalesce(deliveries.provider_reference, ''),
                coalesce(deliveries.merchant_reference, ''),
                deliveries.amount_minor,
                deliveries.currency,
                deliveries.callback_status,
                deliveries.occurred_at,
                deliveries.event_sequence,
                deliveries.movement_type
            order by deliveries.file_sequence asc nulls last, deliveries.row_number asc nulls last
        ) as copy_rank
    from deliveries
    inner join scope on deliveries.received_at <= scope.as_of
    inner join conflicting on deliveries.provider_event_id = conflicting.provider_event_id

),

final as (

    select
        provider_event_id,
        currency,
        amount_minor,
        copy_rank = 1 as is_first,
        delivery_rank > known_deliveries as is_new,
        delivery_rank <= known_deliveries and earlier_state in ('in_transit', 'excepted') as is_carried
    from ranked

)

select * from final
