-- Grain: a match of an earlier run that still holds (no earlier run reversed it).
-- A reversal is published as the same match_id with status `reversed`; a suggestion consumes nothing and never holds.

with matches as (

    select * from {{ ref('stg_earlier_matches') }}

),

reversed as (

    select distinct match_id
    from matches
    where status = 'reversed'

),

unreversed as (

    select matches.*
    from matches
    left join reversed on matches.match_id = reversed.match_id
    where reversed.match_id is null and matches.status = 'confirmed'

)

select * from unreversed
