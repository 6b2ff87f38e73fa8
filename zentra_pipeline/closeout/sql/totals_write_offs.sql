-- Grain: a type and currency of write-offs.
select
    item_type,
    currency,
    count(*) as items,
    cast(sum(amount_minor) as bigint) as amount_minor
from write_offs
group by all
order by item_type, currency
