-- Grain: a currency and status of matches.
select
    currency,
    status,
    count(*) as matches,
    cast(sum(settlement_minor) as bigint) as settlement_minor,
    cast(sum(ledger_minor) as bigint) as ledger_minor,
    cast(sum(difference_minor) as bigint) as difference_minor
from matches
group by all
order by currency, status
