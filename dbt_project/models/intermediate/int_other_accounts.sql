-- Grain: a reference of an unmatched item that is an exception, and an account that is not a clearing account on which a transaction
-- posts it. Such a posting is no movement; what a movement of the same reference posts on its other side is left out.
-- `amount_minor` is what the first of these transactions posts on the account, credit positive.

with clearing_accounts as (

    select * from {{ source('run', 'clearing_accounts') }}

),

scope as (

    select * from {{ source('run', 'scope') }}

),

entries as (

    select * from {{ ref('stg_ledger_entries') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where first_clearing_entry_id is not null

),

wanted as (

    select distinct provider_reference as reference
    from {{ ref('int_open_items') }}
    where
        provider_reference <> ''
        and disposition in ('free', 'ambiguous')
        and (item_type = 'settlement_line' or is_overdue)

),

named as (

    select
        entries.*,
        wanted.reference,
        row_number() over (
            partition by entries.transaction_id, entries.entry_id
            order by entries.file_sequence desc nulls last, entries.row_number desc nulls last
        ) as age_rank
    from entries
    inner join wanted on entries.provider_reference = wanted.reference
    inner join scope on entries.provider = scope.provider and entries.posted_at < scope.window_ends_at

),

on_other_accounts as (

    select
        named.reference,
        named.account,
        named.transaction_id,
        named.currency,
        min(named.posted_at) as posted_at,
        cast(sum(named.signed_minor) as bigint) as amount_minor
    from named
    left join clearing_accounts on named.account = clearing_accounts.account
    left join transactions
        on named.transaction_id = transactions.transaction_id and named.reference = transactions.provider_reference
    where named.age_rank = 1 and clearing_accounts.account is null and transactions.transaction_id is null
    group by named.reference, named.account, named.transaction_id, named.currency

),

first_of_account as (

    select
        *,
        row_number() over (
            partition by reference, account
            order by posted_at asc nulls last, transaction_id asc nulls last, currency asc nulls last
        ) as posting_rank
    from on_other_accounts

),

final as (

    select
        reference,
        account,
        transaction_id,
        currency,
        amount_minor,
        row_number() over (
            partition by reference
            order by account asc nulls last
        ) as account_rank
    from first_of_account
    where posting_rank = 1

)

select * from final
