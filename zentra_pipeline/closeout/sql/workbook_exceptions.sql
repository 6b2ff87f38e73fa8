-- Grain: an exception that the run opened or resolved, or carries on of the earlier runs of its provider. Parameter: $1 the run.
with of_provider as (
    select earlier.run_id
    from runs as earlier
    inner join runs as this on earlier.provider = this.provider and earlier.created_at <= this.created_at
    where this.run_id = $1
),

of_run as (
    select * from exceptions
    where
        run_id = $1
        or resolved_run_id = $1
        or (status <> 'resolved' and run_id in (select of_provider.run_id from of_provider))
)

select
    exception_id,
    exception_type,
    severity,
    status,
    resolution,
    owner,
    lane,
    subject_type,
    subject_id,
    provider_reference,
    currency,
    amount_minor as amount,
    difference_minor as difference,
    due_at as due_at_utc,
    opened_at as opened_at_utc,
    explanation,
    run_id as opened_by_run,
    resolved_run_id as resolved_by_run
from of_run
order by
    case severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2 else 3 end,
    status = 'resolved',
    exception_id
