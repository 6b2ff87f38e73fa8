-- What a scenario may expect of closeout_evidence. Grain: a row of the table.
select
    closeouts.ledger_window,
    closeouts.revision,
    closeout_evidence.provider_reference,
    closeout_evidence.settlement_file,
    closeout_evidence.ledger_entry,
    closeout_evidence.exception_owner,
    closeout_evidence.actor,
    closeout_evidence.scope,
    closeout_evidence.policy,
    closeout_evidence.intent_id,
    closeout_evidence.signature,
    closeout_evidence.evidence_status,
    closeout_evidence.missing
from closeout_evidence
inner join closeouts on closeout_evidence.closeout_id = closeouts.closeout_id
