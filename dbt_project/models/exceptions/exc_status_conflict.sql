-- Grain: a matched movement whose last word is failed or reversed (disputed is none), or a failed or returned line whose last
-- word is succeeded; not where everyone agrees that the money went back (int_money_gone_back). The last word is that of the callbacks
-- that speak for it (contract §10.8).

with matches as (

    select
        match_id,
        currency,
        provider_reference,
        first_transaction_id,
        ledger_minor
    from {{ ref('int_matches') }}

),

earlier_matches as (

    select
        match_id,
        currency,
        provider_reference,
        first_transaction_id,
        ledger_minor
    from {{ ref('int_earlier_matches') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where last_status in ('failed', 'reversed')

),

failed_line_words as (

    select * from {{ ref('int_failed_line_words') }}
    where last_status = 'succeeded'

),

gone_back as (

    select * from {{ ref('int_money_gone_back') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

conflicting_matches as (

    select
        matches.*,
        callback_state.last_status,
        callback_state.last_event_id
    from matches
    inner join callback_state on matches.match_id = callback_state.match_id and not callback_state.is_earlier

    union all

    select
        earlier_matches.*,
        callback_state.last_status,
        callback_state.last_event_id
    from earlier_matches
    inner join callback_state on earlier_matches.match_id = callback_state.match_id and callback_state.is_earlier

),

of_matches as (

    select
        'status_conflict' as exception_type,
        'ledger_transaction' as subject_type,
        conflicting_matches.first_transaction_id as subject_id,
        conflicting_matches.provider_reference,
        conflicting_matches.currency,
        conflicting_matches.ledger_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        conflicting_matches.match_id,
        'ledger transaction ' || conflicting_matches.first_transaction_id || ' of '
        || {{ money('conflicting_matches.ledger_minor', 'conflicting_matches.currency', 'currencies.exponent') }}
        || ' is settled, but the last word, callback ' || conflicting_matches.last_event_id || ', says '
        || conflicting_matches.last_status as explanation
    from conflicting_matches
    left join gone_back on conflicting_matches.match_id = gone_back.match_id
    left join currencies on conflicting_matches.currency = currencies.currency
    where gone_back.match_id is null

),

of_lines as (

    select
        'status_conflict' as exception_type,
        'settlement_line' as subject_type,
        failed_line_words.line_id as subject_id,
        failed_line_words.provider_reference,
        failed_line_words.currency,
        failed_line_words.gross_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || failed_line_words.line_id || ' is ' || failed_line_words.settlement_status
        || ', but the last word, callback ' || failed_line_words.last_event_id || ', says succeeded' as explanation
    from failed_line_words
    left join gone_back on failed_line_words.line_id = gone_back.line_id
    where gone_back.line_id is null

),

final as (

    select * from of_matches
    union all
    select * from of_lines

)

select * from final
