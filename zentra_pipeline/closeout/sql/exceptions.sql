-- Grain: an exception of a closeout: what the run opened, what it resolved, what it carries on open, and what its totals rest on:
-- exceptions, wherever opened, that a decision of this run ended, or whose item this run carries.
-- Parameters: $1 the run, $2 ids of exceptions that decisions of the run are about.
create table exceptions as
with listed as (
    select own_exceptions.exception_id
    from own_exceptions
    where
        own_exceptions.run_id = $1
        or own_exceptions.status <> 'resolved'
        or own_exceptions.run_sequence = (select max(newest.run_sequence) from own_exceptions as newest)
        or list_contains(cast($2 as varchar[]), own_exceptions.exception_id)
        or (own_exceptions.subject_type, own_exceptions.subject_id) in (
            select
                open_items.item_type,
                open_items.item_id
            from open_items
        )
        or (own_exceptions.subject_type, own_exceptions.subject_id) in (
            select
                write_offs.item_type,
                write_offs.item_id
            from write_offs
        )
)

select known_exceptions.* exclude (run_sequence) -- noqa: RF02
from known_exceptions
inner join listed on known_exceptions.exception_id = listed.exception_id
