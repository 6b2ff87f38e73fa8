-- Grain: a currency with ledger entries that came again. The run that meets them first counts them, whatever becomes of their
-- movement.
{{ config(materialized='view') }}

with transactions as (

    select * from {{ ref('int_transactions') }}

),

final as (

    select
        transactions.currency,
        cast(sum(transactions.redeliveries) as bigint) as row_count,
        cast(sum(transactions.redelivered_minor) as bigint) as amount_minor
    from transactions
    where transactions.first_clearing_entry_id is not null
    group by transactions.currency
    having sum(transactions.redeliveries) > 0

)

select * from final
