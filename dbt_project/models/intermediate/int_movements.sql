-- Grain: a money movement (transaction and currency) that no earlier run has matched or written off; credit positive. Of one that
-- was written off, what the ledger has added to it since: an item of the window whose run sees it first.
-- The reference, intent and posting time are those of its first clearing entry by entry_id.

with scope as (

    select * from {{ source('run', 'scope') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}
    where item_type = 'ledger_transaction'

),

consumed as (

    select distinct
        leg_id,
        currency
    from {{ ref('int_earlier_legs') }}
    where leg_type = 'ledger_transaction'

),

written_off as (

    select * from {{ ref('int_written_off_movements') }}

),

final as (

    select
        transactions.transaction_id,
        transactions.currency,
        transactions.movement_type,
        transactions.line_class,
        transactions.clearing_minor - coalesce(written_off.written_off_minor, 0) as amount_minor,
        transactions.provider_reference,
        transactions.intent_id,
        transactions.posted_at,
        coalesce(
            carried.opened_window, case when written_off.transaction_id is not null then scope.ledger_window end
        ) as opened_window,
        carried.item_id is not null as is_carried
    from transactions
    cross join scope
    left join carried
        on transactions.transaction_id = carried.item_id and transactions.currency = carried.currency
    left join consumed
        on transactions.transaction_id = consumed.leg_id and transactions.currency = consumed.currency
    left join written_off
        on transactions.transaction_id = written_off.transaction_id and transactions.currency = written_off.currency
    where
        transactions.first_clearing_entry_id is not null
        and consumed.leg_id is null
        and (
            written_off.transaction_id is null
            or (written_off.is_comparable and transactions.clearing_minor <> written_off.written_off_minor)
        )

)

select * from final
