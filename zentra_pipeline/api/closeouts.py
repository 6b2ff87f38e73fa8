"""Routes of a run's closeout: its status, preparing and approving it. What a closeout is does not belong here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field, WithJsonSchema

from zentra_pipeline.actors import same_person
from zentra_pipeline.api import approvals, bodies, problems, security
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.runs import find_run
from zentra_pipeline.api.security import Caller, Preparer, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.closeout import approval, closing
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.errors import OutdatedError, RefusedError
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.closeouts import Closeout

router = APIRouter(prefix="/reconciliation/runs/{run_id}/closeout", tags=["closeouts"])

PREPARE: Final = "prepare"
APPROVE: Final = "approve"


Seen = Annotated[
    dict[str, str] | None,
    Field(
        max_length=10_000,
        description="Of approve: the closeouts that were looked at, each by its id with its `prepared_at`. What was "
        "prepared again since is not approved.",
    ),
]


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
    responses={
        200: {"model": StepOutcome},
        **problems.responses(
            "malformed",
            "too-large",
            "media-type",
            "refused",
            "not-found",
            "blocked",
            "conflict",
            "outdated",
            "not-configured",
        ),
    },
    openapi_extra=bodies.described(bodies.JSON, NewStep),
)
def take_step(
    caller: Preparer, serving: Serving, run_id: str, step: Annotated[NewStep, Depends(json_body(NewStep))]
) -> Response:
    """Prepare a closeout, or approve and seal what somebody else prepared; blockers are a 409 that names them.

    A repeated step changes nothing.
    """
    check_seen(step.action, step.seen)
    if step.action == APPROVE:
        caller.require(security.APPROVE)
        if step.reason is not None or step.accept_quarantine is not None:
            raise ProblemError("invalid", "body: reason and accept_quarantine belong to prepare; leave them out")
    run = find_run(caller, run_id)
    with candidates.of_run(caller.tenant, run.run_id) as candidate:
        outcome = _taken(candidate, step, caller, serving)
    if outcome.closeout is None:
        blockers = [
            {name: problems.printable(getattr(blocker, name)) for name in ("kind", "subject", "explanation")}
            | problems.of_remedy(blocker.remedy)
            for blocker in outcome.blockers
        ]
        detail = f"{len(blockers)} blocking: {blockers[0]['explanation']}" if blockers else "The closeout is blocked."
        raise ProblemError("blocked", problems.printable(detail), members={"blockers": blockers})
    return json_response(_as_view(outcome.closeout) | {"is_new": outcome.is_new, "pending_approval": outcome.approval})


def _taken(candidate: CloseoutCandidate, step: NewStep, caller: Caller, serving: Serving) -> CloseoutResult:
    actor, origin = caller.actor, caller.origin
    if step.action == PREPARE:
        return closing.prepare(candidate, actor, serving.now(), step.reason, step.accept_quarantine, origin)
    prepared = candidate.prepared
    if prepared is not None and step.seen is not None and step.seen != {prepared.closeout_id: prepared.prepared_at}:
        raise OutdatedError(
            f"closeout {prepared.closeout_id}, prepared {prepared.prepared_at}, is not what was looked at: look again"
        )
    try:
        return closing.approve(candidate, actor, serving.now(), origin)
    except RefusedError as cause:
        is_same = candidate.prepared is not None and same_person(actor, candidate.prepared.prepared_by)
        kind = "refused" if is_same else "conflict"
        members = problems.of_remedy(cause.remedy)
        raise ProblemError(kind, problems.printable(str(cause)), members=members) from cause


def check_seen(action: str, seen: Mapping[str, str] | None) -> None:
    """Refuse a `seen` of somebody who approves nothing."""
    if action != APPROVE and seen is not None:
        raise ProblemError("invalid", "body: seen belongs to approve; leave it out")


def _as_view(closeout: Closeout) -> dict[str, Any]:
    return {name: getattr(closeout, name) for name in CloseoutView.model_fields}
