-- Grain: a callback event (provider_event_id) delivered by the run's as_of, whatever number of deliveries it took. One that was
-- first received after the run's window is seen only where it speaks for a line or movement that the run sees (contract §10.14).
-- Which delivery represents the event never depends on the order of arrival.
-- An event with two payloads is not believed; payload means everything but received_at and signature_verified.
-- `reference` is its provider_reference, normalized where it can be.
-- `earlier_state` is what an earlier run made of it: matched, in_transit, excepted, accounted or null (new).

with scope as (

    select * from {{ source('run', 'scope') }}

),

deliveries as (

    select * from {{ ref('stg_callbacks') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

known_references as (

    select * from {{ ref('int_known_references') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

movements as (

    select * from {{ ref('int_movements') }}

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
                visible.movement_type asc nulls last,
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
                visible.event_sequence,
                visible.movement_type
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

keyed as (

    select
        first_deliveries.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), nullif(first_deliveries.provider_reference, '')) as reference,
        first_deliveries.received_at >= scope.window_ends_at as is_of_later_window
    from first_deliveries
    cross join scope
    left join reference_keys on first_deliveries.provider_reference = reference_keys.reference

),

of_later_windows as (

    select * from keyed
    where is_of_later_window

),

seen_items as (

    select
        line_id as item_id,
        provider_reference,
        merchant_reference,
        cast(null as varchar) as intent_id,
        currency,
        line_type as callback_class,
        {{ money_direction('line_type', 'gross_minor') }} as direction
    from lines

    union all

    select
        line_id as item_id,
        provider_reference,
        merchant_reference,
        cast(null as varchar) as intent_id,
        presentment_currency as currency,
        line_type as callback_class,
        {{ money_direction('line_type', 'presentment_minor') }} as direction
    from lines
    where presentment_currency is not null

    union all

    select
        transaction_id as item_id,
        provider_reference,
        transaction_id as merchant_reference,
        intent_id,
        currency,
        coalesce(line_class, movement_type) as callback_class,
        {{ money_direction('coalesce(line_class, movement_type)', 'amount_minor') }} as direction
    from movements

),

keyed_items as (

    select
        seen_items.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), seen_items.provider_reference) as reference
    from seen_items
    left join reference_keys on seen_items.provider_reference = reference_keys.reference

),

speaks_by_reference as (

    select distinct of_later_windows.provider_event_id
    from of_later_windows
    inner join keyed_items
        on
            of_later_windows.reference = keyed_items.reference
            and of_later_windows.currency = keyed_items.currency
            and {{ speaks_for('of_later_windows', 'keyed_items') }}

),

named as (

    select
        of_later_windows.provider_event_id,
        of_later_windows.reference
    from of_later_windows
    inner join keyed_items
        on
            of_later_windows.merchant_reference = keyed_items.merchant_reference
            and of_later_windows.currency = keyed_items.currency
            and {{ speaks_for('of_later_windows', 'keyed_items') }}
    where keyed_items.merchant_reference <> ''

    union

    select
        of_later_windows.provider_event_id,
        of_later_windows.reference
    from of_later_windows
    inner join keyed_items
        on
            of_later_windows.merchant_reference = keyed_items.intent_id
            and of_later_windows.currency = keyed_items.currency
            and {{ speaks_for('of_later_windows', 'keyed_items') }}
    where keyed_items.intent_id <> ''

),

speaks_by_name as (

    select named.provider_event_id
    from named
    where not exists (
        select 1
        from known_references
        where named.reference = known_references.reference and not known_references.is_own_name
    )

),

heard as (

    select keyed.*
    from keyed
    left join speaks_by_reference on keyed.provider_event_id = speaks_by_reference.provider_event_id
    left join speaks_by_name on keyed.provider_event_id = speaks_by_name.provider_event_id
    where
        not keyed.is_of_later_window
        or speaks_by_reference.provider_event_id is not null
        or speaks_by_name.provider_event_id is not null

),

final as (

    select
        heard.provider_event_id,
        heard.event_type,
        heard.provider_reference,
        heard.merchant_reference,
        heard.reference,
        heard.amount_minor,
        heard.currency,
        heard.movement_type,
        heard.callback_status,
        heard.occurred_at,
        heard.received_at as first_received_at,
        heard.event_sequence,
        heard.signature_verified,
        heard.deliveries,
        heard.payloads,
        heard.payloads = 1 as has_one_payload,
        earlier_states.callback_state as earlier_state,
        greatest(heard.deliveries - coalesce(earlier_states.deliveries, 0), 0) as new_deliveries
    from heard
    left join earlier_states
        on heard.provider_event_id = earlier_states.provider_event_id

)

select * from final
