-- Grain: a money movement (transaction and currency) that no earlier run has matched or written off; credit positive.
-- The reference, intent and posting time are those of its first clearing entry by entry_id.

with transactions as (

    select * from {{ ref('int_transactions') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}
    where item_type = 'ledger_transaction'

),

consumed as (

    select
        leg_id,
        currency
    from {{ ref('int_earlier_legs') }}
    where leg_type = 'ledger_transaction'

    union

    select
        item_id as leg_id,
        currency
    from {{ ref('stg_earlier_write_offs') }}
    where item_type = 'ledger_transaction'

),

final as (

    select
        transactions.transaction_id,
        transactions.currency,
        transactions.movement_type,
        transactions.line_class,
        transactions.clearing_minor as amount_minor,
        transactions.provider_reference,
        transactions.intent_id,
        transactions.posted_at,
        carried.opened_window,
        carried.item_id is not null as is_carried
    from transactions
    left join carried
        on transactions.transaction_id = carried.item_id and transactions.currency = carried.currency
    left join consumed
        on transactions.transaction_id = consumed.leg_id and transactions.currency = consumed.currency
    where
        transactions.first_clearing_entry_id is not null
        and consumed.leg_id is null

)

select * from final
