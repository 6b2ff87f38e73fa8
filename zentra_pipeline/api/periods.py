"""Routes of a month: its windows closed together, its sign-off by two people. What a sign-off is, is closeout's."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field

from zentra_pipeline import identifiers
from zentra_pipeline.api import bodies, closing_steps, downloads, problems
from zentra_pipeline.api.bodies import StrictModel, json_body
from zentra_pipeline.api.closing_steps import APPROVE, PREPARE, Seen
from zentra_pipeline.api.security import Caller, Preparer, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.closeout import period as months
from zentra_pipeline.closeout import period_closing
from zentra_pipeline.closeout.period import Month
from zentra_pipeline.desk import closing_windows, exports
from zentra_pipeline.errors import UsageError

router = APIRouter(prefix="/reconciliation/periods", tags=["periods"])


class NewSignOffStep(StrictModel):
    """A step of a month's sign-off: one person prepares, another approves."""

    action: Annotated[str, *one_of((PREPARE, APPROVE))]
    reason: str | None = Field(
        default=None, min_length=1, max_length=4_096, description="Of prepare: why an earlier sign-off is amended."
    )
    seen: Seen = None


class NewWindowsStep(StrictModel):
    """A step of all windows of a month, or of some."""

    action: Annotated[str, *one_of((PREPARE, APPROVE))]
    provider: str | None = Field(default=None, max_length=64, description="Only windows of this provider.")
    ledger_window: str | None = Field(default=None, max_length=10, description="Only windows of this day, YYYY-MM-DD.")
    no_activity: bool = Field(default=False, description="Of prepare: days without a run too, as without activity.")
    seen: Seen = None


class SignOffView(BaseModel):
    """A revision of a month's sign-off; `evidence_root` is over the windows that it cites."""

    closeout_id: str
    period: str
    revision: int
    status: str
    prepared_by: str
    prepared_at: datetime
    approved_by: str | None
    sealed_at: datetime | None
    evidence_root: str
    evidence_rows: int
    chain_sequence: int | None
    seal_digest: str | None
    previous_seal: str | None
    amends: str | None
    reason: str | None
    bundle: str | None


class PeriodView(BaseModel):
    """A month: `state` is open, prepared, signed_off or reopened; `windows` counts its windows by state."""

    period: str
    state: str
    windows: dict[str, int]
    sign_off: SignOffView | None


class PeriodList(BaseModel):
    """Months that have a run or a closeout, the newest first."""

    items: list[PeriodView]


class WindowView(BaseModel):
    """A ledger window and the status of its closeout."""

    ledger_window: str
    state: str
    settlement_file: str
    run_id: str | None
    run_status: str | None
    closeout_id: str | None
    closeout_revision: int | None
    sealed_at: datetime | None
    has_activity: bool


class StatementView(BaseModel):
    """What sealed windows add up to; opening + posted − settled − written off + between = closing.

    `between_minor` is what windows of other months that were run in between changed.
    """

    currency: str
    windows: int
    opening_minor: int
    posted_minor: int
    settled_minor: int
    written_off_minor: int
    between_minor: int
    closing_minor: int


class ProviderStatementView(StatementView):
    """What the sealed windows of one provider add up to."""

    provider: str


class TotalsView(BaseModel):
    """The sealed windows of a month in figures."""

    windows: int
    providers: list[ProviderStatementView]
    currencies: list[StatementView]


class ChangeView(BaseModel):
    """A window that is other than the last sign-off says: amended, reopened or added."""

    what: str
    provider: str
    ledger_window: str
    run_id: str | None
    before: str | None
    after: str | None


class PeriodBlockerView(BaseModel):
    """What keeps a month from being signed off, and what clears it."""

    kind: str
    subject: str
    explanation: str
    remedy: str
    action: dict[str, Any]


class PeriodDetail(PeriodView):
    """A month with its windows by provider, its totals, sign-offs, blockers, and what changed since it was signed."""

    calendar: dict[str, list[WindowView]]
    totals: TotalsView
    sign_offs: list[SignOffView]
    pending_approval: dict[str, Any] | None
    changes: list[ChangeView]
    blockers: list[PeriodBlockerView]


class SignOffOutcome(SignOffView):
    """The sign-off after a step; `is_new` is false for a repeat."""

    is_new: bool
    pending_approval: dict[str, Any] | None


class WindowOutcomeView(BaseModel):
    """What became of a window: prepared, sealed, blocked or refused, and why."""

    provider: str
    ledger_window: str
    run_id: str | None
    closeout_id: str | None
    status: str
    detail: str | None


class WindowOutcomes(BaseModel):
    """The windows that the step was taken for, each accepted or refused by itself."""

    items: list[WindowOutcomeView]


@router.get("", summary="Months.", responses={200: {"model": PeriodList}, **problems.responses()})
def list_periods(caller: Reader, serving: Serving) -> Response:
    """Every month that has a run or a closeout, the newest first."""
    now = serving.now()
    found = [months.seen(caller.tenant, name, now) for name in months.months(caller.tenant)]
    return json_response({"items": [_brief(month) for month in found]})


@router.get(
    "/{period}",
    summary="A month.",
    responses={200: {"model": PeriodDetail}, **problems.responses("not-found")},
)
def show(caller: Reader, serving: Serving, period: str) -> Response:
    """Windows, totals of what is sealed, sign-offs, what blocks the next, what changed since the last."""
    return json_response(as_object(find(caller, serving, period)))


