-- Grain: a control that does not hold, as a sentence.
select 'roll-forward of ' || currency || ' in ' || run_id || ' is off by ' || difference_minor as control
from rollforward
where difference_minor <> 0
union all
select 'conservation of ' || side || ' ' || currency || ' in ' || run_id || ' does not hold'
from conservation
where
    rows_unexplained <> 0 or amount_unexplained_minor <> 0
    or rows_in <> matched + in_transit + excepted + accounted + duplicates + quarantined
union all
select 'exception ' || exception_id || ' has no owner, lane or due date'
from exceptions
where owner is null or lane is null or due_at is null
union all
select 'exception ' || exception_id || ' is there twice' from exceptions
group by exception_id
having count(*) > 1
