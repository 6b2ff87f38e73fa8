-- A line or movement is a leg of at most one match, earlier runs included. Blocks the publication of the run.
{{ config(meta={'dagster': {'ref': {'name': 'matches'}}}) }}
with outcomes as (

    select * from {{ ref('int_item_outcomes') }}

),

repeated as (

    select
        item_type,
        item_id,
        currency,
        count(*) as appearances
    from outcomes
    group by item_type, item_id, currency
    having count(*) > 1

)

select * from repeated
