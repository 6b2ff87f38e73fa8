-- Grain: a match of this run without a successful callback by as_of, where the profile expects callbacks.
-- What cancels on one side, matched by decision, was not both settled and posted: no callback is expected.

with matches as (

    select * from {{ ref('int_matches') }}

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

final as (

    select
        'missing_callback' as exception_type,
        'ledger_transaction' as subject_type,
        matches.first_transaction_id as subject_id,
        matches.provider_reference,
        matches.currency,
        matches.ledger_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        matches.match_id,
        'ledger transaction ' || matches.first_transaction_id || ' of '
        || {{ money('matches.ledger_minor', 'matches.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(matches.provider_reference, 'none')
        || ') is settled and posted, but no callback has reported success'
        || case
            when callback_state.last_status is not null then '; the last one says ' || callback_state.last_status
            else ''
        end as explanation
    from matches
    inner join profile on profile.expects_callbacks
    left join callback_state on matches.match_id = callback_state.match_id
    left join currencies on matches.currency = currencies.currency
    where coalesce(callback_state.successes, 0) = 0 and matches.cardinality not in ('none_to_many', 'many_to_none')

)

select * from final
