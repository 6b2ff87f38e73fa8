-- Grain: a type, currency and age of open items. Parameter: $1 the run.
select
    item_type,
    currency,
    aging_bucket,
    count(*) as items,
    cast(sum(amount_minor) as bigint) as amount
from open_items
where run_id = $1
group by item_type, currency, aging_bucket
order by item_type, currency, min(age_business_days)
