-- Grain: a line or payout that a run of a bank account carries forward, as `open_items` has it, in the words of the bank.
select
    run_id,
    case item_type when 'settlement_line' then 'bank_line' else 'payout' end as item_type,
    item_id,
    provider_reference as reference,
    currency,
    amount_minor,
    opened_window,
    age_business_days,
    aging_bucket,
    item_state,
    tenant_id,
    substr(provider, 6) as account_id,
    ledger_window
from open_items
where provider like 'bank:%'
