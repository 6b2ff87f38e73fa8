"""Routes of a run's closeout: its status, preparing and approving it. What a closeout is does not belong here."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field, WithJsonSchema

from zentra_pipeline.api import approvals, bodies, closing_steps, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.closing_steps import APPROVE, PREPARE, Seen
from zentra_pipeline.api.runs import find_run
from zentra_pipeline.api.security import Caller, Preparer, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.closeout import approval, closing
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.closeouts import Closeout

router = APIRouter(prefix="/reconciliation/runs/{run_id}/closeout", tags=["closeouts"])


class NewStep(StrictModel):
    """A step of a closeout: one person prepares, another approves."""

    action: Annotated[str, *one_of((PREPARE, APPROVE))]
    reason: str | None = Field(
        default=None, min_length=1, max_length=4_096, description="Of prepare: why an earlier seal is amended."
    )
    accept_quarantine: str | None = Field(
        default=None,
        min_length=1,
        max_length=4_096,
        description="Of prepare: reason for closing with quarantined rows.",
    )
    seen: Seen = None


class CloseoutView(BaseModel):
    """One revision of a run's closeout; `bundle` is the folder of the sealed evidence, in the tenant's."""

    closeout_id: str
    run_id: str
    revision: int
    run_revision: int
    status: str
    prepared_by: str
    prepared_at: datetime
    approved_by: str | None
    sealed_at: datetime | None
    evidence_root: str
    evidence_rows: int
    evidence_status: str
    seal_digest: str | None
    previous_seal: str | None
    amends: str | None
    reason: str | None
    bundle: str | None


class CloseoutStanding(BaseModel):
    """A run's closeout status and its revisions, newest last."""

    run_id: str
    closeout_status: str
    pending_approval: Annotated[dict[str, Any] | None, WithJsonSchema(approvals.PENDING_CLOSEOUT)]
    closeouts: list[CloseoutView]


class StepOutcome(CloseoutView):
    """The closeout after a step; `is_new` is false for a repeat."""

    is_new: bool
    pending_approval: Annotated[dict[str, Any] | None, WithJsonSchema(approvals.PENDING_CLOSEOUT)]


@router.get(
    "",
    summary="State of the closeout.",
    responses={200: {"model": CloseoutStanding}, **problems.responses("not-found")},
)
def show(caller: Reader, run_id: str) -> Response:
    """The closeouts of a run, oldest first: sealed and amended, then the prepared one."""
    run = find_run(caller, run_id)
    with caller.tenant.reading() as connection:
        found = closeout_store.of_run(connection, run.run_id)
        log = decision_store.listed(connection)
    status = {"run_id": run.run_id, "closeout_status": run.closeout_status}
    waiting = [approval.kept(log, item.closeout_id) for item in found if item.chain_sequence is None]
    views = [_as_view(closeout) for closeout in found]
    return json_response(status | {"pending_approval": next(iter(waiting), None), "closeouts": views})


@router.post(
    "",
    summary="Prepare or approve the closeout.",
    responses=closing_steps.responses(StepOutcome),
    openapi_extra=bodies.described(bodies.JSON, NewStep),
)
def take_step(
    caller: Preparer, serving: Serving, run_id: str, step: Annotated[NewStep, Depends(json_body(NewStep))]
) -> Response:
    """Prepare a closeout, or approve and seal what somebody else prepared; blockers are a 409 that names them.

    A repeated step changes nothing.
    """
    of_prepare = {"reason": step.reason is not None, "accept_quarantine": step.accept_quarantine is not None}
    closing_steps.check_step(caller, step.action, step.seen, of_prepare)
    run = find_run(caller, run_id)
    with candidates.of_run(caller.tenant, run.run_id) as candidate:
        outcome = _taken(candidate, step, caller, serving)
    if outcome.closeout is None:
        closing_steps.raise_blocked(outcome.blockers)
    return json_response(_as_view(outcome.closeout) | {"is_new": outcome.is_new, "pending_approval": outcome.approval})


def _taken(candidate: CloseoutCandidate, step: NewStep, caller: Caller, serving: Serving) -> CloseoutResult:
    actor, origin = caller.actor, caller.origin
    if step.action == PREPARE:
        return closing.prepare(candidate, actor, serving.now(), step.reason, step.accept_quarantine, origin)
    prepared = candidate.prepared
    with closing_steps.refusals_as_problems(actor, None if prepared is None else prepared.prepared_by):
        return closing.approve(candidate, actor, serving.now(), origin, step.seen)


def _as_view(closeout: Closeout) -> dict[str, Any]:
    return {name: getattr(closeout, name) for name in CloseoutView.model_fields}
