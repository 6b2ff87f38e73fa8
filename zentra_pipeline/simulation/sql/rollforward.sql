-- Grain: a currency of a run in which anything happened.
select
    runs.ledger_window,
    rollforward.currency,
    rollforward.opening_minor,
    rollforward.posted_minor,
    rollforward.settled_minor,
    rollforward.written_off_minor,
    rollforward.closing_minor
from rollforward inner join runs on rollforward.run_id = runs.run_id
where
    rollforward.opening_minor <> 0
    or rollforward.posted_minor <> 0
    or rollforward.settled_minor <> 0
    or rollforward.written_off_minor <> 0
    or rollforward.closing_minor <> 0
