-- Grain: a line or movement that an earlier run left open and no earlier run matched or wrote off since: carried into this run.
-- What belongs to a later window is not seen: windows may be run in any order.
-- `amount_minor` is what the newest of those runs closed with; a restated entry may have changed the item since.

with scope as (

    select * from {{ source('run', 'scope') }}

),

open_items as (

    select * from {{ ref('stg_earlier_open_items') }}

),

legs as (

    select * from {{ ref('int_earlier_legs') }}

),

written_off as (

    select distinct
        item_type,
        item_id,
        currency
    from {{ ref('stg_earlier_write_offs') }}

),

items as (

    select
        item_type,
        item_id,
        currency,
        min(opened_window) as opened_window,
        {{ first_by('amount_minor', '-run_sequence') }} as amount_minor
    from open_items
    group by item_type, item_id, currency

),

carried as (

    select items.*
    from items
    inner join scope on items.opened_window <= scope.ledger_window
    left join legs
        on
            items.item_type = legs.leg_type
            and items.item_id = legs.leg_id
            and items.currency = legs.currency
    left join written_off
        on
            items.item_type = written_off.item_type
            and items.item_id = written_off.item_id
            and items.currency = written_off.currency
    where legs.leg_id is null and written_off.item_id is null

)

select * from carried
