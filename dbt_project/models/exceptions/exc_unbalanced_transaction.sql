-- Grain: a ledger transaction and currency whose debits and credits differ, over the entries of all providers.

with scope as (

    select * from {{ source('run', 'scope') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where debit_minor <> credit_minor

),

entries as (

    select * from {{ ref('stg_ledger_entries') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

-- A transaction may run over two providers: what is missing here may be there.
elsewhere as (

    select distinct
        entries.entry_id,
        entries.transaction_id,
        entries.currency,
        entries.signed_minor
    from entries
    inner join transactions
        on entries.transaction_id = transactions.transaction_id and entries.currency = transactions.currency
    inner join scope on entries.provider <> scope.provider and entries.posted_at < scope.window_ends_at

),

totals as (

    select
        transaction_id,
        currency,
        cast(sum(signed_minor) as bigint) as signed_minor
    from elsewhere
    group by transaction_id, currency

),

judged as (

    select
        transactions.*,
        transactions.credit_minor - transactions.debit_minor + coalesce(totals.signed_minor, 0) as imbalance_minor
    from transactions
    left join totals
        on transactions.transaction_id = totals.transaction_id and transactions.currency = totals.currency

),

final as (

    select
        'unbalanced_transaction' as exception_type,
        'ledger_transaction' as subject_type,
        judged.transaction_id as subject_id,
        judged.provider_reference,
        judged.currency,
        judged.debit_minor as amount_minor,
        cast(judged.imbalance_minor as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'ledger transaction ' || judged.transaction_id || ' debits '
        || {{ money('judged.debit_minor', 'judged.currency', 'currencies.exponent') }}
        || ' but credits '
        || {{ money('judged.credit_minor', 'judged.currency', 'currencies.exponent') }} as explanation
    from judged
    left join currencies on judged.currency = currencies.currency
    where judged.imbalance_minor <> 0

)

select * from final
