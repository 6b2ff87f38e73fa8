-- Grain: an item unmatched when the run ended, in transit or excepted: what the next window carries forward. Of an item that was
-- written off in this run, the amount by which it has changed since: an item of this window.
-- A line is open in the currency it settled in; what the customer paid for all of it is beside that, where the file states it.

with scope as (

    select * from {{ source('run', 'scope') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where not is_written_off or open_minor <> 0

),

presented_lines as (

    select
        line_id,
        currency,
        presentment_currency,
        presentment_minor
    from {{ ref('int_settlement_lines') }}
    where presentment_currency <> currency and written_off_minor = 0

),

final as (

    select
        scope.run_id,
        open_items.item_type,
        open_items.item_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.open_minor as amount_minor,
        case when open_items.is_written_off then scope.ledger_window else open_items.item_window end as opened_window,
        case when open_items.is_written_off then 0 else cast(open_items.age_business_days as bigint) end as age_business_days,
        case when open_items.is_written_off then '0' else open_items.aging_bucket end as aging_bucket,
        case
            when open_items.item_type = 'settlement_line' then 'excepted'
            when open_items.is_written_off then 'in_transit'
            when open_items.disposition in ('duplicate', 'failed') or open_items.is_overdue then 'excepted'
            else 'in_transit'
        end as item_state,
        case
            when not open_items.is_written_off
                then coalesce(presented_lines.presentment_currency, nullif(open_items.compared_currency, open_items.currency))
        end as presentment_currency,
        case
            when open_items.is_written_off then null
            when presented_lines.line_id is not null then presented_lines.presentment_minor
            when open_items.compared_currency <> open_items.currency then open_items.compared_minor
        end as presentment_minor,
        open_items.is_fee
    from open_items
    cross join scope
    left join presented_lines
        on
            open_items.item_type = 'settlement_line'
            and open_items.item_id = presented_lines.line_id
            and open_items.currency = presented_lines.currency

)

select * from final
