-- Grain: an item and what all passes together made of it: matched, duplicate, ambiguous or free.
-- `currency` and `amount_minor` are the item's own; in its match it counts for `leg_minor` of `leg_currency`.
{{ config(materialized='view') }}

with pairs as {{ read_where_used() }} (

    select * from {{ ref('int_pass_exact_pairs') }}

),

unpaired as (

    select * from {{ ref('int_unpaired_outcomes') }}

),

final as (

    select
        'settlement_line' as item_type,
        line_id as item_id,
        currency,
        line_class,
        amount_minor,
        currency as compared_currency,
        amount_minor as compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        cast(null as varchar) as intent_id,
        settled_at as sort_at,
        line_opened_window as opened_window,
        is_line_carried as is_carried,
        cast(null as varchar) as released_from_match_id,
        false as is_fee,
        'matched' as disposition,
        match_id,
        'exact_reference' as rule,
        line_class as match_class,
        currency as leg_currency,
        amount_minor as leg_minor,
        false as is_batch_line
    from pairs

    union all

    select
        'ledger_transaction' as item_type,
        transaction_id as item_id,
        currency,
        line_class,
        amount_minor,
        currency as compared_currency,
        amount_minor as compared_minor,
        provider_reference,
        normalized_reference,
        cast(null as varchar) as merchant_reference,
        intent_id,
        posted_at as sort_at,
        movement_opened_window as opened_window,
        is_movement_carried as is_carried,
        cast(null as varchar) as released_from_match_id,
        false as is_fee,
        'matched' as disposition,
        match_id,
        'exact_reference' as rule,
        line_class as match_class,
        currency as leg_currency,
        amount_minor as leg_minor,
        false as is_batch_line
    from pairs

    union all

    select * from unpaired

)

select * from final
