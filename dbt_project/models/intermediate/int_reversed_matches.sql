-- Grain: an earlier match with a difference that a later part joins, or one of whose movements the ledger has changed since:
-- reversed by the system, its legs matched again here with what they come to now.
-- A later part is a new line or movement of the same class, compared in the same currency, that shares the reference the match
-- was made by; items already open when the match was made do not count. A match by decision was made by no reference: operators
-- take it back.

with matched_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

fee_items as (

    select * from {{ ref('int_fee_items') }}

),

presented_lines as (

    select * from {{ ref('int_presented_lines') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

events as (

    select * from {{ ref('int_callback_events') }}
    where has_one_payload and provider_reference <> '' and merchant_reference <> ''

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

new_parts as (

    select
        'settlement_line' as item_type,
        lines.provider_reference,
        lines.merchant_reference as other_reference,
        coalesce(presented_lines.compared_currency, lines.currency) as compared_currency,
        lines.line_type as line_class
    from lines
    inner join match_line_types on lines.line_type = match_line_types.line_type
    left join presented_lines on lines.line_id = presented_lines.line_id
    where
        not lines.is_seen_before
        and not lines.is_carried
        and lines.settlement_status = 'settled'

    union all

    select
        'settlement_line' as item_type,
        provider_reference,
        merchant_reference as other_reference,
        currency as compared_currency,
        'fee' as line_class
    from fee_items
    where not is_carried

    union all

    select
        'ledger_transaction' as item_type,
        provider_reference,
        intent_id as other_reference,
        currency as compared_currency,
        line_class
    from movements
    where not is_carried

),

keyed_parts as (

    select
        new_parts.*,
        coalesce(reference_keys.normalized_reference, new_parts.provider_reference) as normalized_reference
    from new_parts
    left join reference_keys on new_parts.provider_reference = reference_keys.reference

),

unequal_items as (

    select * from matched_items
    where difference_minor <> 0 and rule <> 'manual'

),

by_reference as (

    select unequal_items.match_id
    from unequal_items
    inner join keyed_parts
        on
            unequal_items.provider_reference = keyed_parts.provider_reference
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class
    where unequal_items.provider_reference <> ''

),

by_normalized_reference as (

    select unequal_items.match_id
    from unequal_items
    inner join keyed_parts
        on
            unequal_items.normalized_reference = keyed_parts.normalized_reference
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class
    where unequal_items.rule = 'normalized_reference' and unequal_items.normalized_reference <> ''

),

-- A later line names a movement of the match, or a later movement is of the intent that a line of it names.
by_internal_reference as (

    select unequal_items.match_id
    from unequal_items
    inner join keyed_parts
        on
            unequal_items.item_id = keyed_parts.other_reference
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class
    where
        unequal_items.rule = 'internal_reference'
        and unequal_items.item_type = 'ledger_transaction'
        and keyed_parts.item_type = 'settlement_line'
        and keyed_parts.other_reference <> ''

    union

    select unequal_items.match_id
    from unequal_items
    inner join keyed_parts
        on
            unequal_items.intent_id = keyed_parts.other_reference
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class
    where
        unequal_items.rule = 'internal_reference'
        and unequal_items.item_type = 'ledger_transaction'
        and keyed_parts.item_type = 'settlement_line'
        and keyed_parts.other_reference <> ''

    union

    select unequal_items.match_id
    from unequal_items
    inner join keyed_parts
        on
            unequal_items.merchant_reference = keyed_parts.other_reference
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class
    where
        unequal_items.rule = 'internal_reference'
        and unequal_items.item_type = 'settlement_line'
        and keyed_parts.item_type = 'ledger_transaction'
        and keyed_parts.other_reference <> ''

),

-- A later movement is of the intent to which a callback bridges a line of the match, or a callback bridges a later line to a
-- movement of it (a payment that is captured in parts has a reference for each part).
by_bridge as (

    select unequal_items.match_id
    from unequal_items
    inner join events
        on
            unequal_items.provider_reference = events.provider_reference
            and unequal_items.item_type = 'settlement_line'
            and unequal_items.rule = 'callback_bridge'
    inner join keyed_parts
        on
            events.merchant_reference = keyed_parts.other_reference
            and keyed_parts.item_type = 'ledger_transaction'
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class

    union

    select unequal_items.match_id
    from unequal_items
    inner join events
        on
            unequal_items.item_id = events.merchant_reference
            and unequal_items.item_type = 'ledger_transaction'
            and unequal_items.rule = 'callback_bridge'
    inner join keyed_parts
        on
            events.provider_reference = keyed_parts.provider_reference
            and keyed_parts.item_type = 'settlement_line'
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class

    union

    select unequal_items.match_id
    from unequal_items
    inner join events
        on
            unequal_items.intent_id = events.merchant_reference
            and unequal_items.item_type = 'ledger_transaction'
            and unequal_items.rule = 'callback_bridge'
    inner join keyed_parts
        on
            events.provider_reference = keyed_parts.provider_reference
            and keyed_parts.item_type = 'settlement_line'
            and unequal_items.compared_currency = keyed_parts.compared_currency
            and unequal_items.line_class = keyed_parts.line_class

),

-- Whoever matched it, by reference, batch or decision: the money is another by now.
changed as (

    select match_id
    from matched_items
    where item_type = 'ledger_transaction' and (current_minor <> amount_minor or is_gone)

),

joined as (

    select match_id from changed
    union
    select match_id from by_reference
    union
    select match_id from by_normalized_reference
    union
    select match_id from by_internal_reference
    union
    select match_id from by_bridge

),

final as (

    select distinct
        matched_items.match_id,
        matched_items.compared_currency as currency,
        matched_items.line_class
    from matched_items
    inner join joined on matched_items.match_id = joined.match_id

)

select * from final
