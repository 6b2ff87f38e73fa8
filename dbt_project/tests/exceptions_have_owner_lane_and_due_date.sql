-- Every exception has an owner, a lane, a due date and an explanation from the moment it opens.
select *
from {{ ref('exceptions') }}
where
    coalesce(owner, '') = '' or coalesce(lane, '') = '' or due_at is null or coalesce(explanation, '') = ''
