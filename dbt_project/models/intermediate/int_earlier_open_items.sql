-- Grain: a line or movement that an earlier run left open and no earlier run matched or wrote off since: carried into this run.
-- What was left open of an item when it was written off, or after, is an item of its own.
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

    select
        item_type,
        item_id,
        currency,
        max(run_sequence) as last_sequence
    from {{ ref('stg_earlier_write_offs') }}
    group by item_type, item_id, currency

),

items as (

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        coalesce(open_items.is_fee, false) as is_fee,
        min(open_items.opened_window) as opened_window,
        {{ first_by('open_items.amount_minor', '-open_items.run_sequence') }} as amount_minor
    from open_items
    left join written_off
        on
            open_items.item_type = written_off.item_type
            and open_items.item_id = written_off.item_id
            and open_items.currency = written_off.currency
    where open_items.run_sequence >= coalesce(written_off.last_sequence, -1)
    group by open_items.item_type, open_items.item_id, open_items.currency, coalesce(open_items.is_fee, false)

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
    where legs.leg_id is null

)

select * from carried
