-- What the bank is said to have credited is what the lines of the matches come to, in every currency of a match: none is credited twice,
-- and none that the bank did not book. Blocks the publication of the run.
{{ config(tags=['bank'], meta={'dagster': {'ref': {'name': 'cash_in_transit'}}}) }}

with edition as (

    select * from {{ source('bank', 'edition') }}

),

lines as (

    select
        currency,
        cast(sum(settlement_minor) as bigint) as credited_minor
    from (
        select
            currency,
            settlement_minor
        from {{ ref('int_matches') }}
        where cardinality <> 'many_to_none'

        union all

        select
            earlier_matches.currency,
            -earlier_matches.settlement_minor as settlement_minor
        from {{ ref('int_earlier_matches') }} as earlier_matches
        inner join {{ ref('int_reversed_matches') }} as reversed on earlier_matches.match_id = reversed.match_id
        where earlier_matches.cardinality <> 'many_to_none'
    ) as matches
    group by currency

),

cash as (

    select
        currency,
        cast(sum(credited_minor) as bigint) as credited_minor
    from {{ ref('cash_in_transit') }}
    group by currency

)

select
    coalesce(lines.currency, cash.currency) as currency,
    lines.credited_minor as booked_minor,
    cash.credited_minor
from cash
full outer join lines on cash.currency = lines.currency
cross join edition
where edition.edition >= 2 and coalesce(lines.credited_minor, 0) <> coalesce(cash.credited_minor, 0)
