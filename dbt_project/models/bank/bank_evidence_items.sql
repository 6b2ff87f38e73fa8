-- Grain: a row of the evidence that a closeout of a bank account seals, as the engine has it: the line, the payout, and what both share. No
-- intent and no signed message speaks of them, so that none is missing; a line that needs no payout lacks none. A line that
-- several files have is evidenced by the same one in whatever order they came: a statement rather than a report or notification of
-- it, and no repeat.
{{ config(meta={'instead_of': 'evidence_items'}) }}

with items as (

    select * from {{ ref('evidence_items') }}

),

accounted as (

    select line_id
    from {{ ref('int_settlement_lines') }}
    where line_type = 'adjustment'

),

deliveries as (

    select
        line_id,
        file_id,
        row_number() over (
            partition by line_id
            order by
                case when statement_type = 'statement' then 0 else 1 end asc nulls last,
                case when statement_id = first_statement_id then 0 else 1 end asc nulls last,
                statement_id asc nulls last, file_id asc nulls last, file_sequence asc nulls last, row_number asc nulls last
        ) as place
    from {{ ref('bank_line_rows') }}

),

judged as (

    select
        items.run_id,
        items.provider_reference,
        coalesce(deliveries.file_id, items.settlement_file) as settlement_file,
        items.ledger_entry,
        items.line_id,
        items.transaction_id,
        items.currency,
        items.match_id,
        items.provider_event_id,
        items.actor,
        items.actor_scope,
        items.policy,
        items.policy_result,
        items.intent_id,
        items.signature,
        items.evidence_at,
        nullif(
            concat_ws(
                ', ',
                case when items.provider_reference is null and accounted.line_id is null then 'provider_reference' end,
                case when items.settlement_file is null then 'settlement_file' end,
                case when items.ledger_entry is null and accounted.line_id is null then 'ledger_entry' end
            ),
            ''
        ) as missing
    from items
    left join accounted on items.line_id = accounted.line_id
    left join deliveries on items.line_id = deliveries.line_id and deliveries.place = 1

),

final as (

    select
        judged.run_id,
        judged.provider_reference,
        judged.settlement_file,
        judged.ledger_entry,
        judged.line_id,
        judged.transaction_id,
        judged.currency,
        judged.match_id,
        judged.provider_event_id,
        judged.actor,
        judged.actor_scope,
        judged.policy,
        judged.policy_result,
        judged.intent_id,
        judged.signature,
        case when judged.missing is null then 'audit_ready' else 'incomplete' end as evidence_status,
        judged.missing,
        judged.evidence_at
    from judged

)

select * from final
