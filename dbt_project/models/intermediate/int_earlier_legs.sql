-- Grain: a leg of a match of an earlier run that still holds: what is consumed and may match no more.
-- `currency` is the item's own; `amount_minor` is what it counted for, in the currency of its match.

with legs as (

    select * from {{ ref('stg_earlier_match_legs') }}

),

matches as (

    select * from {{ ref('int_earlier_matches') }}

),

final as (

    select
        legs.match_id,
        legs.leg_type,
        legs.leg_id,
        legs.amount_minor,
        matches.run_id,
        matches.rule,
        coalesce(legs.item_currency, matches.currency) as currency,
        matches.currency as compared_currency,
        legs.item_minor,
        coalesce(legs.is_fee, false) as is_fee,
        matches.line_class,
        matches.difference_minor
    from legs
    inner join matches on legs.match_id = matches.match_id

)

select * from final
