-- What is carried forward is what conservation says is left, on both sides, and what the roll-forward closes with. A fee that is
-- posted separately is an amount of its line's row and no row.
{{ config(meta={'dagster': {'ref': {'name': 'conservation'}}}) }}

with open_items as (

    select
        case when item_type = 'settlement_line' then 'settlement' else 'ledger' end as side,
        currency,
        cast(sum(case when is_fee then 0 else 1 end) as bigint) as items,
        cast(sum(amount_minor) as bigint) as amount_minor
    from {{ ref('open_items') }}
    group by 1, 2

),

conservation as (

    select
        side,
        currency,
        in_transit + excepted as items,
        in_transit_minor + excepted_minor as amount_minor
    from {{ ref('conservation') }}
    where side in ('settlement', 'ledger')

),

rollforward as (

    select
        'ledger' as side,
        currency,
        closing_minor as amount_minor
    from {{ ref('rollforward') }}

),

compared as (

    select
        coalesce(conservation.side, open_items.side) as side,
        coalesce(conservation.currency, open_items.currency) as currency,
        open_items.items as items_carried,
        conservation.items as items_left,
        open_items.amount_minor as carried_minor,
        conservation.amount_minor as left_minor,
        rollforward.amount_minor as closing_minor
    from conservation
    full outer join open_items
        on conservation.side = open_items.side and conservation.currency = open_items.currency
    left join rollforward
        on conservation.side = rollforward.side and conservation.currency = rollforward.currency

)

select * from compared
where
    coalesce(items_carried, 0) <> coalesce(items_left, 0)
    or coalesce(carried_minor, 0) <> coalesce(left_minor, 0)
    or (side = 'ledger' and coalesce(closing_minor, 0) <> coalesce(left_minor, 0))
