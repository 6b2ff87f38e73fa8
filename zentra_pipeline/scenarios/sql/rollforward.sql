-- What a scenario may expect of rollforward. Grain: a row of the table.
select
    runs.ledger_window,
    rollforward.currency,
    rollforward.opening_minor,
    rollforward.posted_minor,
    rollforward.settled_minor,
    rollforward.written_off_minor,
    rollforward.closing_minor,
    rollforward.difference_minor
from rollforward
inner join runs on rollforward.run_id = runs.run_id
