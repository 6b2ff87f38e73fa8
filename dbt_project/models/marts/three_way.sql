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

open_items as (

    select
        * replace (item_minor as amount_minor),
        coalesce(nullif(normalized_reference, ''), nullif(provider_reference, '')) as reference,
        line_class as callback_class,
        {{ money_direction('line_class', 'amount_minor') }} as direction
    from {{ ref('int_open_items') }}

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

waiting as (

    select * from callback_states
    where
        not is_matched
        and has_one_payload
        and callback_status = 'succeeded'

),

by_reference as (

    select distinct
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        waiting.provider_event_id
    from open_items
    inner join waiting
        on
            open_items.reference = waiting.reference
            and open_items.currency = waiting.currency
            and {{ speaks_for('waiting', 'open_items') }}

),

-- Few wait with a reference that nothing bears.
named as (

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        waiting.provider_event_id
    from open_items
    inner join waiting
        on
            case when open_items.item_type = 'ledger_transaction' then open_items.item_id else open_items.merchant_reference end
            = waiting.merchant_reference
            and open_items.currency = waiting.currency
            and {{ speaks_for('waiting', 'open_items') }}
    where not waiting.is_reference_known and waiting.merchant_reference <> ''

    union

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        waiting.provider_event_id
    from open_items
    inner join waiting
        on
            open_items.intent_id = waiting.merchant_reference
            and open_items.currency = waiting.currency
            and {{ speaks_for('waiting', 'open_items') }}
    where not waiting.is_reference_known and waiting.merchant_reference <> ''

),

open_item_callbacks as (

    select
        *,
        true as is_by_reference
    from by_reference
    union all
    select
        *,
        false as is_by_reference
    from named

),

open_item_words as (

    select *
    from (
        select
            open_item_callbacks.item_type,
            open_item_callbacks.item_id,
            open_item_callbacks.currency,
            waiting.amount_minor,
            waiting.provider_event_id,
            row_number() over (
                partition by open_item_callbacks.item_type, open_item_callbacks.item_id, open_item_callbacks.currency
                order by
                    {{ word_order('waiting', 'open_item_callbacks.is_by_reference') }} desc nulls last,
                    waiting.provider_event_id desc nulls last
            ) as recency_rank
        from open_item_callbacks
        inner join waiting on open_item_callbacks.provider_event_id = waiting.provider_event_id
    ) as ranked
    where recency_rank = 1

),

open_rows as (

    select
        open_items.provider_reference,
        case when open_items.item_type = 'ledger_transaction' then open_items.item_id end as transaction_id,
        case when open_items.item_type = 'settlement_line' then open_items.item_id end as line_id,
        cast(null as varchar) as match_id,
        open_items.currency,
        open_item_words.item_id is not null as has_callback,
        open_items.item_type = 'settlement_line' as has_settlement,
        open_items.item_type = 'ledger_transaction' as has_ledger,
        open_item_words.amount_minor as callback_amount_minor,
        case when open_items.item_type = 'settlement_line' then open_items.amount_minor end as settlement_minor,
        case when open_items.item_type = 'ledger_transaction' then open_items.amount_minor end as ledger_minor,
        open_items.amount_minor as sign_minor,
        cast(null as varchar) as settled_currency,
        cast(null as bigint) as settled_minor,
        open_item_words.provider_event_id
    from open_items
    left join open_item_words
        on
            open_items.item_type = open_item_words.item_type
            and open_items.item_id = open_item_words.item_id
            and open_items.currency = open_item_words.currency

),

answered as (

    select distinct provider_event_id
    from open_item_callbacks

),

lone_callbacks as (

    select
        waiting.provider_reference,
        cast(null as varchar) as transaction_id,
        cast(null as varchar) as line_id,
        cast(null as varchar) as match_id,
        waiting.currency,
        true as has_callback,
        false as has_settlement,
        false as has_ledger,
        waiting.amount_minor as callback_amount_minor,
        cast(null as bigint) as settlement_minor,
        cast(null as bigint) as ledger_minor,
        waiting.amount_minor as sign_minor,
        cast(null as varchar) as settled_currency,
        cast(null as bigint) as settled_minor,
        waiting.provider_event_id
    from waiting
    left join answered on waiting.provider_event_id = answered.provider_event_id
    where
        answered.provider_event_id is null
        and waiting.earlier_state is distinct from 'matched'
        and waiting.callback_state <> 'accounted'

),

all_rows as (

    select
        *,
        cast(null as varchar) as provider_event_id
    from matched
    union all
    select * from open_rows
    union all
    select * from lone_callbacks

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
