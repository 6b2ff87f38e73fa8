-- Grain: a type and status of the exceptions of the workbook. Parameter: $1 the run.
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
    exception_type,
    status,
    count(*) as exceptions
from of_run
group by exception_type, status
order by exception_type, status
