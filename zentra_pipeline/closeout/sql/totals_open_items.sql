-- Grain: a type and currency of open items.
select
    item_type,
    currency,
    count(*) as items,
    cast(sum(amount_minor) as bigint) as amount_minor
from open_items
group by all
order by item_type, currency
