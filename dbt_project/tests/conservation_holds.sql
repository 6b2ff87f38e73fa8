-- Every row and every amount taken in is in exactly one bucket. Blocks the publication of the run.
select *
from {{ ref('conservation') }}
where rows_unexplained <> 0 or amount_unexplained_minor <> 0
