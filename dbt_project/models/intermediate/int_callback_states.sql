-- Grain: a callback event the run sees, and what became of it.
--   matched     belongs to a match
--   in_transit  waits for its line or movement, or for its match, within the settlement lag
--   excepted    conflicting, or a success that nothing answers after the lag (orphan)
--   accounted   moved no money and matched nothing within the lag, or tells of an item that an earlier run wrote off

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

events as (

    select * from {{ ref('int_callback_events') }}

),

match_callbacks as (

    select distinct provider_event_id from {{ ref('int_match_callbacks') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

written_off as (

    select * from {{ ref('stg_earlier_write_offs') }}

),

unmatched as (

    select
        events.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), events.provider_reference) as reference
    from events
    left join match_callbacks on events.provider_event_id = match_callbacks.provider_event_id
    left join reference_keys on events.provider_reference = reference_keys.reference
    where match_callbacks.provider_event_id is null

),

item_references as (

    select provider_reference as reference from lines
    union all
    select provider_reference as reference from movements
    union all
    select provider_reference as reference from earlier_items

),

keyed_references as (

    select coalesce(nullif(reference_keys.normalized_reference, ''), item_references.reference) as reference
    from item_references
    left join reference_keys on item_references.reference = reference_keys.reference

),

own_references as (

    select merchant_reference as reference from lines
    union all
    select transaction_id as reference from movements
    union all
    select intent_id as reference from movements
    union all
    select item_id as reference from earlier_items
    where item_type = 'ledger_transaction'
    union all
    select intent_id as reference from earlier_items
    union all
    select merchant_reference as reference from earlier_items

),

answered as (

    select unmatched.provider_event_id
    from unmatched
    inner join keyed_references on unmatched.reference = keyed_references.reference
    where unmatched.reference <> ''

    union

    select unmatched.provider_event_id
    from unmatched
    inner join own_references on unmatched.merchant_reference = own_references.reference
    where unmatched.merchant_reference <> ''

),

written_off_references as (

    select coalesce(nullif(reference_keys.normalized_reference, ''), written_off.provider_reference) as reference
    from written_off
    left join reference_keys on written_off.provider_reference = reference_keys.reference

),

written_off_names as (

    select merchant_reference as reference from written_off
    union all
    select intent_id as reference from written_off
    union all
    select item_id as reference from written_off
    where item_type = 'ledger_transaction'

),

-- What was given up is not waited for, and a callback that tells of it is no orphan.
of_written_off as (

    select unmatched.provider_event_id
    from unmatched
    inner join written_off_references on unmatched.reference = written_off_references.reference
    where unmatched.reference <> ''

    union

    select unmatched.provider_event_id
    from unmatched
    inner join written_off_names on unmatched.merchant_reference = written_off_names.reference
    where unmatched.merchant_reference <> ''

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
        answered.provider_event_id is not null as is_answered,
        coalesce(aged.age_business_days, 0) as age_business_days,
        case
            when not events.is_believed then 'excepted'
            when match_callbacks.provider_event_id is not null or events.earlier_state = 'matched' then 'matched'
            when of_written_off.provider_event_id is not null then 'accounted'
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
    left join answered on events.provider_event_id = answered.provider_event_id
    left join of_written_off on events.provider_event_id = of_written_off.provider_event_id
    left join aged on events.provider_event_id = aged.provider_event_id

)

select * from final
