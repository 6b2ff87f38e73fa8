-- Grain: a type and status of exceptions.
select
    exception_type,
    status,
    count(*) as exceptions
from exceptions
group by all
order by exception_type, status
