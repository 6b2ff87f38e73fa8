-- Grain: a closeout of the run, in order. Parameter: $1 the run.
select
    closeout_id,
    revision,
    status,
    run_revision,
    prepared_by,
    prepared_at,
    approved_by,
    sealed_at,
    seal_digest,
    evidence_root,
    amends,
    reason
from closeouts
where run_id = $1
order by revision
