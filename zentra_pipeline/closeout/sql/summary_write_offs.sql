-- Grain: a side and currency. Parameter: $1 the run.
select
    case item_type when 'settlement_line' then 'settlement' else 'ledger' end as side,
    currency,
    count(*) as items,
    cast(sum(amount_minor) as bigint) as amount
from write_offs
where run_id = $1
group by item_type, currency
order by side, currency
