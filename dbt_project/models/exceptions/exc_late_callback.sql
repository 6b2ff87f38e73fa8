-- Grain: the first successful callback of a match when it came after the review cut-off of the run that made the match.
-- Judged when the match is made, or when an earlier match that had none receives its first success.

with scope as (

    select * from {{ source('run', 'scope') }}

),

matches as (

    select * from {{ ref('int_matches') }}

),

earlier_matches as (

    select * from {{ ref('int_earlier_matches') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where successes > 0

),

events as (

    select * from {{ ref('int_callback_states') }}

),

judged as (

    select
        callback_state.*,
        matches.currency,
        matches.provider_reference,
        scope.review_cutoff_at
    from matches
    inner join callback_state on matches.match_id = callback_state.match_id
    cross join scope

    union all

    select
        callback_state.*,
        earlier_matches.currency,
        earlier_matches.provider_reference,
        earlier_matches.review_cutoff_at
    from earlier_matches
    inner join callback_state
        on
            earlier_matches.match_id = callback_state.match_id
            and callback_state.is_earlier
            and callback_state.known_successes = 0

),

final as (

    select
        'late_callback' as exception_type,
        'callback' as subject_type,
        judged.first_success_event_id as subject_id,
        judged.provider_reference,
        judged.currency,
        events.amount_minor,
        cast(null as bigint) as difference_minor,
        judged.match_id,
        'callback ' || judged.first_success_event_id || ' (reference ' || coalesce(judged.provider_reference, 'none')
        || ') arrived at ' || {{ instant_text('judged.first_success_at') }}
        || ', after the review cut-off ' || {{ instant_text('judged.review_cutoff_at') }} as explanation
    from judged
    inner join events on judged.first_success_event_id = events.provider_event_id
    where judged.first_success_at > judged.review_cutoff_at

)

select * from final
