-- Grain: a callback event and a match it speaks for, made now or earlier, found now (contract §10.8).
-- An event speaks for the matches of its currency, direction and class with a line or movement whose provider_reference equals
-- its own, exactly or normalized; the currency is that of the match, whatever its lines settled in. Only one whose
-- provider_reference is blank or that nothing known has speaks by its merchant_reference: a transaction, intent or merchant
-- reference.

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

known_references as (

    select * from {{ ref('int_known_references') }}

),

events as (

    select * from {{ ref('int_callback_events') }}
    where has_one_payload

),

matched_items as {{ read_where_used() }} (

    select
        match_id,
        rule,
        item_type,
        item_id,
        leg_currency as currency,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        false as is_earlier,
        line_class as callback_class,
        {{ money_direction('line_class', 'amount_minor') }} as direction
    from outcomes

    union all

    select
        earlier_items.match_id,
        earlier_items.rule,
        earlier_items.item_type,
        earlier_items.item_id,
        earlier_items.compared_currency as currency,
        earlier_items.provider_reference,
        earlier_items.normalized_reference,
        earlier_items.merchant_reference,
        earlier_items.intent_id,
        true as is_earlier,
        earlier_items.own_class as callback_class,
        {{ money_direction('earlier_items.own_class', 'earlier_items.current_minor') }} as direction
    from earlier_items
    left join reversed on earlier_items.match_id = reversed.match_id
    where reversed.match_id is null

),

-- All items of an exact match share one reference and one class: they are read off the match.
provider_references as (

    select
        matches.match_id,
        matches.currency,
        coalesce(nullif(reference_keys.normalized_reference, ''), matches.provider_reference) as reference,
        false as is_earlier,
        matches.line_class as callback_class,
        {{ money_direction('matches.line_class', 'matches.settlement_minor') }} as direction
    from matches
    left join reference_keys on matches.provider_reference = reference_keys.reference
    where matches.rule = 'exact_reference'

    union all

    select distinct
        match_id,
        currency,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference,
        is_earlier,
        callback_class,
        direction
    from matched_items
    where provider_reference <> '' and (is_earlier or rule <> 'exact_reference')

),

by_reference as (

    select distinct
        events.provider_event_id,
        provider_references.match_id,
        provider_references.is_earlier
    from events
    inner join provider_references
        on
            events.reference = provider_references.reference
            and events.currency = provider_references.currency
            and {{ speaks_for('events', 'provider_references') }}

),

-- Few events speak by our own name.
unheard as (

    select events.*
    from events
    left join by_reference on events.provider_event_id = by_reference.provider_event_id
    where by_reference.provider_event_id is null and events.merchant_reference <> ''

),

own_references as (

    select distinct
        match_id,
        currency,
        reference,
        is_earlier,
        callback_class,
        direction
    from (
        select
            match_id,
            currency,
            case when item_type = 'ledger_transaction' then item_id else merchant_reference end as reference,
            is_earlier,
            callback_class,
            direction
        from matched_items
        union all
        select
            match_id,
            currency,
            intent_id as reference,
            is_earlier,
            callback_class,
            direction
        from matched_items
        where item_type = 'ledger_transaction'
    ) as references_of_items
    where references_of_items.reference in (select unheard.merchant_reference from unheard)

),

named as (

    select distinct
        unheard.provider_event_id,
        unheard.reference,
        own_references.match_id,
        own_references.is_earlier
    from unheard
    inner join own_references
        on
            unheard.merchant_reference = own_references.reference
            and unheard.currency = own_references.currency
            and {{ speaks_for('unheard', 'own_references') }}

),

by_name as (

    select
        provider_event_id,
        match_id,
        is_earlier
    from named
    where not exists (
        select 1
        from known_references
        where named.reference = known_references.reference and not known_references.is_own_name
    )

),

found as (

    select
        *,
        true as is_by_reference
    from by_reference
    union all
    select
        *,
        false as is_by_reference
    from by_name

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
        found.is_by_reference,
        earlier_callbacks.leg_id is not null as is_known
    from found
    left join earlier_callbacks
        on
            found.match_id = earlier_callbacks.match_id
            and found.provider_event_id = earlier_callbacks.leg_id

)

select * from final
