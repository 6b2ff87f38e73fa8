-- What operators matched is a match of exactly the items that they named, by their method; none of it is open or met a pass.
-- A match of which an item is gone (restated away, or matched by an earlier run) is no match at all.
{{ config(meta={'dagster': {'ref': {'name': 'matches'}}}) }}

with named as (

    select * from {{ source('run', 'manual_matches') }}

),

-- What is named and is there, in a currency in which a decision may match it.
items as (

    select distinct
        named.item_type,
        named.item_id,
        named.currency
    from named
    inner join {{ ref('int_items') }} as items on named.item_type = items.item_type and named.item_id = items.item_id
    left join {{ ref('int_settlement_lines') }} as lines
        on
            named.item_type = 'settlement_line'
            and named.item_id = lines.line_id
            and named.currency = lines.presentment_currency
            and lines.written_off_minor = 0
    where named.currency in (items.currency, items.compared_currency) or lines.line_id is not null

),

complete as (

    select
        named.decision_id,
        min(named.method) as method,
        count(*) as legs
    from named
    left join items
        on named.item_type = items.item_type and named.item_id = items.item_id and named.currency = items.currency
    group by named.decision_id
    having count(*) = count(items.item_id)

),

matches as (

    select * from {{ ref('matches') }}
    where status = 'confirmed'

),

named_legs as (

    select
        named.decision_id,
        matches.match_id,
        matches.rule,
        matches.method,
        named.item_type,
        named.item_id
    from named
    inner join complete on named.decision_id = complete.decision_id
    left join {{ ref('match_legs') }} as legs
        on named.item_type = legs.leg_type and named.item_id = legs.leg_id
    left join matches on legs.match_id = matches.match_id and named.currency = matches.currency
    where legs.leg_id is null or matches.match_id is not null

),

misstated as (

    select
        complete.decision_id,
        'not one match of what it names' as fault
    from complete
    left join named_legs on complete.decision_id = named_legs.decision_id
    group by complete.decision_id, complete.method, complete.legs
    having
        count(named_legs.match_id) <> complete.legs
        or count(distinct named_legs.match_id) <> 1
        or min(named_legs.rule) <> 'manual'
        or min(named_legs.method) <> complete.method

    union all

    select
        matches.match_id as decision_id,
        'a leg that nobody named' as fault
    from matches
    inner join {{ ref('match_legs') }} as legs on matches.match_id = legs.match_id
    left join named_legs
        on
            legs.match_id = named_legs.match_id
            and legs.leg_type = named_legs.item_type
            and legs.leg_id = named_legs.item_id
    where matches.rule = 'manual' and legs.leg_type <> 'callback' and named_legs.match_id is null

    union all

    select
        complete.decision_id,
        'still open' as fault
    from complete
    inner join named on complete.decision_id = named.decision_id
    inner join {{ ref('open_items') }} as open_items
        on
            named.item_type = open_items.item_type
            and named.item_id = open_items.item_id
            and (named.currency = open_items.currency or named.item_type = 'settlement_line')

)

select * from misstated
