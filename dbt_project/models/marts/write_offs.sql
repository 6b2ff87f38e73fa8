-- Grain: a line or movement that a decision in this run wrote off, with the amount that was approved. No pass takes it; only the
-- amount by which it has changed since is carried forward, and a counterpart that comes later has nothing to match.

with scope as (

    select * from {{ source('run', 'scope') }}

),

written_off as (

    select * from {{ ref('int_open_items') }}
    where is_written_off

),

final as (

    select
        scope.run_id,
        written_off.item_type,
        written_off.item_id,
        written_off.provider_reference,
        written_off.merchant_reference,
        written_off.intent_id,
        written_off.currency,
        written_off.amount_minor,
        written_off.item_window as opened_window,
        written_off.exception_id,
        written_off.decision_id
    from written_off
    cross join scope

)

select * from final
