-- Grain: an exception that somebody may decide about.
select
    exception_id,
    exception_type,
    subject_type,
    subject_id,
    coalesce(currency, '') as currency
from exceptions
where status <> 'resolved'
