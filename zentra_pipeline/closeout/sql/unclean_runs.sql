-- Grain: a reason why a run is not prepared by itself: something of it is open or in quarantine.
with still_open as (
    select * from exceptions
    where status <> 'resolved'
)

select run_id from still_open
union
select open_items.run_id
from open_items
inner join still_open
    on
        open_items.item_type = still_open.subject_type and open_items.item_id = still_open.subject_id
        and open_items.currency = still_open.currency
union
select run_id from conservation
where quarantined > 0
