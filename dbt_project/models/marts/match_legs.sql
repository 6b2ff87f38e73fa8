-- Grain: a leg of a match this run made or suggests, or a callback this run found for an earlier match.
-- Of a line that is compared by what the customer paid `item_minor` of `item_currency` is what it settled; of all else null.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

suggestions as (

    select * from {{ ref('int_pass_amount_date') }}
    where disposition = 'suggested'

),

match_callbacks as (

    select * from {{ ref('int_match_callbacks') }}
    where not is_known

),

events as (

    select * from {{ ref('int_callback_states') }}

),

final as (

    select
        outcomes.match_id,
        scope.run_id,
        outcomes.item_type as leg_type,
        outcomes.item_id as leg_id,
        outcomes.leg_minor as amount_minor,
        case when outcomes.currency <> outcomes.leg_currency then outcomes.currency end as item_currency,
        case when outcomes.currency <> outcomes.leg_currency then outcomes.amount_minor end as item_minor,
        outcomes.is_fee
    from outcomes
    cross join scope

    union all

    select
        suggestions.match_id,
        scope.run_id,
        suggestions.item_type as leg_type,
        suggestions.item_id as leg_id,
        suggestions.compared_minor as amount_minor,
        case when suggestions.currency <> suggestions.compared_currency then suggestions.currency end as item_currency,
        case when suggestions.currency <> suggestions.compared_currency then suggestions.amount_minor end as item_minor,
        suggestions.is_fee
    from suggestions
    cross join scope

    union all

    select
        match_callbacks.match_id,
        scope.run_id,
        'callback' as leg_type,
        events.provider_event_id as leg_id,
        events.amount_minor,
        cast(null as varchar) as item_currency,
        cast(null as bigint) as item_minor,
        false as is_fee
    from match_callbacks
    inner join events on match_callbacks.provider_event_id = events.provider_event_id
    cross join scope

)

select * from final
