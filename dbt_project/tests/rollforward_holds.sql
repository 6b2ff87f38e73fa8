-- Opening + posted − settled − written off = closing, in every currency. Blocks the publication of the run.
select *
from {{ ref('rollforward') }}
where difference_minor <> 0
