-- Grain: a match without a successful callback by as_of, where the profile expects callbacks: one of this run, or an earlier one whose
-- callback is not believed any more. A class for which no callback can speak (a fee, a reserve) misses none.
-- What cancels on one side, matched by decision, was not both settled and posted: no callback is expected.

with scope_matches as (

    select
        match_id,
        currency,
        provider_reference,
        first_transaction_id,
        ledger_minor,
        line_class,
        cardinality
    from {{ ref('int_matches') }}

),

earlier_matches as (

    select
        match_id,
        currency,
        provider_reference,
        first_transaction_id,
        ledger_minor,
        line_class,
        cardinality
    from {{ ref('int_earlier_matches') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

earlier_legs as (

    select * from {{ ref('int_earlier_legs') }}
    where leg_type = 'callback'

),

disbelieved as (

    select * from {{ ref('int_callback_states') }}
    where not has_one_payload

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

-- A second payload has come for a callback that an earlier run believed.
shaken as (

    select distinct earlier_legs.match_id
    from disbelieved
    inner join earlier_legs on disbelieved.provider_event_id = earlier_legs.leg_id
    inner join earlier_items on earlier_legs.match_id = earlier_items.match_id
    left join reversed on earlier_legs.match_id = reversed.match_id
    where reversed.match_id is null

),

judged as (

    select
        scope_matches.*,
        false as is_earlier
    from scope_matches

    union all

    select
        earlier_matches.*,
        true as is_earlier
    from earlier_matches
    inner join shaken on earlier_matches.match_id = shaken.match_id

),

final as (

    select
        'missing_callback' as exception_type,
        'ledger_transaction' as subject_type,
        judged.first_transaction_id as subject_id,
        judged.provider_reference,
        judged.currency,
        judged.ledger_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        judged.match_id,
        'ledger transaction ' || judged.first_transaction_id || ' of '
        || {{ money('judged.ledger_minor', 'judged.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(judged.provider_reference, 'none')
        || ') is settled and posted, but no callback has reported success'
        || case
            when callback_state.last_status is not null then '; the last one says ' || callback_state.last_status
            else ''
        end as explanation
    from judged
    inner join profile on profile.expects_callbacks
    left join callback_state on judged.match_id = callback_state.match_id and judged.is_earlier = callback_state.is_earlier
    left join currencies on judged.currency = currencies.currency
    where
        coalesce(callback_state.successes, 0) = 0
        and coalesce(judged.line_class, '') not in ('fee', 'reserve')
        and coalesce(judged.cardinality, '') not in ('none_to_many', 'many_to_none')

)

select * from final
