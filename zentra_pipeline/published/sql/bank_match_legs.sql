-- Grain: a leg of a match of bank lines with payouts: a line, a payout, or the fee that the bank kept of it.
select
    match_id,
    run_id,
    case leg_type when 'settlement_line' then 'bank_line' else 'payout' end as leg_type,
    leg_id,
    amount_minor,
    tenant_id,
    substr(provider, 6) as account_id,
    ledger_window
from match_legs
where provider like 'bank:%'
union all
select
    match_id,
    run_id,
    'bank_fee' as leg_type,
    match_id || '#fee' as leg_id,
    -difference_minor as amount_minor,
    tenant_id,
    substr(provider, 6) as account_id,
    ledger_window
from matches
where provider like 'bank:%' and status = 'confirmed' and method = 'tolerance' and difference_minor < 0
