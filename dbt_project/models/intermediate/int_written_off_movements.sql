-- Grain: a movement that earlier runs wrote off, with what they gave up of it. What the ledger has added since is posted, and open,
-- in the run that sees it (contract §10.15), unless this run cannot compare: one of those runs is of a later window, whose entries
-- this one does not see, or was made with other clearing accounts.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

write_offs as (

    select * from {{ ref('stg_earlier_write_offs') }}
    where item_type = 'ledger_transaction'

),

final as (

    select
        write_offs.item_id as transaction_id,
        write_offs.currency,
        cast(sum(write_offs.amount_minor) as bigint) as written_off_minor,
        bool_and(earlier_runs.has_same_clearing_accounts and earlier_runs.ledger_window <= scope.ledger_window) as is_comparable
    from write_offs
    inner join earlier_runs on write_offs.run_id = earlier_runs.run_id
    cross join scope
    group by write_offs.item_id, write_offs.currency

)

select * from final
