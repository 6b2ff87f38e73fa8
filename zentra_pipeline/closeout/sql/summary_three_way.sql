-- Grain: a currency. Parameter: $1 the run.
select
    currency,
    count(*) as movements,
    count(*) filter (has_callback) as with_callback,
    count(*) filter (has_settlement) as with_settlement,
    count(*) filter (has_ledger) as with_ledger,
    cast(coalesce(sum(callback_minor), 0) as bigint) as callback,
    cast(coalesce(sum(settlement_minor), 0) as bigint) as settlement,
    cast(coalesce(sum(ledger_minor), 0) as bigint) as ledger,
    settlement - ledger as settlement_vs_ledger,
    callback - ledger as callback_vs_ledger
from three_way
where run_id = $1
group by currency
order by currency
