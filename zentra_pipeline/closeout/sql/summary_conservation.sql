-- Grain: a side and currency. Parameter: $1 the run.
select
    side,
    currency,
    rows_in,
    matched,
    in_transit,
    excepted,
    accounted,
    duplicates,
    quarantined,
    rows_unexplained,
    amount_in_minor as amount_in,
    matched_minor as amount_matched,
    in_transit_minor as amount_in_transit,
    excepted_minor as amount_excepted,
    accounted_minor as amount_accounted,
    duplicates_minor as amount_duplicates,
    amount_unexplained_minor as amount_unexplained
from conservation
where run_id = $1
order by side, currency
