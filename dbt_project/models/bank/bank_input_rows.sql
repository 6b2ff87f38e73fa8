-- Grain: a distinct row that the run of an account sees, as one text: lines and payouts that no earlier run has disposed of, and
-- every statement of the account up to its day, by what it says and not by the file that brought it.
{{ config(meta={'instead_of': 'int_input_rows'}, materialized='view') }}

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before

),

movements as (

    select * from {{ ref('int_movements') }}

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

statements as (

    select * from {{ ref('bank_statements_seen') }}

),

final as (

    select
        'bank' as side,
        line_id as row_id,
        currency,
        {{ row_text(
            "'bank'",
            ['line_type', 'gross_minor', 'currency', 'settled_at', 'presentment_minor'],
            ['line_id', 'provider_reference', 'presentment_currency']
        ) }} as row_text
    from lines

    union all

    select
        'payout' as side,
        movements.transaction_id as row_id,
        movements.currency,
        {{ row_text(
            "'payout'",
            ['movements.amount_minor', 'movements.currency', 'movements.posted_at', 'payouts.paid_out_minor', 'payouts.status'],
            ['movements.transaction_id', 'movements.provider_reference', 'payouts.provider', 'payouts.batch_id', 'payouts.trace_id']
        ) }} as row_text
    from movements
    inner join payouts on movements.transaction_id = payouts.name and movements.currency = payouts.currency

    union all

    select
        'statement' as side,
        bank || ' ' || statement_type || ' ' || statement_id as row_id,
        currency,
        {{ row_text(
            "'statement'",
            ['from_day', 'to_day', 'opening_minor', 'closing_minor', 'entries', 'currency', 'statement_type'],
            ['bank', 'statement_id', 'content_digest', 'duplicate_of']
        ) }} as row_text
    from statements

)

select * from final
