-- Opening + paid out − credited − written off = closing, for every provider and currency. Blocks the publication of the run.
{{ config(tags=['bank']) }}
select *
from {{ ref('cash_in_transit') }}
where difference_minor <> 0
