-- Grain: an open item of a run.
select
    runs.ledger_window,
    open_items.item_type,
    open_items.item_id,
    open_items.provider_reference,
    open_items.currency,
    open_items.amount_minor,
    open_items.opened_window,
    open_items.age_business_days
from open_items inner join runs on open_items.run_id = runs.run_id
