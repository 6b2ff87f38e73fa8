-- Grain: an item unmatched when the run ended, in transit or excepted: what the next window carries forward.

with scope as (

    select * from {{ source('run', 'scope') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where not is_written_off

),

final as (

    select
        scope.run_id,
        open_items.item_type,
        open_items.item_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        open_items.item_window as opened_window,
        cast(open_items.age_business_days as bigint) as age_business_days,
        open_items.aging_bucket,
        case
            when open_items.disposition in ('duplicate', 'failed') then 'excepted'
            when open_items.item_type = 'settlement_line' or open_items.is_overdue then 'excepted'
            else 'in_transit'
        end as item_state
    from open_items
    cross join scope

)

select * from final
