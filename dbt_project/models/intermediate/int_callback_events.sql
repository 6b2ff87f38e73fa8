-- Grain: a callback event (provider_event_id) delivered by the run's as_of, whatever number of deliveries it took.
-- Which delivery stands for the event never depends on the order of arrival.
-- An event with two payloads is not believed; payload means everything but received_at and signature_verified.
-- `earlier_state` is what an earlier run made of it: matched, in_transit, excepted, accounted or null (new).

with scope as (

    select * from {{ source('run', 'scope') }}

),

deliveries as (

    select * from {{ ref('stg_callbacks') }}

),

earlier_states as (

    select
        provider_event_id,
        {{ first_by('callback_state', '-run_sequence') }} as callback_state,
        cast(max(deliveries) as bigint) as deliveries
    from {{ ref('stg_earlier_callback_states') }}
    group by provider_event_id

),

visible as (

    select deliveries.*
    from deliveries
    inner join scope on deliveries.received_at <= scope.as_of

),

repeated as (

    select provider_event_id
    from visible
    group by provider_event_id
    having count(*) > 1

),

ordered_repeats as (

    select
        visible.*,
        row_number() over (
            partition by visible.provider_event_id
            order by
                visible.received_at asc nulls last,
                visible.occurred_at asc nulls last,
                visible.callback_status asc nulls last,
                visible.amount_minor asc nulls last,
                visible.currency asc nulls last,
                visible.event_type asc nulls last,
                visible.provider_reference asc nulls last,
                visible.merchant_reference asc nulls last,
                visible.event_sequence asc nulls last,
                visible.signature_verified asc nulls last,
                visible.file_sequence asc nulls last,
                visible.row_number asc nulls last
        ) as delivery_rank,
        row_number() over (
            partition by
                visible.provider_event_id,
                visible.event_type,
                coalesce(visible.provider_reference, ''),
                coalesce(visible.merchant_reference, ''),
                visible.amount_minor,
                visible.currency,
                visible.callback_status,
                visible.occurred_at,
                visible.event_sequence
            order by
                visible.received_at asc nulls last,
                visible.file_sequence asc nulls last,
                visible.row_number asc nulls last
        ) as copy_rank
    from visible
    inner join repeated on visible.provider_event_id = repeated.provider_event_id

),

payloads as (

    select
        provider_event_id,
        cast(count(*) as bigint) as deliveries,
        cast(sum(case when copy_rank = 1 then 1 else 0 end) as bigint) as payloads
    from ordered_repeats
    group by provider_event_id

),

first_deliveries as (

    select
        visible.*,
        cast(1 as bigint) as deliveries,
        cast(1 as bigint) as payloads
    from visible
    left join repeated on visible.provider_event_id = repeated.provider_event_id
    where repeated.provider_event_id is null

    union all

    select
        ordered_repeats.* exclude (delivery_rank, copy_rank),
        payloads.deliveries,
        payloads.payloads
    from ordered_repeats
    inner join payloads on ordered_repeats.provider_event_id = payloads.provider_event_id
    where ordered_repeats.delivery_rank = 1

),

final as (

    select
        first_deliveries.provider_event_id,
        first_deliveries.event_type,
        first_deliveries.provider_reference,
        first_deliveries.merchant_reference,
        first_deliveries.amount_minor,
        first_deliveries.currency,
        first_deliveries.callback_status,
        first_deliveries.occurred_at,
        first_deliveries.received_at as first_received_at,
        first_deliveries.event_sequence,
        first_deliveries.signature_verified,
        first_deliveries.deliveries,
        first_deliveries.payloads,
        first_deliveries.payloads = 1 as is_believed,
        earlier_states.callback_state as earlier_state,
        greatest(first_deliveries.deliveries - coalesce(earlier_states.deliveries, 0), 0) as new_deliveries
    from first_deliveries
    left join earlier_states
        on first_deliveries.provider_event_id = earlier_states.provider_event_id

)

select * from final
