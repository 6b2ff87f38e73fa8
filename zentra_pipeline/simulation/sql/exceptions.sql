-- Grain: an exception with the window it was opened in and the last one of its escalations.
with decided as (
    select
        exception_id,
        max_by(ledger_window, sequence) as ledger_window
    from decisions
    where result = 'resolved'
    group by exception_id
)

select
    runs.ledger_window,
    exceptions.exception_id,
    exceptions.exception_type,
    exceptions.subject_type,
    exceptions.subject_id,
    exceptions.currency,
    exceptions.difference_minor,
    exceptions.resolution,
    coalesce(decided.ledger_window, resolvers.ledger_window) as resolved_window
from exceptions inner join runs on exceptions.run_id = runs.run_id
left join runs as resolvers
    on exceptions.resolved_run_id = resolvers.run_id and exceptions.resolved_by = 'system'
left join decided on exceptions.exception_id = decided.exception_id and exceptions.resolved_by <> 'system'
