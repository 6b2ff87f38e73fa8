-- Grain: at most one row, the evidence of a movement in the seal that holds it. Parameters: $1 provider, $2 transaction.
select
    closeouts.closeout_id,
    closeouts.revision,
    closeouts.status,
    closeouts.sealed_at,
    closeouts.seal_digest,
    closeouts.approved_by,
    closeouts.run_id,
    evidence.evidence_status,
    evidence.signature,
    evidence.ledger_entry,
    evidence.settlement_file,
    evidence.line_id,
    evidence.provider_event_id,
    evidence.match_id
from closeout_evidence as evidence
inner join closeouts on evidence.closeout_id = closeouts.closeout_id
where
    closeouts.provider = $1 and evidence.transaction_id = $2 and closeouts.seal_digest is not null
    and (evidence.match_id is not null or evidence.provider_event_id is not null)
order by
    case when closeouts.status = 'sealed' then 0 else 1 end, closeouts.sealed_at desc,
    evidence.match_id asc nulls last, evidence.line_id asc nulls last, evidence.provider_event_id asc nulls last
limit 1
