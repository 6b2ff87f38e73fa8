-- Grain: one row: the digest of the distinct rows the run sees, whatever files they came in, in whatever order or number.
-- Rows are hashed one by one, combined by the first three digits of their hash and then all together.
-- A movement stands for its entries: what they add up to on either side belongs to it, and so does an imbalance anywhere.

with lines as (

    select * from {{ ref('int_settlement_lines') }}

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

    select * from {{ ref('int_callback_events') }}

),

row_hashes as (

    select
        {{ sha256_hex(joined_fields([
            "'settlement'", 'line_id', 'line_type', 'settlement_status', 'provider_reference', 'merchant_reference',
            'original_reference', 'batch_id', 'gross_minor', 'fee_minor', 'net_minor', 'currency', 'settled_at'
        ])) }} as row_hash
    from lines
    where not is_seen_before

    union all

    select
        {{ sha256_hex(joined_fields([
            "'ledger'", 'movements.transaction_id', 'movements.currency', 'movements.movement_type',
            'movements.amount_minor', 'movements.provider_reference', 'movements.intent_id', 'movements.posted_at',
            'transactions.debit_minor', 'transactions.credit_minor'
        ])) }} as row_hash
    from movements
    inner join transactions
        on movements.transaction_id = transactions.transaction_id and movements.currency = transactions.currency

    union all

    select
        {{ sha256_hex(joined_fields([
            "'unbalanced'", 'subject_id', 'currency', 'amount_minor', 'difference_minor'
        ])) }} as row_hash
    from unbalanced

    union all

    select
        {{ sha256_hex(joined_fields([
            "'callback'", 'provider_event_id', 'event_type', 'provider_reference', 'merchant_reference', 'amount_minor',
            'currency', 'callback_status', 'occurred_at', 'event_sequence', 'first_received_at', 'payloads'
        ])) }} as row_hash
    from events

),

bucket_hashes as (

    select
        left(row_hash, 3) as bucket,
        {{ sha256_hex(ordered_text_agg('row_hash', '', 'row_hash asc')) }} as bucket_hash
    from row_hashes
    group by left(row_hash, 3)

),

final as (

    select {{ sha256_hex("coalesce(" ~ ordered_text_agg('bucket || bucket_hash', '', 'bucket asc') ~ ", '')") }} as inputs_digest
    from bucket_hashes

)

select * from final
