-- Grain: a match with at least one callback, and what its callbacks say together.
-- `known_successes` are those an earlier run has published already.
-- The last word is taken among the callbacks that speak by provider_reference, where there are any (macro word_order).

with match_callbacks as (

    select * from {{ ref('int_match_callbacks') }}

),

events as (

    select * from {{ ref('int_callback_events') }}

),

joined as (

    select
        match_callbacks.match_id,
        match_callbacks.is_earlier,
        match_callbacks.is_known,
        match_callbacks.is_by_reference,
        events.*
    from match_callbacks
    inner join events on match_callbacks.provider_event_id = events.provider_event_id

),

-- Nearly every match has one callback; only the others need an ordered look.
several as (

    select
        match_id,
        is_earlier
    from match_callbacks
    group by match_id, is_earlier
    having count(*) > 1

),

ordered as (

    select
        joined.*,
        {{ word_order('joined', 'joined.is_by_reference') }} as word_order,
        {{ instant_digits('joined.first_received_at') }} || joined.provider_event_id as arrival_order
    from joined
    inner join several on joined.match_id = several.match_id and joined.is_earlier = several.is_earlier

),

final as (

    select
        joined.match_id,
        joined.is_earlier,
        cast(case when joined.callback_status = 'succeeded' then 1 else 0 end as bigint) as successes,
        cast(case when joined.callback_status = 'succeeded' and joined.is_known then 1 else 0 end as bigint) as known_successes,
        case when joined.callback_status = 'succeeded' then joined.first_received_at end as first_success_at,
        case when joined.callback_status = 'succeeded' then joined.provider_event_id end as first_success_event_id,
        joined.callback_status as last_status,
        joined.provider_event_id as last_event_id,
        joined.is_by_reference as is_last_by_reference,
        case when joined.callback_status = 'succeeded' then joined.amount_minor end as last_success_minor,
        case when joined.callback_status = 'succeeded' then joined.provider_event_id end as last_success_event_id
    from joined
    left join several on joined.match_id = several.match_id and joined.is_earlier = several.is_earlier
    where several.match_id is null

    union all

    select
        match_id,
        is_earlier,
        cast(sum(case when callback_status = 'succeeded' then 1 else 0 end) as bigint) as successes,
        cast(sum(case when callback_status = 'succeeded' and is_known then 1 else 0 end) as bigint) as known_successes,
        min(case when callback_status = 'succeeded' then first_received_at end) as first_success_at,
        {{ first_by("case when callback_status = 'succeeded' then provider_event_id end", 'arrival_order') }}
            as first_success_event_id,
        {{ last_by('callback_status', 'word_order') }} as last_status,
        {{ last_by('provider_event_id', 'word_order') }} as last_event_id,
        {{ last_by('is_by_reference', 'word_order') }} as is_last_by_reference,
        {{ last_by("case when callback_status = 'succeeded' then amount_minor end", 'word_order') }} as last_success_minor,
        {{ last_by("case when callback_status = 'succeeded' then provider_event_id end", 'word_order') }} as last_success_event_id
    from ordered
    group by match_id, is_earlier

)

select * from final
