-- What a scenario may expect of conservation. Grain: a row of the table.
select
    runs.ledger_window,
    conservation.side,
    conservation.currency,
    conservation.rows_in,
    conservation.matched,
    conservation.in_transit,
    conservation.excepted,
    conservation.accounted,
    conservation.duplicates,
    conservation.quarantined,
    conservation.rows_unexplained,
    conservation.amount_in_minor,
    conservation.matched_minor,
    conservation.in_transit_minor,
    conservation.excepted_minor,
    conservation.accounted_minor,
    conservation.duplicates_minor,
    conservation.quarantined_minor,
    conservation.amount_unexplained_minor
from conservation
inner join runs on conservation.run_id = runs.run_id
