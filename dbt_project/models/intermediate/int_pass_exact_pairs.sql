-- Grain: a line and the movement that has its provider_reference, where class, currency and amount agree and no other item of the
-- class bears the reference: the pass `exact_reference` matches the two at once. Nearly every movement is a row of this kind; all
-- other items (int_unpaired_items) go through the passes.
-- What operators wrote off or matched is no such item, nor is what is compared in another currency, a fee, or what an earlier match
-- returned.

with scope as (

    select * from {{ source('run', 'scope') }}

),

decided as (

    select
        item_type,
        item_id,
        currency
    from {{ source('run', 'write_offs') }}

    union all

    select
        item_type,
        item_id,
        currency
    from {{ ref('int_pass_manual') }}

),

lines as {{ read_where_used() }} (

    select items.*
    from {{ ref('int_items') }} as items
    left join decided
        on
            items.item_type = decided.item_type
            and items.item_id = decided.item_id
            and items.currency = decided.currency
    where
        items.item_type = 'settlement_line'
        and items.provider_reference <> ''
        and decided.item_id is null

),

movements as {{ read_where_used() }} (

    select items.*
    from {{ ref('int_items') }} as items
    left join decided
        on
            items.item_type = decided.item_type
            and items.item_id = decided.item_id
            and items.currency = decided.currency
    where
        items.item_type = 'ledger_transaction'
        and items.provider_reference <> ''
        and items.line_class is not null
        and decided.item_id is null

),

lines_that_share as (

    select
        provider_reference,
        line_class
    from lines
    group by provider_reference, line_class
    having count(*) > 1

),

movements_that_share as (

    select
        provider_reference,
        line_class
    from movements
    group by provider_reference, line_class
    having count(*) > 1

),

pairs as (

    select
        lines.provider_reference,
        lines.normalized_reference,
        lines.currency,
        lines.line_class,
        lines.amount_minor,
        lines.item_id as line_id,
        lines.merchant_reference,
        lines.sort_at as settled_at,
        lines.opened_window as line_opened_window,
        lines.is_carried as is_line_carried,
        movements.item_id as transaction_id,
        movements.intent_id,
        movements.sort_at as posted_at,
        movements.opened_window as movement_opened_window,
        movements.is_carried as is_movement_carried
    from lines
    inner join movements
        on
            lines.provider_reference = movements.provider_reference
            and lines.line_class = movements.line_class
            and lines.currency = movements.currency
            and lines.amount_minor = movements.amount_minor
    left join lines_that_share
        on
            lines.provider_reference = lines_that_share.provider_reference
            and lines.line_class = lines_that_share.line_class
    left join movements_that_share
        on
            lines.provider_reference = movements_that_share.provider_reference
            and lines.line_class = movements_that_share.line_class
    where
        lines_that_share.provider_reference is null
        and movements_that_share.provider_reference is null
        and lines.compared_currency = lines.currency
        and lines.compared_minor = lines.amount_minor
        and movements.compared_currency = movements.currency
        and not lines.is_fee
        and lines.released_from_match_id is null
        and movements.released_from_match_id is null

),

final as (

    select
        {{ match_id(
            'exact_reference', 'pairs.provider_reference', 'pairs.currency', 'pairs.line_class',
            "'1:1:' || cast(pairs.amount_minor as varchar)", 'pairs.line_id', 'pairs.transaction_id'
        ) }} as match_id,
        pairs.*
    from pairs
    cross join scope

)

select * from final
