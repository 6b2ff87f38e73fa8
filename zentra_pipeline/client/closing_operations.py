"""Calls about what a run came to and how it is closed: rows, closeout, approvals, files to take along."""

from collections.abc import Mapping
from typing import Final

from zentra_pipeline.client.exchange import Listing, Script, Session, answer_of, answered, get, post
from zentra_pipeline.client.models import Approval, CloseoutState, CloseoutStep, Download, Event, ExceptionRow, Row
from zentra_pipeline.client.operations import below, listing

_RUNS: Final = "/reconciliation/runs"
_PERIODS: Final = "/reconciliation/periods"


def list_matches(session: Session, run_id: str, *, after: str | None = None, page_size: int = 100) -> Listing[Row]:
    """The matches of a run, those it took back among them."""
    return listing(session, below(_RUNS, run_id, "matches"), Row, {"limit": page_size}, after)


def list_three_way(session: Session, run_id: str, *, after: str | None = None, page_size: int = 100) -> Listing[Row]:
    """Every money movement of a run as all three sides see it."""
    return listing(session, below(_RUNS, run_id, "three-way"), Row, {"limit": page_size}, after)


def list_evidence(session: Session, run_id: str, *, after: str | None = None, page_size: int = 100) -> Listing[Row]:
    """The rows of evidence that the newest seal of a run holds."""
    return listing(session, below(_RUNS, run_id, "evidence"), Row, {"limit": page_size}, after)


def list_run_exceptions(
    session: Session, run_id: str, *, after: str | None = None, page_size: int = 100
) -> Listing[ExceptionRow]:
    """The exceptions that a run opened, as they are now."""
    return listing(session, below(_RUNS, run_id, "exceptions"), ExceptionRow, {"limit": page_size}, after)


def list_run_events(session: Session, run_id: str, *, after: str | None = None, page_size: int = 100) -> Listing[Event]:
    """The events of a run, in the order of the log."""
    return listing(session, below(_RUNS, run_id, "events"), Event, {"limit": page_size}, after)


def get_closeout(session: Session, run_id: str) -> Script[CloseoutState]:
    """The closeouts of a run, oldest first, and what is prepared with its figures."""
    found = yield from answer_of(session, get(below(_RUNS, run_id, "closeout")), CloseoutState)
    return found


def close_run(
    session: Session,
    run_id: str,
    *,
    action: str,
    reason: str | None = None,
    accept_quarantine: str | None = None,
    seen: Mapping[str, str] | None = None,
) -> Script[CloseoutStep]:
    """`prepare` the closeout of a run, or `approve` what somebody else prepared; a repeat changes nothing.

    `seen` is the closeout that was looked at, by its id with its `prepared_at`: another one is a ConflictError, as what
    blocks it is. ForbiddenError for whoever prepared it.
    """
    content = {"action": action, "reason": reason, "accept_quarantine": accept_quarantine, "seen": seen}
    step = yield from answer_of(session, post(below(_RUNS, run_id, "closeout"), content), CloseoutStep)
    return step


def list_approvals(session: Session, *, after: str | None = None, page_size: int = 100) -> Listing[Approval]:
    """Everything that waits for a second person, with what there is to approve."""
    return listing(session, "/reconciliation/approvals", Approval, {"limit": page_size}, after)


def run_bundle(session: Session, run_id: str, revision: int, *, attachments: bool = False) -> Script[Download]:
    """A sealed bundle of a run as a zip, with the files attached to its comments where wanted."""
    found = yield from download(
        session, below(_RUNS, run_id, "closeout", str(revision), "bundle"), attachments=attachments or None
    )
    return found


def run_report(session: Session, run_id: str, revision: int) -> Script[Download]:
    """The report of a sealed bundle, as sealed."""
    found = yield from download(session, below(_RUNS, run_id, "closeout", str(revision), "report"))
    return found


def run_workbook(session: Session, run_id: str) -> Script[Download]:
    """A run as an Excel workbook."""
    found = yield from download(session, below(_RUNS, run_id, "workbook"))
    return found


def period_bundle(session: Session, period: str, revision: int) -> Script[Download]:
    """The sealed bundle of a month's sign-off as a zip."""
    found = yield from download(session, below(_PERIODS, period, "sign-off", str(revision), "bundle"))
    return found


def period_report(session: Session, period: str, revision: int) -> Script[Download]:
    """The report of a month's sign-off, as sealed."""
    found = yield from download(session, below(_PERIODS, period, "sign-off", str(revision), "report"))
    return found


def period_journal_sheet(session: Session, period: str, *, provider: str | None = None) -> Script[Download]:
    """Proposed journal entries of a month as CSV."""
    found = yield from download(session, below(_PERIODS, period, "journal.csv"), provider=provider)
    return found


def download(session: Session, path: str, **parameters: object) -> Script[Download]:
    """A file that the server hands out, whole."""
    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in parameters.items()}
    reply = yield from answered(session, get(path, **shown))
    return Download(
        content=reply.body,
        media_type=reply.headers.get("content-type", "").split(";")[0].strip(),
        disposition=reply.headers.get("content-disposition"),
    )
