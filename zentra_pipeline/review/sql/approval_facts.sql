-- Grain: what the published tables say of an item that a proposal is about, as `fact` and its JSON. Parameter: $1 the ids of the items.
with wanted as (
    select unnest($1::varchar[]) as item_id
),

still_open as (
    select
        run_id,
        item_type,
        item_id,
        currency,
        provider_reference,
        amount_minor,
        opened_window,
        item_state,
        presentment_currency,
        presentment_minor
    from open_items
    where item_id in (select wanted.item_id from wanted)
),

about as (
    select distinct match_id from match_legs
    where
        match_id in (
            select matches.match_id from matches
            where matches.status = 'confirmed'
        )
        and leg_id in (select wanted.item_id from wanted)
),

legs as (
    select
        match_legs.match_id,
        match_legs.leg_type as item_type,
        match_legs.leg_id as item_id,
        match_legs.amount_minor,
        matches.currency,
        matches.provider_reference
    from match_legs
    inner join about on match_legs.match_id = about.match_id
    inner join matches on match_legs.match_id = matches.match_id
)

select
    'open' as fact,
    to_json(still_open)::varchar as content
from still_open
union all
select distinct
    'leg' as fact,
    to_json(legs)::varchar as content
from legs
union all
select
    'rollforward' as fact,
    to_json(rollforward)::varchar as content
from rollforward
where run_id in (select still_open.run_id from still_open)
union all
select
    'conservation' as fact,
    to_json(conservation)::varchar as content
from conservation
where run_id in (select still_open.run_id from still_open)
order by fact, content
