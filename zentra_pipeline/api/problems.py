"""Errors as RFC 9457 problem details: every kind there is, and how the errors of the package become one.

Does not belong here: raising them where a request is refused (the routes do).
"""

import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Cookie, Header, Path
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from zentra_pipeline import errors, logs, machine_errors, remedies
from zentra_pipeline.outages import OutageLog

MEDIA_TYPE: Final = "application/problem+json"
_SHOWN_FINDINGS: Final = 50
_RETRY_SECONDS: Final = "5"
_NO_STORE: Final = (
    "The server cannot reach its database at the moment; nothing was changed unless it was answered before."
)
# What every route with a token may end with.
_ANYWHERE: Final = ("unauthenticated", "forbidden", "invalid", "busy", "unavailable")
_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}


class Problem(BaseModel):
    """RFC 9457 problem details. `remedy` says what to do, `action` how; further members depend on the type."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Path of the problem's description, such as /problems/not-found.")
    title: str
    status: int
    detail: str
    remedy: str


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the last part of its `type`, its status and title, and what to do about it."""

    name: str
    status: int
    title: str
    remedy: str

    @property
    def type(self) -> str:
        return f"/problems/{self.name}"


_KINDS: Final = (
    Kind("malformed", 400, "The request cannot be read", "Send what the route's description says, as strict UTF-8."),
    Kind("signature", 400, "The signature is not valid", "Sign the bytes as sent, with the configured secret, now."),
    Kind("unauthenticated", 401, "No valid token", "Send 'Authorization: Bearer <token>' with a token that is valid."),
    Kind("forbidden", 403, "The token may not do this", "Have it done by somebody whose role may."),
    Kind("refused", 403, "Policy refuses this", "Have it done by somebody whom the policy allows."),
    Kind("not-found", 404, "Not found", "Check the id; lists name those that this token can see."),
    Kind("method", 405, "Method not allowed", "Use a method that the Allow header names."),
    Kind("timeout", 408, "The request took too long to arrive", "Send it again without pauses."),
    Kind("conflict", 409, "Its state does not allow this", "Read it again and decide on what it is now."),
    Kind("outdated", 409, "It has changed since it was read", "Read it again, and decide on what it is now."),
    Kind("blocked", 409, "The closeout is blocked", "Clear what `blockers` names, then try again."),
    Kind(
        "not-configured",
        409,
        "Not configured correctly",
        "Have whoever runs the server configure it.",
    ),
    Kind("too-large", 413, "The body is too large", "Send less at once."),
    Kind("media-type", 415, "The body is of another media type", "Send the media type that the route takes."),
    Kind("invalid", 422, "Invalid request", "Correct what `errors` or the detail names."),
    Kind(
        "unconfirmed",
        422,
        "It looks like a mistake",
        'Correct it, or send the same with "confirm": true (of a file: ?confirm=true) if it is meant.',
    ),
    Kind("rejected", 422, "The input is rejected", "Correct the input and send it again; nothing changed."),
    Kind("key-reused", 422, "The idempotency key was used for another request", "Use a new key for a new request."),
    Kind("busy", 429, "Too many requests", "Wait as long as Retry-After says."),
    Kind("headers-too-large", 431, "The headers are too large", "Send less in the headers and in the URL."),
    Kind("internal", 500, "A fault of the server", "Try again; whoever runs the server finds the cause in its log."),
    Kind("unavailable", 503, "The server cannot answer now", "Send the same again after as long as Retry-After says."),
)
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _KINDS}


class ProblemError(Exception):
    """Ends a request with a problem; `members` are added to those that every problem has."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[name]
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def _log(message: str) -> None:
    logs.write("unavailable", printable(message), logs.ERROR)


OUTAGES: Final = OutageLog(_log)


def not_found() -> ProblemError:
    """The answer for an id that does not exist, which is that for an id of another tenant, word for word."""
    return ProblemError("not-found", "Not found, or this token may not see it.")


def response(error: ProblemError) -> Response:
    """A problem as an HTTP response."""
    return Response(orjson.dumps(_members(error)), error.kind.status, error.headers, MEDIA_TYPE)


def _members(error: ProblemError) -> dict[str, Any]:
    kind = error.kind
    members = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail,
        "remedy": kind.remedy,
    }
    return members | error.members


def of_error(error: errors.ZentraError) -> ProblemError:
    """The problem details of an error that the caller can act on; server faults stay errors."""
    if error.kind == "internal":
        return _fault(error)
    if error.kind == "not-found":
        return not_found()
    if isinstance(error, errors.UnavailableError):
        OUTAGES.note(str(error))
        return ProblemError("unavailable", _NO_STORE, headers={"Retry-After": _RETRY_SECONDS})
    headers = {"Retry-After": "1"} if error.kind == "unavailable" else {}
    return ProblemError(error.kind, printable(str(error)), headers=headers, members=of_remedy(error.remedy))


def of_remedy(remedy: "remedies.Remedy | None") -> dict[str, Any]:
    """What a problem or a blocker says of what to do: in words, and as a request that does it."""
    if remedy is None:
        return {}
    return {"remedy": printable(remedy.words), "action": remedies.request(remedy)}


def answer_to(error: Exception) -> Response:
    """How a request is answered that ended with this error, whichever it is; a fault is logged in full."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=KINDS["timeout"].status)  # the client has gone; nobody receives it
    return response(problem_of(error))


