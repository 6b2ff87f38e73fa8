-- Grain: a match whose difference is beyond tolerance (subject: its first line), or whose line and ledger agree while the
-- last successful callback says another amount (subject: that callback; one line against one movement only).

with scope_matches as {{ read_where_used() }} (

    select
        match_id,
        currency,
        cardinality,
        settlement_minor,
        ledger_minor,
        difference_minor,
        first_line_id,
        first_transaction_id,
        tolerance_minor,
        provider_reference
    from {{ ref('int_matches') }}

),

-- Of two items, on one side or on both: tolerance applies to them and to nothing larger.
differing_matches as (

    select
        *,
        case when cardinality = 'one_to_one' or lines + movements = 2 then tolerance_minor else 0 end as allowed_minor
    from {{ ref('int_matches') }}
    where difference_minor <> 0

),

earlier_matches as (

    select
        match_id,
        currency,
        cardinality,
        settlement_minor,
        ledger_minor,
        difference_minor,
        first_line_id,
        first_transaction_id,
        tolerance_minor,
        provider_reference
    from {{ ref('int_earlier_matches') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}

),

match_callbacks as (

    select * from {{ ref('int_match_callbacks') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

of_lines as (

    select
        'amount_mismatch' as exception_type,
        case when differing_matches.first_line_id is null then 'ledger_transaction' else 'settlement_line' end as subject_type,
        coalesce(differing_matches.first_line_id, differing_matches.first_transaction_id) as subject_id,
        differing_matches.provider_reference,
        differing_matches.currency,
        case
            when differing_matches.first_line_id is null then differing_matches.ledger_minor
            else differing_matches.settlement_minor
        end as amount_minor,
        differing_matches.difference_minor,
        differing_matches.match_id,
        'reference ' || coalesce(differing_matches.provider_reference, 'none')
        || case
            when differing_matches.cardinality in ('none_to_many', 'many_to_none')
                then
                    ': what was matched with each other as '
                    || case when differing_matches.first_line_id is null then 'ledger transactions' else 'settlement lines' end
                    || ' that cancel, ' || coalesce(differing_matches.first_line_id, differing_matches.first_transaction_id)
                    || ' first, leaves '
                    || {{ money('abs(differing_matches.difference_minor)', 'differing_matches.currency', 'currencies.exponent') }}
            else
                ': settlement line ' || differing_matches.first_line_id
                || ' matches ledger transaction ' || differing_matches.first_transaction_id || ', but '
                || {{ money('differing_matches.settlement_minor', 'differing_matches.currency', 'currencies.exponent') }}
                || ' is not '
                || {{ money('differing_matches.ledger_minor', 'differing_matches.currency', 'currencies.exponent') }}
                || ': '
                || {{ money('abs(differing_matches.difference_minor)', 'differing_matches.currency', 'currencies.exponent') }}
                || case when differing_matches.difference_minor < 0 then ' short' else ' over' end
        end as explanation
    from differing_matches
    left join currencies on differing_matches.currency = currencies.currency
    where abs(differing_matches.difference_minor) > differing_matches.allowed_minor

),

matches_with_callbacks as (

    select
        scope_matches.*,
        callback_state.last_success_minor,
        callback_state.last_success_event_id
    from scope_matches
    inner join callback_state on scope_matches.match_id = callback_state.match_id

    union all

    select
        earlier_matches.*,
        callback_state.last_success_minor,
        callback_state.last_success_event_id
    from earlier_matches
    inner join callback_state on earlier_matches.match_id = callback_state.match_id and callback_state.is_earlier

),

amounts_of_matches as (

    select
        match_id,
        settlement_minor,
        tolerance_minor
    from scope_matches

    union all

    select
        match_id,
        settlement_minor,
        tolerance_minor
    from earlier_matches

),

signed_callbacks as (

    select
        *,
        case when settlement_minor < 0 then -abs(last_success_minor) else abs(last_success_minor) end as callback_minor
    from matches_with_callbacks
    where
        cardinality = 'one_to_one'
        and abs(difference_minor) <= tolerance_minor
        and last_success_minor is not null

),

-- Of several matches a callback is about the nearest.
differing_callbacks as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by last_success_event_id
                order by abs(callback_minor - settlement_minor) asc nulls last, match_id asc nulls last
            ) as nearness
        from signed_callbacks
        where abs(callback_minor - settlement_minor) > tolerance_minor
    ) as ranked
    where nearness = 1

),

-- A callback that speaks for several matches is about one of them: where it agrees with that one, it says nothing of the others.
agreeing_callbacks as (

    select distinct match_callbacks.provider_event_id
    from differing_callbacks
    inner join match_callbacks on differing_callbacks.last_success_event_id = match_callbacks.provider_event_id
    inner join amounts_of_matches on match_callbacks.match_id = amounts_of_matches.match_id
    where
        abs(abs(differing_callbacks.last_success_minor) - abs(amounts_of_matches.settlement_minor))
        <= amounts_of_matches.tolerance_minor

),

of_callbacks as (

    select
        'amount_mismatch' as exception_type,
        'callback' as subject_type,
        differing_callbacks.last_success_event_id as subject_id,
        differing_callbacks.provider_reference,
        differing_callbacks.currency,
        differing_callbacks.callback_minor as amount_minor,
        differing_callbacks.callback_minor - differing_callbacks.ledger_minor as difference_minor,
        differing_callbacks.match_id,
        'reference ' || coalesce(differing_callbacks.provider_reference, 'none') || ': line and ledger agree on '
        || {{ money('differing_callbacks.ledger_minor', 'differing_callbacks.currency', 'currencies.exponent') }}
        || ', but callback ' || differing_callbacks.last_success_event_id || ' says '
        || {{ money('differing_callbacks.callback_minor', 'differing_callbacks.currency', 'currencies.exponent') }} as explanation
    from differing_callbacks
    left join agreeing_callbacks on differing_callbacks.last_success_event_id = agreeing_callbacks.provider_event_id
    left join currencies on differing_callbacks.currency = currencies.currency
    where agreeing_callbacks.provider_event_id is null

),

final as (

    select * from of_lines
    union all
    select * from of_callbacks

)

select * from final
