-- Grain: a currency of movements.
select
    currency,
    count(*) as movements,
    count(*) filter (where has_callback) as with_callback,
    count(*) filter (where has_settlement) as with_settlement,
    count(*) filter (where has_ledger) as with_ledger,
    cast(coalesce(sum(callback_minor), 0) as bigint) as callback_minor,
    cast(coalesce(sum(settlement_minor), 0) as bigint) as settlement_minor,
    cast(coalesce(sum(ledger_minor), 0) as bigint) as ledger_minor
from three_way
group by currency
order by currency
