-- Grain: an item that is no half of a pair (int_pass_exact_pairs): what the passes look at, and what a decision has taken from them
-- (`is_decided`: written off or matched in this run).

with decided as (

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

pairs as (

    select * from {{ ref('int_pass_exact_pairs') }}

),

final as (

    select
        items.*,
        decided.item_id is not null as is_decided
    from {{ ref('int_items') }} as items
    left join pairs as line_pairs
        on
            items.item_type = 'settlement_line'
            and items.item_id = line_pairs.line_id
            and items.currency = line_pairs.currency
            and items.released_from_match_id is null
            and not items.is_fee
    left join pairs as movement_pairs
        on
            items.item_type = 'ledger_transaction'
            and items.item_id = movement_pairs.transaction_id
            and items.currency = movement_pairs.currency
            and items.released_from_match_id is null
    left join decided
        on
            items.item_type = decided.item_type
            and items.item_id = decided.item_id
            and items.currency = decided.currency
    where line_pairs.line_id is null and movement_pairs.transaction_id is null

)

select * from final
