-- What a scenario may expect of exceptions. Grain: a row of the table.
select
    runs.ledger_window,
    exceptions.exception_type,
    exceptions.subject_type,
    exceptions.subject_id,
    exceptions.provider_reference,
    exceptions.currency,
    exceptions.amount_minor,
    exceptions.difference_minor,
    exceptions.owner,
    exceptions.status,
    exceptions.resolution
from exceptions
inner join runs on exceptions.run_id = runs.run_id
