-- Grain: a provider and currency. Parameter: $1 the run.
select
    payout_provider,
    currency,
    opening_minor as opening,
    paid_out_minor as paid_out,
    credited_minor as credited,
    coalesce(fee_minor, 0) as fee,
    coalesce(returned_minor, 0) as returned,
    written_off_minor as written_off,
    coalesce(short_minor, 0) as short,
    closing_minor as closing,
    difference_minor as difference
from cash_in_transit
where run_id = $1
order by payout_provider asc, currency asc
