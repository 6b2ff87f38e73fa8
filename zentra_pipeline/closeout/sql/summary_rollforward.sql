-- Grain: a currency. Parameter: $1 the run.
select
    currency,
    opening_minor as opening,
    posted_minor as posted,
    settled_minor as settled,
    written_off_minor as written_off,
    closing_minor as closing
from rollforward
where run_id = $1
order by currency
