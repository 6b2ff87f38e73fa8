-- Grain: a callback event and a match it belongs to, made now or earlier, found now.
-- An event belongs to a match when its provider_reference is, exactly or normalized, that of a line or movement of it, or
-- when its merchant_reference is the transaction, intent or merchant reference. A currency never meets another.

with outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

matches as (

    select * from {{ ref('int_matches') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

events as (

    select * from {{ ref('int_callback_events') }}
    where is_believed

),

matched_items as (

    select
        match_id,
        rule,
        item_type,
        item_id,
        currency,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        false as is_earlier
    from outcomes

    union all

    select
        earlier_items.match_id,
        earlier_items.rule,
        earlier_items.item_type,
        earlier_items.item_id,
        earlier_items.currency,
        earlier_items.provider_reference,
        earlier_items.normalized_reference,
        earlier_items.merchant_reference,
        earlier_items.intent_id,
        true as is_earlier
    from earlier_items
    left join reversed on earlier_items.match_id = reversed.match_id
    where reversed.match_id is null

),

-- All items of an exact match share one reference: it is read off the match.
provider_references as (

    select
        matches.match_id,
        matches.currency,
        coalesce(nullif(reference_keys.normalized_reference, ''), matches.provider_reference) as reference,
        false as is_earlier
    from matches
    left join reference_keys on matches.provider_reference = reference_keys.reference
    where matches.rule = 'exact_reference'

    union all

    select distinct
        match_id,
        currency,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference,
        is_earlier
    from matched_items
    where provider_reference <> '' and (is_earlier or rule <> 'exact_reference')

),

own_references as (

    select distinct
        match_id,
        currency,
        reference,
        is_earlier
    from (
        select
            match_id,
            currency,
            case when item_type = 'ledger_transaction' then item_id else merchant_reference end as reference,
            is_earlier
        from matched_items
        union all
        select
            match_id,
            currency,
            intent_id as reference,
            is_earlier
        from matched_items
        where item_type = 'ledger_transaction'
    ) as references_of_items
    where reference <> ''

),

keyed_events as (

    select
        events.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), events.provider_reference) as reference
    from events
    left join reference_keys on events.provider_reference = reference_keys.reference

),

found as (

    select
        keyed_events.provider_event_id,
        provider_references.match_id,
        provider_references.is_earlier
    from keyed_events
    inner join provider_references
        on
            keyed_events.reference = provider_references.reference
            and keyed_events.currency = provider_references.currency

    union

    select
        keyed_events.provider_event_id,
        own_references.match_id,
        own_references.is_earlier
    from keyed_events
    inner join own_references
        on
            keyed_events.merchant_reference = own_references.reference
            and keyed_events.currency = own_references.currency

),

earlier_callbacks as (

    select
        match_id,
        leg_id
    from {{ ref('int_earlier_legs') }}
    where leg_type = 'callback'

),

final as (

    select
        found.match_id,
        found.provider_event_id,
        found.is_earlier,
        earlier_callbacks.leg_id is not null as is_known
    from found
    left join earlier_callbacks
        on
            found.match_id = earlier_callbacks.match_id
            and found.provider_event_id = earlier_callbacks.leg_id

)

select * from final
