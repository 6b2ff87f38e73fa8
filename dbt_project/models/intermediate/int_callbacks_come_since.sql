-- Grain: a match of this run of which the revision before said that no callback succeeded, and one has come since: its exception
-- stays, resolved. One that was there by then, and whose file came later, was never missing.

with missed_callbacks as (

    select * from {{ source('run', 'missed_callbacks') }}

),

profile as (

    select * from {{ source('run', 'profile') }}
    where expects_callbacks

),

matches as (

    select * from {{ ref('int_matches') }}
    where coalesce(line_class, '') not in ('fee', 'reserve') and coalesce(cardinality, '') not in ('none_to_many', 'many_to_none')

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where successes > 0 and not is_earlier

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
        || ') was settled and posted without a successful callback until '
        || callback_state.first_success_event_id || ' came at '
        || {{ instant_text('callback_state.first_success_at') }} as explanation
    from matches
    inner join callback_state on matches.match_id = callback_state.match_id
    inner join missed_callbacks
        on
            matches.first_transaction_id = missed_callbacks.transaction_id
            and matches.currency = missed_callbacks.currency
            and callback_state.first_success_at > missed_callbacks.missed_as_of
    cross join profile
    left join currencies on matches.currency = currencies.currency

)

select * from final
