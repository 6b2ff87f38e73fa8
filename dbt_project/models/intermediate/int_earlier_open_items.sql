-- Grain: a line or movement that an earlier run left open and no earlier run matched since: carried into this run.

with open_items as (

    select * from {{ ref('stg_earlier_open_items') }}

),

legs as (

    select * from {{ ref('int_earlier_legs') }}

),

items as (

    select
        item_type,
        item_id,
        currency,
        min(opened_window) as opened_window
    from open_items
    group by item_type, item_id, currency

),

carried as (

    select items.*
    from items
    left join legs
        on
            items.item_type = legs.leg_type
            and items.item_id = legs.leg_id
            and items.currency = legs.currency
    where legs.leg_id is null

)

select * from carried