@router.post(
    "/{period}/sign-off",
    summary="Prepare or approve the sign-off of a month.",
    responses=closing_steps.responses(SignOffOutcome),
    openapi_extra=bodies.described(bodies.JSON, NewSignOffStep),
)
def sign_off(
    caller: Preparer, serving: Serving, period: str, step: Annotated[NewSignOffStep, Depends(json_body(NewSignOffStep))]
) -> Response:
    """Prepare the sign-off, or approve and seal what somebody else prepared; blockers are a 409 that names them.

    A repeated step changes nothing.
    """
    month = find(caller, serving, period)
    closing_steps.check_step(caller, step.action, step.seen, {"reason": step.reason is not None})
    result = take_step(caller, serving, month, step.action, step.reason, _seen(step.seen))
    sealed = result.sign_off
    assert sealed is not None
    pending = None if sealed.is_sealed else sealed.content
    return json_response(sealed.as_object() | {"is_new": result.is_new, "pending_approval": pending})


@router.post(
    "/{period}/windows",
    summary="Prepare or approve the windows of a month.",
    responses={
        200: {"model": WindowOutcomes},
        **problems.responses("malformed", "too-large", "media-type", "refused", "not-found", "not-configured"),
    },
    openapi_extra=bodies.described(bodies.JSON, NewWindowsStep),
)
def close_windows(
    caller: Preparer, serving: Serving, period: str, step: Annotated[NewWindowsStep, Depends(json_body(NewWindowsStep))]
) -> Response:
    """Prepare every window that can be, or approve every one that somebody else prepared; each by itself."""
    month = find(caller, serving, period)
    closing_steps.check_step(caller, step.action, step.seen, {"no_activity": step.no_activity})
    wanted = closing_windows.Wanted(step.provider, step.ledger_window)
    arguments = (caller.tenant, month.period, caller.actor, serving.now(), caller.origin, wanted)
    if step.action == APPROVE:
        done = closing_windows.approve(*arguments, seen=step.seen)
    else:
        done = closing_windows.prepare(*arguments, no_activity=step.no_activity)
    items = [outcome.as_object() | {"detail": _shown(outcome.detail)} for outcome in done]
    return json_response({"items": items})


def _seen(seen: dict[str, str] | None) -> str | None:
    """The sign-off that was looked at, as a form says it; text that is none where it is not one."""
    if seen is None:
        return None
    return period_closing.seen_as(*next(iter(seen.items()))) if len(seen) == 1 else "not one sign-off"


def _shown(detail: str | None) -> str | None:
    return None if detail is None else problems.printable(detail)


@router.get(
    "/{period}/sign-off/{revision}/bundle",
    response_class=Response,
    summary="A month's sealed bundle as a zip.",
    responses=downloads.ZIP_ANSWER,
)
def bundle(caller: Reader, period: str, revision: str) -> Response:
    """What `zentra verify` checks, once it is unpacked; `revision` counts the sign-offs of the month from 1."""
    sealed, folder = exports.signed_off(caller.tenant, period, revision)
    name = f"sign-off-{sealed.period}-r{sealed.revision}"
    return downloads.zip_of(exports.zipped_folder(caller.paths, folder, name), name)


@router.get(
    "/{period}/sign-off/{revision}/report",
    response_class=Response,
    summary="A month's sealed report.",
    responses=downloads.REPORT_ANSWER,
)
def report(caller: Reader, period: str, revision: str) -> Response:
    """The page that a sealed bundle holds."""
    sealed, folder = exports.signed_off(caller.tenant, period, revision)
    return downloads.report_in(folder, f"sign-off-{sealed.period}-r{sealed.revision}")


def find(caller: Caller, serving: Serving, period: str) -> Month:
    """A month of the caller's tenant; not found where the text is no month."""
    try:
        identifiers.period(period)
    except UsageError as cause:
        raise problems.not_found() from cause
    return months.seen(caller.tenant, period, serving.now())


def take_step(
    caller: Caller, serving: Serving, month: Month, action: str, reason: str | None, seen: str | None = None
) -> period_closing.PeriodResult:
    """Prepare or approve; a problem for what blocks it and for what is refused."""
    now, origin = serving.now(), caller.origin
    if action == PREPARE:
        result = period_closing.prepare(caller.tenant, month.period, caller.actor, now, reason, origin)
    else:
        prepared_by = None if month.prepared is None else month.prepared.prepared_by
        with closing_steps.refusals_as_problems(caller.actor, prepared_by):
            result = period_closing.approve(caller.tenant, month.period, caller.actor, now, origin, seen)
    if result.sign_off is None:
        closing_steps.raise_blocked(result.blockers)
    return result


def as_object(month: Month) -> dict[str, Any]:
    """A month as JSON."""
    return _brief(month) | {
        "calendar": {name: [each.as_object() for each in states] for name, states in month.windows.items()},
        "totals": month.totals,
        "sign_offs": [each.as_object() for each in month.sign_offs],
        "pending_approval": None if month.prepared is None else month.prepared.content,
        "changes": [change.as_object() for change in month.changes],
        "blockers": [closing_steps.shown_blocker(each) for each in month.left()],
    }


def _brief(month: Month) -> dict[str, Any]:
    return {
        "period": month.period,
        "state": month.state,
        "windows": month.counts,
        "sign_off": month.signed.as_object() if month.signed else None,
    }
