-- Grain: an open item and currency. Parameter: $1 the run.
select
    item_type,
    item_id,
    provider_reference,
    item_state,
    opened_window,
    age_business_days,
    aging_bucket,
    currency,
    amount_minor as amount
from open_items
where run_id = $1
order by age_business_days desc, item_type asc, item_id asc, currency asc
