-- Grain: a payout that the run of a bank account judged. Parameter: $1 the run.
select
    payout_provider,
    payout_id,
    batch_id,
    status,
    currency,
    paid_out_minor as paid_out,
    returned_minor as returned,
    credited_minor - fee_minor as credited,
    fee_minor as fee,
    paid_on,
    expected_to,
    credited_on,
    trace_id,
    match_id,
    reported_run_id
from payout_states
where run_id = $1
order by payout_provider asc, paid_on asc, payout_id asc, currency asc
