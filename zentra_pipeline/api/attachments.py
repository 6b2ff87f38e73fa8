"""Routes of files attached to comments: one comes with its comment, and is handed out as what it is, a download.

Checking and keeping files does not belong here (review.attachments).
"""

from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from zentra_pipeline.api import bodies, exceptions, problems
from zentra_pipeline.api.bodies import without_nul
from zentra_pipeline.api.exceptions import if_match
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller, Decider, Reader
from zentra_pipeline.api.service import Service, Serving
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.desk import deciding
from zentra_pipeline.review import attachments
from zentra_pipeline.review.attachments import MOST_BYTES, MOST_NAME
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import decisions as decision_store

router = APIRouter(prefix="/reconciliation/exceptions/{exception_id}/attachments", tags=["exceptions"])

_BINARY: Final = "application/octet-stream"
# Whatever the file is, a browser saves it, runs nothing of it and asks nobody about it.
_HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class AttachmentQuery(BaseModel):
    """What the file is called, and the comment that it comes with."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str, Field(min_length=1, max_length=MOST_NAME, description=f"Ends in {', '.join(attachments.ENDINGS)}.")
    ]
    reason: Annotated[
        str, AfterValidator(without_nul), Field(min_length=1, max_length=4_096, description="The comment.")
    ]


@router.post(
    "",
    summary="Comment on an exception with a file.",
    responses={
        200: exceptions.DETAIL_ANSWER,
        **problems.responses(
            "malformed",
            "too-large",
            "media-type",
            "refused",
            "not-found",
            "outdated",
            "conflict",
            "rejected",
            "not-configured",
        ),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {_BINARY: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def attach(
    caller: Decider,
    serving: Serving,
    exception_id: str,
    query: Annotated[AttachmentQuery, Query()],
    expected: Annotated[str | None, Depends(if_match)],
    request: Request,
) -> Response:
    """Keep the body as a file under its SHA-256 and record a comment that names it; a seal holds the digest.

    A repeat of the same comment with the same file changes nothing.
    """
    bodies.require_media_type(request)
    content = await bodies.read_whole(request, MOST_BYTES)
    return await run_in_threadpool(_attach, caller, serving, exception_id, query, expected, content)


def _attach(
    caller: Caller, serving: Service, exception_id: str, query: AttachmentQuery, expected: str | None, content: bytes
) -> Response:
    found = exceptions.detail(caller, serving, exception_id)
    if expected is not None and not exceptions.is_seen(found, expected):
        raise ProblemError("outdated", "The exception has changed since it was read.", members={"current": found})
    comment_with_file(caller, serving, exception_id, query.reason, query.name, content)
    return exceptions.answer(exceptions.detail(caller, serving, exception_id))


def comment_with_file(
    caller: Caller, serving: Service, exception_id: str, reason: str | None, name: str, content: bytes
) -> None:
    """Keep a file and record the comment that names it; whoever may not comment keeps nothing."""
    if "comment" not in ROLE_ACTIONS[caller.role]:
        raise ProblemError("forbidden", f"This token acts as {caller.role}, who decides nothing.")
    request = DecisionRequest(
        exception_id, "comment", caller.actor, reason=reason, role=caller.role, origin=caller.origin
    ).checked()
    kept = attachments.keep(caller.paths, name, content)
    deciding.decide(caller.tenant, request.with_attachment(kept), serving.now())


@router.get(
    "/{sha256}",
    response_class=Response,
    summary="A file attached to a comment.",
    responses={
        200: {
            "description": "The file, to be saved.",
            "content": {_BINARY: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems.responses("not-found"),
    },
)
def download(caller: Reader, exception_id: str, sha256: str) -> Response:
    """The bytes as they came; changed ones are never handed out."""
    return file_of(caller, exception_id, sha256)


def file_of(caller: Caller, exception_id: str, sha256: str) -> Response:
    """A file that a comment on this exception names; one answer for every other digest."""
    with caller.tenant.reading() as connection:
        log = decision_store.listed(connection, [exception_id])
    attachment, content = attachments.find(caller.paths, log, sha256)
    plain = "".join(c if c.isascii() and c not in '"\\%;' else "_" for c in attachment.name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(attachment.name, safe='')}"
    headers: dict[str, Any] = {**_HEADERS, "Content-Disposition": disposition}
    return Response(content, headers=headers, media_type=_BINARY)
