-- Grain: a currency of the account. Parameter: $1 the run.
select
    currency,
    statements,
    from_day,
    to_day,
    opening_minor as opening,
    lines_minor as lines,
    gap_minor as gaps,
    mismatch_minor as mismatches,
    closing_minor as closing,
    difference_minor as difference
from account_balances
where run_id = $1
order by currency
