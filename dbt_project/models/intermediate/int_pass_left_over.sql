-- Grain: an item that no pass up to `batch_total` matched, and what becomes of it with the rest of a group that a reference pass
-- left over: where the rest has a single item on one side, it matches as one group, by the pass that grouped it, with its
-- difference shown (contract §5: a partial settlement waits for its rest this way); several on both sides are ambiguous.
-- The passes are applied in their order; an item matched here is not offered to later passes.

with scope as (

    select * from {{ source('run', 'scope') }}

),

items as (

    select * from {{ ref('int_pass_batch_total') }}
    where disposition = 'free'

),

exact_reference as (

    select * from {{ ref('int_pass_exact_reference') }}
    where disposition = 'ambiguous'

),

normalized_reference as (

    select * from {{ ref('int_pass_normalized_reference') }}
    where disposition = 'ambiguous'

),

internal_reference as (

    select * from {{ ref('int_pass_internal_reference') }}
    where disposition = 'ambiguous'

),

callback_bridge as (

    select * from {{ ref('int_pass_callback_bridge') }}
    where disposition = 'ambiguous'

),

{{ rest_of_groups('exact_reference', []) }}

{{ rest_of_groups('normalized_reference', ['exact_reference']) }}

{{ rest_of_groups('internal_reference', ['exact_reference', 'normalized_reference']) }}

{{ rest_of_groups('callback_bridge', ['exact_reference', 'normalized_reference', 'internal_reference']) }}

judged as (

    select * from exact_reference_judged
    union all
    select * from normalized_reference_judged
    union all
    select * from internal_reference_judged
    union all
    select * from callback_bridge_judged

),

-- An item may be left over by several passes; at most one of them matches it.
of_items as (

    select
        item_type,
        item_id,
        currency,
        max(match_id) as match_id,
        max(case when match_id is not null then rule end) as rule
    from judged
    group by item_type, item_id, currency

),

outcomes as (

    select
        {{ item_columns('items') }},
        items.was_ambiguous or of_items.item_id is not null as was_ambiguous,
        case when of_items.match_id is not null then 'matched' else 'free' end as disposition,
        of_items.match_id,
        of_items.rule
    from items
    left join of_items
        on
            items.item_type = of_items.item_type
            and items.item_id = of_items.item_id
            and items.currency = of_items.currency

)

select * from outcomes
