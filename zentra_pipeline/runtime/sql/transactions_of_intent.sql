-- Grain: a transaction of an intent and an account it posts to, first posted first. Parameter: $1 intent.
select
    provider,
    transaction_id,
    account,
    min(posted_at) as posted_at
from ledger_entries
where intent_id = $1
group by provider, transaction_id, account
order by posted_at, transaction_id, account
