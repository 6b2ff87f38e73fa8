-- Grain: a distinct row the run sees, whatever the number and order of its files, as one text.
-- The text gives back its fields: first those of a fixed form, then the lengths of the free ones, then those themselves.
-- A movement represents its entries: what they add up to on either side belongs to it, and so does an imbalance anywhere.
-- Of what earlier runs have disposed of, nothing is listed again, however often it came: their digests name it. Revisions
-- of releases that read all of the past list all callbacks and intents.
-- `side`, `row_id` and `currency` are the rows' total order; the digest over all texts in that order names the inputs.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

fee_items as (

    select * from {{ ref('int_fee_items') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

),

unbalanced as (

    select * from {{ ref('exc_unbalanced_transaction') }}

),

events as (

    select * from {{ ref('int_callback_states') }}

),

intents as (

    select * from {{ ref('int_intents') }}

),

new_events as (

    select events.*
    from events
    cross join scope
    where scope.reads_whole_history or events.earlier_state is null or events.earlier_state in ('in_transit', 'excepted')

),

named_intents as (

    select intents.*
    from intents
    cross join scope
    where scope.reads_whole_history or intents.intent_id in (select movements.intent_id from movements)

),

final as (

    select
        'settlement' as side,
        line_id as row_id,
        currency,
        {{ row_text(
            "'settlement'",
            ['line_type', 'settlement_status', 'gross_minor', 'fee_minor', 'net_minor', 'currency', 'settled_at'],
            ['line_id', 'provider_reference', 'merchant_reference', 'original_reference', 'batch_id']
        ) }}
        || case
            when presentment_minor is null then '' else '|' || cast(presentment_minor as varchar) || '|' || presentment_currency
        end as row_text
    from lines
    where not is_seen_before

    union all

    -- The line of a carried fee is not listed again.
    select
        'settlement' as side,
        item_id as row_id,
        currency,
        {{ row_text("'fee'", ['amount_minor', 'currency', 'settled_at'], ['item_id', 'provider_reference', 'merchant_reference']) }}
            as row_text
    from fee_items
    where is_carried

    union all

    select
        'ledger' as side,
        movements.transaction_id as row_id,
        movements.currency,
        {{ row_text(
            "'ledger'",
            [
                'movements.movement_type', 'movements.amount_minor', 'movements.currency', 'movements.posted_at',
                'transactions.debit_minor', 'transactions.credit_minor'
            ],
            ['movements.transaction_id', 'movements.provider_reference', 'movements.intent_id']
        ) }} as row_text
    from movements
    inner join transactions
        on movements.transaction_id = transactions.transaction_id and movements.currency = transactions.currency

    union all

    select
        'unbalanced' as side,
        subject_id as row_id,
        currency,
        {{ row_text("'unbalanced'", ['amount_minor', 'difference_minor', 'currency'], ['subject_id']) }} as row_text
    from unbalanced

    union all

    select
        'callback' as side,
        provider_event_id as row_id,
        currency,
        {{ row_text(
            "'callback'",
            [
                'callback_status', 'amount_minor', 'currency', 'occurred_at', 'event_sequence', 'first_received_at', 'payloads',
                'signature_verified'
            ],
            ['provider_event_id', 'event_type', 'provider_reference', 'merchant_reference']
        ) }}
        || case when movement_type is null then '' else '|' || movement_type end as row_text
    from new_events

    union all

    select
        'intent' as side,
        intent_id as row_id,
        '' as currency,
        {{ row_text(
            "'intent'",
            ['occurred_at'],
            ['intent_id', 'event_id', 'actor', 'actor_scope', 'policy', 'policy_result']
        ) }} as row_text
    from named_intents

)

select * from final
