-- Grain: an exception type that says why an item is unmatched, as the seed has it. An item has one such reason at a time, the first that
-- applies by `reason_order` (contract §10.6). A reason that another run knows better is superseded; a firm one (a wrong currency) stays,
-- though its movement finds another line and a later reason would apply by now.
{{ config(materialized='view') }}

with exception_types as (

    select * from {{ ref('exception_types') }}

),

final as (

    select
        exception_type,
        unmatched_reason_order as reason_order,
        is_firm_reason
    from exception_types
    where unmatched_reason_order is not null

)

select * from final
