"""Calls that bring files and take sheets along: uploads, callbacks, sheets of exceptions, attachments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from zentra_pipeline.client.closing_operations import download
from zentra_pipeline.client.exchange import Request, Script, Session, answer_of, answered, get, read
from zentra_pipeline.client.models import (
    CallbackReceipt,
    Download,
    ExceptionDetail,
    Health,
    ProblemKind,
    SheetResult,
    UploadedFile,
)
from zentra_pipeline.client.operations import below, instant

_EXCEPTIONS: Final = "/reconciliation/exceptions"
_BYTES: Final = "application/octet-stream"


def upload_file(
    session: Session,
    provider: str,
    kind: str,
    content: bytes,
    *,
    settlement_file: str | None = None,
    name: str | None = None,
    media_type: str = _BYTES,
    confirm: bool = False,
) -> Script[UploadedFile]:
    """Have a file validated and staged; `kind` is settlement, ledger or internal_events, or bank_statement: of a bank.

    The same bytes again change nothing. InvalidError for a broken file and one of which no row is accepted.
    """
    wanted = {"settlement_file": settlement_file, "name": name, "confirm": "true" if confirm else None}
    found = yield from answer_of(
        session, _sent(below("/files", provider, kind), content, media_type, wanted), UploadedFile
    )
    return found


def forward_callback(
    session: Session, provider: str, content: bytes, headers: Mapping[str, str], *, media_type: str = "application/json"
) -> Script[CallbackReceipt]:
    """Hand on a callback as a provider sent it: its raw body, and the headers that hold its signature."""
    request = _sent(below("/callbacks", provider), content, media_type, {}, headers)
    found = yield from answer_of(session, request, CallbackReceipt)
    return found


def exception_sheet(
    session: Session,
    *,
    run_id: str | None = None,
    status: str | None = None,
    exception_type: str | None = None,
    owner: str | None = None,
    lane: str | None = None,
    reference: str | None = None,
    overdue: bool | None = None,
    as_of: datetime | str | None = None,
) -> Script[Download]:
    """Exceptions as CSV with empty columns for decisions; filters as those of the list."""
    found = yield from download(
        session,
        "/reconciliation/exceptions.csv",
        run_id=run_id,
        status=status,
        exception_type=exception_type,
        owner=owner,
        lane=lane,
        reference=reference,
        overdue=overdue,
        as_of=instant(as_of),
    )
    return found


def decide_sheet(session: Session, content: bytes) -> Script[SheetResult]:
    """Record a decision for each row of a sheet; each row is accepted or refused by itself.

    It is not repeated when its answer is lost: what was recorded already would be refused.
    """
    request = _sent(below(_EXCEPTIONS, "decisions"), content, "text/csv", {}, is_repeatable=False)
    found = yield from answer_of(session, request, SheetResult)
    return found


def attach(
    session: Session, exception_id: str, content: bytes, *, name: str, reason: str, if_match: str | None = None
) -> Script[ExceptionDetail]:
    """Comment on an exception with a file, kept under its SHA-256; a repeat changes nothing."""
    headers = {} if if_match is None else {"if-match": if_match}
    path = below(_EXCEPTIONS, exception_id, "attachments")
    reply = yield from answered(
        session, _sent(path, content, _BYTES, {"name": name, "reason": reason}, headers, is_repeatable=if_match is None)
    )
    detail = read(reply, ExceptionDetail)
    return detail.model_copy(update={"etag": reply.headers.get("etag")})


def get_attachment(session: Session, exception_id: str, sha256: str) -> Script[Download]:
    """A file attached to a comment, as it came."""
    found = yield from download(session, below(_EXCEPTIONS, exception_id, "attachments", sha256))
    return found


def health(session: Session) -> Script[Health]:
    """Whether the server answers, and its version."""
    found = yield from answer_of(session, get("/healthz"), Health)
    return found


def problem_kind(session: Session, name: str) -> Script[ProblemKind]:
    """What a kind of problem is and what to do about it; `name` is the last part of a problem's type."""
    found = yield from answer_of(session, get(below("/problems", name)), ProblemKind)
    return found


def _sent(
    path: str,
    content: bytes,
    media_type: str,
    parameters: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    is_repeatable: bool = True,
) -> Request:
    named = {name: str(value) for name, value in parameters.items() if value is not None}
    return Request("POST", path, named, {**(headers or {}), "content-type": media_type}, content, is_repeatable)
