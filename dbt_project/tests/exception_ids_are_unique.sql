-- An exception stands once in what a run publishes.
select exception_id
from {{ ref('exceptions') }}
group by exception_id
having count(*) > 1
