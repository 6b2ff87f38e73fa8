-- Grain: a line or a movement that may match in this run, both sides in one shape.
-- `amount_minor` is what an item comes to in its own currency: gross or net of a line by profile, the clearing net of a movement; of
-- either without what an earlier run wrote off. The passes compare `compared_minor` in `compared_currency`: the same, or what the
-- customer paid (int_presented_lines).
-- The fee of a line is an item of its own where fees are posted separately (`is_fee`, int_fee_items).
-- Returned items come from matches this run reverses, without movements that are gone; failed and already disposed lines take no
-- part.
{{ config(materialized='view') }}

with profile as (

    select * from {{ source('run', 'profile') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

matched_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

fee_items as (

    select * from {{ ref('int_fee_items') }}

),

presented_lines as (

    select * from {{ ref('int_presented_lines') }}

),

line_items as (

    select
        'settlement_line' as item_type,
        lines.line_id as item_id,
        lines.currency,
        lines.line_type as line_class,
        {{ line_amount('lines', 'profile') }} as amount_minor,
        lines.provider_reference,
        lines.merchant_reference,
        cast(null as varchar) as intent_id,
        lines.settled_at as sort_at,
        lines.opened_window,
        lines.is_carried,
        cast(null as varchar) as released_from_match_id,
        false as is_fee
    from lines
    inner join match_line_types on lines.line_type = match_line_types.line_type
    cross join profile
    where
        not lines.is_seen_before
        and lines.settlement_status = 'settled'

),

fees as (

    select
        'settlement_line' as item_type,
        item_id,
        currency,
        'fee' as line_class,
        amount_minor,
        provider_reference,
        merchant_reference,
        cast(null as varchar) as intent_id,
        settled_at as sort_at,
        opened_window,
        is_carried,
        cast(null as varchar) as released_from_match_id,
        true as is_fee
    from fee_items

),

movement_items as (

    select
        'ledger_transaction' as item_type,
        transaction_id as item_id,
        currency,
        line_class,
        amount_minor,
        provider_reference,
        cast(null as varchar) as merchant_reference,
        intent_id,
        posted_at as sort_at,
        opened_window,
        is_carried,
        cast(null as varchar) as released_from_match_id,
        false as is_fee
    from movements

),

returned_items as (

    select
        matched_items.item_type,
        matched_items.item_id,
        matched_items.currency,
        matched_items.own_class as line_class,
        coalesce(matched_items.item_minor, matched_items.current_minor) as amount_minor,
        matched_items.provider_reference,
        matched_items.merchant_reference,
        matched_items.intent_id,
        matched_items.sort_at,
        cast(null as date) as opened_window,
        false as is_carried,
        matched_items.match_id as released_from_match_id,
        matched_items.is_fee
    from matched_items
    inner join reversed on matched_items.match_id = reversed.match_id
    left join match_line_types on matched_items.own_class = match_line_types.line_type
    where
        not matched_items.is_gone
        and (matched_items.item_type = 'ledger_transaction' or matched_items.is_fee or match_line_types.line_type is not null)

),

items as (

    select * from line_items
    union all
    select * from fees
    union all
    select * from movement_items
    union all
    select * from returned_items

),

final as (

    select
        items.*,
        reference_keys.normalized_reference,
        coalesce(presented_lines.compared_currency, items.currency) as compared_currency,
        coalesce(presented_lines.compared_minor, items.amount_minor) as compared_minor
    from items
    left join reference_keys on items.provider_reference = reference_keys.reference
    left join presented_lines on items.item_type = 'settlement_line' and items.item_id = presented_lines.line_id

)

select * from final
