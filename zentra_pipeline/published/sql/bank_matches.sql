-- Grain: a match of bank lines with payouts, as `matches` has it, in the words of the bank.
select
    match_id,
    run_id,
    rule,
    cardinality,
    method,
    status,
    currency,
    settlement_minor as bank_minor,
    ledger_minor as payout_minor,
    difference_minor,
    case when method = 'tolerance' and difference_minor < 0 then -difference_minor else cast(0 as bigint) end as fee_minor,
    provider_reference as reference,
    first_line_id as bank_line_id,
    first_transaction_id as payout_id,
    settled_currency as booked_currency,
    settled_minor as booked_minor,
    reversed_run_id,
    tenant_id,
    substr(provider, 6) as account_id,
    ledger_window
from matches
where provider like 'bank:%'
