-- Grain: a callback event delivered with two payloads. Neither is believed.

with states as (

    select * from {{ ref('int_callback_states') }}
    where not has_one_payload

),

final as (

    select
        'conflicting_callback' as exception_type,
        'callback' as subject_type,
        provider_event_id as subject_id,
        provider_reference,
        currency,
        amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'callback ' || provider_event_id || ' was delivered with ' || cast(payloads as varchar)
        || ' different payloads; none of them is used' as explanation
    from states

)

select * from final
