-- Grain: a decision that belongs to the run, or is about an exception of its workbook. Parameter: $1 the run.
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
    decided_at as decided_at_utc,
    actor,
    action,
    exception_id,
    resolution,
    owner,
    reason,
    result,
    replace(json_extract_string(policy, '$.rule'), '.', ', ') as policy_rule,
    json_extract_string(policy, '$.outcome') as policy_outcome,
    run_id,
    decision_id
from decisions
where run_id = $1 or exception_id in (select of_run.exception_id from of_run)
order by sequence
