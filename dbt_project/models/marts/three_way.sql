-- Grain: a money movement as callback, settlement and ledger see it: a match, an open line, an open movement, or a
-- successful callback nothing answers. Differences are a − b and null where a side is missing.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

matches as (

    select * from {{ ref('int_matches') }}

),

match_callbacks as (

    select * from {{ ref('int_match_callbacks') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}

),

callback_states as (

    select * from {{ ref('int_callback_states') }}

),

open_movements as (

    select * from {{ ref('int_open_movements') }}

),

-- In a group every reference reports its own part: the last success of each counts.
group_callbacks as (

    select
        match_id,
        cast(sum(amount_minor) as bigint) as callback_minor
    from (
        select
            match_callbacks.match_id,
            callback_states.amount_minor,
            row_number() over (
                partition by match_callbacks.match_id, callback_states.provider_reference
                order by
                    {{ word_order('callback_states', 'match_callbacks.is_by_reference') }} desc nulls last,
                    callback_states.provider_event_id desc nulls last
            ) as recency_rank
        from match_callbacks
        inner join matches
            on match_callbacks.match_id = matches.match_id and matches.cardinality <> 'one_to_one'
        inner join callback_states on match_callbacks.provider_event_id = callback_states.provider_event_id
        where callback_states.callback_status = 'succeeded'
    ) as ranked
    where recency_rank = 1
    group by match_id

),

matched as (

    select
        matches.provider_reference,
        matches.first_transaction_id as transaction_id,
        matches.first_line_id as line_id,
        matches.match_id,
        matches.currency,
        coalesce(callback_state.successes, 0) > 0 as has_callback,
        matches.lines > 0 as has_settlement,
        matches.movements > 0 as has_ledger,
        case
            when matches.cardinality = 'one_to_one' then callback_state.last_success_minor
            else group_callbacks.callback_minor
        end as callback_amount_minor,
        case when matches.lines > 0 then matches.settlement_minor end as settlement_minor,
        case when matches.movements > 0 then matches.ledger_minor end as ledger_minor,
        matches.settlement_minor as sign_minor,
        matches.settled_currency,
        matches.settled_minor
    from matches
    left join callback_state on matches.match_id = callback_state.match_id
    left join group_callbacks on matches.match_id = group_callbacks.match_id

),

all_rows as (

    select
        *,
        cast(null as varchar) as provider_event_id
    from matched
    union all
    select * from open_movements

),

signed as (

    select
        all_rows.*,
        case
            when sign_minor < 0 then -abs(callback_amount_minor)
            when sign_minor > 0 then abs(callback_amount_minor)
            else callback_amount_minor
        end as callback_minor
    from all_rows

),

final as (

    select
        scope.run_id,
        signed.provider_reference,
        signed.transaction_id,
        signed.currency,
        signed.has_callback,
        signed.has_settlement,
        signed.has_ledger,
        signed.callback_minor,
        signed.settlement_minor,
        signed.ledger_minor,
        signed.settlement_minor - signed.ledger_minor as settlement_vs_ledger_minor,
        signed.callback_minor - signed.ledger_minor as callback_vs_ledger_minor,
        signed.settlement_minor - signed.callback_minor as settlement_vs_callback_minor,
        signed.match_id,
        signed.line_id,
        signed.provider_event_id,
        signed.settled_currency,
        signed.settled_minor
    from signed
    cross join scope

)

select * from final
