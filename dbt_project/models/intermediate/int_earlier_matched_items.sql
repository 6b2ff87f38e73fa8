-- Grain: a line or movement leg of an earlier match that still holds and that some item or callback of this run refers to.
-- Only such matches are looked up, so a late fact costs its own references and not the whole history.
-- `amount_minor` is the compared amount of the leg as it was matched, `current_minor` what the item comes to by now: entries that
-- were restated or came late change a movement, and its match is looked up without anybody referring to it. A match of a later
-- window, or made with other clearing accounts, has nothing to say of that. `own_class` is the item's, whatever that of the match.
-- `is_gone` marks a movement that the ledger has taken away: restated to another account, currency or provider it is none any more.
-- Compared amounts are in `compared_currency`; `item_minor` is what a line compared by what the customer paid settled, in `currency`.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

lines as {{ read_where_used() }} (

    select * from {{ ref('int_settlement_lines') }}

),

movements as {{ read_where_used() }} (

    select * from {{ ref('int_movements') }}

),

events as {{ read_where_used() }} (

    select * from {{ ref('int_callback_events') }}

),

legs as (

    select * from {{ ref('int_earlier_legs') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

),

-- Of a movement that is no transaction any more the ledger still has the entries, as another currency's or provider's.
entries as (

    select distinct transaction_id
    from {{ ref('stg_ledger_entries') }}
    where
        posted_at < (select scope.window_ends_at from scope)
        and transaction_id in (select legs.leg_id from legs)

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

written_off as (

    select * from {{ ref('int_written_off_movements') }}

),

comparable_runs as (

    select earlier_runs.run_id
    from earlier_runs
    inner join scope on earlier_runs.ledger_window <= scope.ledger_window
    where earlier_runs.has_same_clearing_accounts

),

all_legs as (

    select
        legs.match_id,
        legs.rule,
        legs.leg_type as item_type,
        legs.leg_id as item_id,
        legs.currency,
        legs.compared_currency,
        legs.line_class,
        legs.difference_minor,
        legs.amount_minor,
        legs.item_minor,
        case when not legs.is_fee then deliveries.presentment_currency end as presentment_currency,
        deliveries.presentment_minor,
        deliveries.provider_reference,
        deliveries.merchant_reference,
        cast(null as varchar) as intent_id,
        deliveries.settled_at as sort_at,
        case
            when legs.rule <> 'batch_total' or legs.is_fee then legs.amount_minor
            when profile.compare_amount = 'net' then deliveries.net_minor
            else deliveries.gross_minor
        end as current_minor,
        case when legs.is_fee then 'fee' else deliveries.line_type end as own_class,
        legs.is_fee,
        false as is_gone,
        deliveries.file_sequence,
        deliveries.row_number
    from legs
    cross join profile
    inner join deliveries
        on
            case when legs.is_fee then {{ fee_line_id('legs.leg_id') }} else legs.leg_id end = deliveries.line_id
            and legs.currency = deliveries.currency
    where legs.leg_type = 'settlement_line'

    union all

    select
        legs.match_id,
        legs.rule,
        legs.leg_type as item_type,
        legs.leg_id as item_id,
        legs.currency,
        legs.compared_currency,
        legs.line_class,
        legs.difference_minor,
        legs.amount_minor,
        cast(null as bigint) as item_minor,
        cast(null as varchar) as presentment_currency,
        cast(null as bigint) as presentment_minor,
        transactions.provider_reference,
        cast(null as varchar) as merchant_reference,
        transactions.intent_id,
        transactions.posted_at as sort_at,
        case
            when comparable_runs.run_id is null or not coalesce(written_off.is_comparable, true) then legs.amount_minor
            else coalesce(transactions.clearing_minor, cast(0 as bigint)) - coalesce(written_off.written_off_minor, cast(0 as bigint))
        end as current_minor,
        transactions.line_class as own_class,
        false as is_fee,
        transactions.first_clearing_entry_id is null and comparable_runs.run_id is not null and written_off.transaction_id is null
            as is_gone,
        cast(0 as bigint) as file_sequence,
        cast(0 as bigint) as row_number
    from legs
    left join transactions
        on legs.leg_id = transactions.transaction_id and legs.currency = transactions.currency
    left join comparable_runs on legs.run_id = comparable_runs.run_id
    left join written_off
        on legs.leg_id = written_off.transaction_id and legs.currency = written_off.currency
    left join entries on legs.leg_id = entries.transaction_id
    where
        legs.leg_type = 'ledger_transaction'
        and (
            transactions.transaction_id is not null
            or comparable_runs.run_id is not null and entries.transaction_id is not null
        )

),

keyed_legs as (

    select
        all_legs.*,
        coalesce(reference_keys.normalized_reference, all_legs.provider_reference) as normalized_reference
    from all_legs
    left join reference_keys on all_legs.provider_reference = reference_keys.reference

),

leg_references as (

    select
        match_id,
        provider_reference as reference
    from keyed_legs

    union all

    select
        match_id,
        normalized_reference as reference
    from keyed_legs

    union all

    select
        match_id,
        merchant_reference as reference
    from keyed_legs

    union all

    select
        match_id,
        intent_id as reference
    from keyed_legs

    union all

    select
        match_id,
        item_id as reference
    from keyed_legs
    where item_type = 'ledger_transaction'

),

-- What this run's items and new callbacks refer to, and what a callback bridges its lines to.
named as {{ read_where_used() }} (

    select provider_reference as reference from lines
    union all
    select merchant_reference as reference from lines
    union all
    select provider_reference as reference from movements
    union all
    select intent_id as reference from movements
    union all
    select events.merchant_reference as reference
    from events
    inner join lines on events.provider_reference = lines.provider_reference
    where events.has_one_payload and events.provider_reference <> '' and not lines.is_seen_before
    union all
    select provider_reference as reference from events
    where earlier_state is null or earlier_state <> 'matched' or not has_one_payload
    union all
    select merchant_reference as reference from events
    where earlier_state is null or earlier_state <> 'matched' or not has_one_payload

),

touched as (

    select distinct leg_references.match_id
    from named
    inner join leg_references on named.reference = leg_references.reference
    where named.reference <> ''

    union

    select distinct leg_references.match_id
    from named
    inner join reference_keys on named.reference = reference_keys.reference
    inner join leg_references on reference_keys.normalized_reference = leg_references.reference

    union

    select match_id
    from keyed_legs
    where item_type = 'ledger_transaction' and (current_minor <> amount_minor or is_gone)

),

ordered_legs as (

    select
        keyed_legs.*,
        row_number() over (
            partition by keyed_legs.match_id, keyed_legs.item_type, keyed_legs.item_id
            order by keyed_legs.file_sequence desc nulls last, keyed_legs.row_number desc nulls last
        ) as age_rank
    from keyed_legs
    inner join touched on keyed_legs.match_id = touched.match_id

),

final as (

    select * exclude (age_rank, file_sequence, row_number)
    from ordered_legs
    where age_rank = 1

)

select * from final
