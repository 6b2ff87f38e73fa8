-- Grain: a currency and status of matches. Parameter: $1 the run.
select
    currency,
    status,
    count(*) as matches,
    cast(sum(settlement_minor) as bigint) as settlement,
    cast(sum(ledger_minor) as bigint) as ledger,
    cast(sum(difference_minor) as bigint) as difference
from matches
where run_id = $1 or reversed_run_id = $1
group by currency, status
order by currency, status