def problem_of(error: Exception) -> ProblemError:
    """The problem that any error is to whoever asked; a fault is logged in full."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, PoolTimeoutError):
        error = errors.UnavailableError(f"the database has no connection left for this server: {error}")
    known = error if isinstance(error, errors.ZentraError) else machine_errors.explained(error)
    return _fault(error) if known is None else of_error(known)


def printable(text: str) -> str:
    """Text that any encoder takes: half of a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def responses(*names: str, is_open: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a route's description says of the problems it may end with, those of every route with a token included."""
    found: dict[int | str, dict[str, Any]] = {}
    for name in names if is_open else (*names, *_ANYWHERE):
        kind = KINDS[name]
        entry = found.setdefault(kind.status, {"content": {MEDIA_TYPE: {"schema": _REFERENCE, "examples": {}}}})
        examples = entry["content"][MEDIA_TYPE]["examples"]
        examples[name] = {"$ref": f"#/components/examples/{name}"}
        entry["description"] = "; ".join(KINDS[example].title for example in examples)
    return found


def add_components(described: dict[str, Any]) -> None:
    """Put into a description what `responses` refers to."""
    described["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    described["components"]["examples"] = {
        name: {"value": _members(ProblemError(name, f"{kind.title}."))} for name, kind in KINDS.items()
    }


def install(app: FastAPI, routes: Sequence[Route]) -> None:
    """Have every error of the app, which has these routes, answered as a problem."""

    async def on_error(_request: Request, error: Exception) -> Response:
        return answer_to(error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(_invalid(error.errors(), parameters(request)))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return response(_of_http(error, _methods_at(request, routes)))

    for kind in (ProblemError, errors.ZentraError, PoolTimeoutError, OSError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, on_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def invalid(findings: Sequence[Mapping[str, Any]], place: str, known: Collection[str] = ()) -> ProblemError:
    """The problem of a value that pydantic does not take.

    `place` says where it is (body, query, …), `known` which names may be there.
    """
    return _invalid([{**finding, "loc": (place, *finding["loc"])} for finding in findings], known)


def parameters(request: Request) -> list[str]:
    """The parameters of the query that the route of a request takes."""
    route = request.scope.get("route")
    fields = get_flat_params(route.dependant) if isinstance(route, APIRoute) else []
    return [field.alias for field in fields if not isinstance(field.field_info, (Path, Header, Cookie))]


def _invalid(findings: Sequence[Mapping[str, Any]], known: Collection[str]) -> ProblemError:
    entries = [
        {
            "in": str(finding["loc"][0]),
            "name": printable(".".join(map(str, finding["loc"][1:])))[:200],
            "reason": printable(_reason(finding, known))[:500],
        }
        for finding in findings[:_SHOWN_FINDINGS]
    ]
    detail = "; ".join(
        f"{' '.join(filter(None, (entry['in'], entry['name'])))}: {entry['reason']}" for entry in entries[:5]
    )
    return ProblemError("invalid", detail or "the request is not valid", members={"errors": entries})


def _reason(finding: Mapping[str, Any], known: Collection[str]) -> str:
    """What is wrong with a value, without pydantic's words about itself; `known` are the names at the top."""
    if finding.get("type") == "extra_forbidden":
        is_at_top = len(finding["loc"]) == 2 and known
        return f"not a known name; use one of {', '.join(known)}" if is_at_top else "not a known name; leave it out"
    if finding.get("type") in ("model_type", "model_attributes_type"):
        return "Input should be a JSON object"
    return str(finding["msg"]).removeprefix("Value error, ")


def _methods_at(request: Request, routes: Sequence[Route]) -> list[str]:
    """What the path of a request takes: all its routes together, where the router names the first one's alone.

    A path that has a route of its own (exceptions/decisions) is not the id of another's.
    """
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    own = [route for route in found if route.path == request.url.path] or found
    methods = {method for route in own for method in route.methods or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _of_http(error: HTTPException, methods: Sequence[str]) -> ProblemError:
    """What the router itself refuses."""
    headers = dict(error.headers or {})
    if error.status_code == KINDS["not-found"].status:
        return not_found()
    if error.status_code == KINDS["method"].status:
        allowed = ", ".join(methods) or headers.get("Allow", "another one")
        return ProblemError("method", f"This route takes {allowed}.", headers=headers | {"Allow": allowed})
    if error.status_code == KINDS["too-large"].status:
        return ProblemError("too-large", str(error.detail), headers=headers)
    return ProblemError("malformed", str(error.detail), headers=headers)


def _fault(error: Exception) -> ProblemError:
    """A fault is written to the log, in full, and nowhere else."""
    logs.write("fault", "".join(traceback.format_exception(error)), logs.ERROR)
    return ProblemError("internal", "The request could not be answered; nothing is known to have changed.")
