-- Grain: a callback event the run sees, and its outcome.
--   matched     belongs to a match
--   in_transit  waits for its line or movement, or for its match, within the settlement lag
--   excepted    conflicting, or a success that nothing answers after the lag (orphan)
--   accounted   moved no money and matched nothing within the lag, speaks for an item that an earlier run wrote off, or repeats what
--               a callback with a reference of its own says
-- A line or movement answers a callback that speaks for it (contract §10.8): same currency, direction and class.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

events as {{ read_where_used() }} (

    select * from {{ ref('int_callback_events') }}

),

match_callbacks as (

    select distinct provider_event_id from {{ ref('int_match_callbacks') }}

),

known_references as (

    select * from {{ ref('int_known_references') }}

),

written_off as (

    select * from {{ ref('stg_earlier_write_offs') }}

),

unmatched as (

    select events.*
    from events
    left join match_callbacks on events.provider_event_id = match_callbacks.provider_event_id
    where match_callbacks.provider_event_id is null

),

waiting as (

    select * from unmatched
    where has_one_payload and earlier_state is distinct from 'matched'

),

referenced_callbacks as (

    select distinct waiting.provider_event_id
    from waiting
    inner join known_references
        on waiting.reference = known_references.reference and not known_references.is_own_name

),

answered as (

    select distinct waiting.provider_event_id
    from waiting
    inner join known_references
        on
            waiting.reference = known_references.reference
            and not known_references.is_own_name
            and waiting.currency = known_references.currency
            and {{ speaks_for('waiting', 'known_references') }}

    union

    select distinct waiting.provider_event_id
    from waiting
    inner join known_references
        on
            waiting.merchant_reference = known_references.reference
            and known_references.is_own_name
            and waiting.currency = known_references.currency
            and {{ speaks_for('waiting', 'known_references') }}
    left join referenced_callbacks on waiting.provider_event_id = referenced_callbacks.provider_event_id
    where referenced_callbacks.provider_event_id is null

),

written_off_references as (

    select
        coalesce(nullif(reference_keys.normalized_reference, ''), written_off.provider_reference) as reference,
        false as is_own_name,
        written_off.currency,
        written_off.amount_minor
    from written_off
    left join reference_keys on written_off.provider_reference = reference_keys.reference

    union all

    select
        case when item_type = 'ledger_transaction' then item_id else merchant_reference end as reference,
        true as is_own_name,
        currency,
        amount_minor
    from written_off

    union all

    select
        intent_id as reference,
        true as is_own_name,
        currency,
        amount_minor
    from written_off

),

-- What was given up is not waited for, and a callback that speaks for it is no orphan.
of_written_off as (

    select distinct waiting.provider_event_id
    from waiting
    inner join answered on waiting.provider_event_id = answered.provider_event_id
    left join referenced_callbacks on waiting.provider_event_id = referenced_callbacks.provider_event_id
    inner join written_off_references
        on
            written_off_references.is_own_name = (referenced_callbacks.provider_event_id is null)
            and written_off_references.reference
            = case when referenced_callbacks.provider_event_id is null then waiting.merchant_reference else waiting.reference end
            and waiting.currency = written_off_references.currency
            and (waiting.amount_minor < 0) = (written_off_references.amount_minor < 0)
    where written_off_references.reference <> ''

),

-- A success whose only reference is ours adds nothing where another success names the provider's reference and the same amount.
repeated as (

    select distinct waiting.provider_event_id
    from waiting
    inner join events as others
        on
            waiting.merchant_reference = others.merchant_reference
            and waiting.currency = others.currency
            and waiting.amount_minor = others.amount_minor
            and waiting.movement_type is not distinct from others.movement_type
    where
        waiting.callback_status = 'succeeded'
        and coalesce(nullif(waiting.provider_reference, ''), waiting.merchant_reference) = waiting.merchant_reference
        and others.callback_status = 'succeeded'
        and others.has_one_payload
        and others.provider_reference <> ''
        and others.provider_reference <> others.merchant_reference

),

aged as (

    select
        unmatched.provider_event_id,
        scope_window.business_day_number - window_days.business_day_number as age_business_days
    from unmatched
    cross join scope
    inner join windows as scope_window on scope.ledger_window = scope_window.window_date
    inner join window_days
        on
            cast(unmatched.first_received_at as date) = window_days.utc_day
            and unmatched.first_received_at >= window_days.starts_at
            and unmatched.first_received_at < window_days.ends_at

),

final as (

    select
        events.*,
        match_callbacks.provider_event_id is not null as is_matched,
        referenced_callbacks.provider_event_id is not null as is_reference_known,
        coalesce(aged.age_business_days, 0) as age_business_days,
        case
            when not events.has_one_payload then 'excepted'
            when match_callbacks.provider_event_id is not null or events.earlier_state = 'matched' then 'matched'
            when of_written_off.provider_event_id is not null then 'accounted'
            when repeated.provider_event_id is not null and answered.provider_event_id is null then 'accounted'
            when
                events.callback_status = 'succeeded'
                and answered.provider_event_id is null
                and coalesce(aged.age_business_days, 0) > profile.settlement_lag_days
                then 'excepted'
            when events.callback_status = 'succeeded' then 'in_transit'
            when coalesce(aged.age_business_days, 0) > profile.settlement_lag_days then 'accounted'
            else 'in_transit'
        end as callback_state
    from events
    cross join profile
    left join match_callbacks on events.provider_event_id = match_callbacks.provider_event_id
    left join referenced_callbacks on events.provider_event_id = referenced_callbacks.provider_event_id
    left join answered on events.provider_event_id = answered.provider_event_id
    left join of_written_off on events.provider_event_id = of_written_off.provider_event_id
    left join repeated on events.provider_event_id = repeated.provider_event_id
    left join aged on events.provider_event_id = aged.provider_event_id

)

select * from final
