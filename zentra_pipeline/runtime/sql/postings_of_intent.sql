-- Grain: an account that is posted to for an intent, with credits less debits. Parameters: $1 intent, $2 provider or null for any.
select
    provider,
    account,
    currency,
    cast(sum(case when direction = 'credit' then amount_minor else -amount_minor end) as bigint) as net_minor
from (
    select distinct
        provider,
        transaction_id,
        entry_id,
        account,
        currency,
        direction,
        amount_minor
    from ledger_entries
    where intent_id = $1
) as entries
where provider = coalesce($2, provider)
group by provider, account, currency
order by provider, account, currency
