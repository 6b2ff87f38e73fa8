"""Does what operators do in a scenario: they decide about exceptions and close windows. The stories are in files."""

from datetime import datetime

from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.scenarios.scenario import Close, Decide, Run, Scenario
from zentra_pipeline.tenants.tenant import Tenant


def decide(tenant: Tenant, scenario: Scenario, step: Decide, now: datetime) -> DecisionResult | None:
    """Take a decision; null when no such exception is open any more."""
    found = lake.query(
        tenant.paths,
        "select exception_id from exceptions where exception_type = ? and subject_id = ? and status <> 'resolved'",
        [step.exception_type, step.subject_id],
    )
    for (exception_id,) in found.rows:
        return deciding.decide(
            tenant,
            DecisionRequest(
                exception_id, step.action, step.actor, reason=step.reason, owner=step.owner, resolution=step.resolution
            ),
            now,
        )
    return None


def close(tenant: Tenant, scenario: Scenario, step: Close, now: datetime) -> CloseoutResult:
    """Have a window prepared by one and approved by the other; RefusedError names what blocks it."""
    asked = Run(
        settlement_file=step.settlement_file,
        bank_account=step.bank_account,
        ledger_window=step.ledger_window,
        owner=step.prepared_by,
        as_of=now,
    )
    run_id = run_requests.run_id_of(tenant.name, scenario.request(asked))
    with candidates.of_run(tenant, run_id) as candidate:
        prepared = closing.prepare(candidate, step.prepared_by, now)
    if prepared.blockers:
        raise RefusedError("; ".join(blocker.explanation for blocker in prepared.blockers))
    if prepared.status == "sealed":
        return prepared
    with candidates.of_run(tenant, run_id) as candidate:
        return closing.approve(candidate, step.approved_by, now)
