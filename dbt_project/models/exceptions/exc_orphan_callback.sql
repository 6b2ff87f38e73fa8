-- Grain: a successful callback that neither a line nor a movement answers after the settlement lag. One answers that is of its
-- reference, currency, direction and class (contract §10.8).

with states as (

    select * from {{ ref('int_callback_states') }}
    where callback_state = 'excepted' and has_one_payload

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'orphan_callback' as exception_type,
        'callback' as subject_type,
        states.provider_event_id as subject_id,
        states.provider_reference,
        states.currency,
        states.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'callback ' || states.provider_event_id || ' reports '
        || {{ money('states.amount_minor', 'states.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(states.provider_reference, ''), 'none') || ') as succeeded, but after '
        || cast(states.age_business_days as varchar)
        || ' business days there is neither a settlement line nor a ledger movement of its currency and direction' as explanation
    from states
    left join currencies on states.currency = currencies.currency

)

select * from final
