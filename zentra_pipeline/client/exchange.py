"""A call as a script: it yields what to do, is sent what came of it, and returns its result. No input or output.

A script yields a `Request` and gets a `Reply`, or `Lost` where no answer came; or it yields a `Pause`. Either transport
plays it, so retries, waiting and reading pages are written once. Does not belong here: sockets, single routes.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from zentra_pipeline.client.errors import AnswerError, ConnectionLostError, Problem, error_of

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

_ERROR: Final = 400
_BUSY: Final = (429, 503)
_FAULTS: Final = (500, 502, 504)
_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "remedy"})
_PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True)
class Request:
    """A request to be sent; `is_repeatable`: sent twice it does no more than once."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    is_repeatable: bool = True


@dataclass(frozen=True)
class Reply:
    """What the server answered; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Lost:
    """No answer came; `was_sent`: the request may have reached the server."""

    cause: Exception
    was_sent: bool


@dataclass(frozen=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


Script = Generator[Request | Pause, Reply | Lost | None, T]


@dataclass(frozen=True)
class Retry:
    """How often a call is tried, and how long between: doubling from `first_delay`, less up to half by chance.

    A Retry-After of at most `longest_wait` seconds is kept; one that is longer ends the call.
    """

    attempts: int = 5
    first_delay: float = 0.25
    longest_delay: float = 8.0
    longest_wait: float = 60.0
    chance: Callable[[], float] = random.SystemRandom().random

    def delay(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt, the first of which is 1."""
        full = min(self.longest_delay, self.first_delay * 2.0 ** (attempt - 1))
        return full * (1 - self.chance() / 2)


@dataclass(frozen=True)
class Session:
    """What the scripts of a client share."""

    retry: Retry = field(default_factory=Retry)
    new_key: Callable[[], str] = lambda: str(uuid.uuid4())
    clock: Callable[[], float] = time.monotonic


def post(path: str, content: Mapping[str, Any], *, is_repeatable: bool = True, **headers: str) -> Request:
    """A request with a JSON body; members that are null are left out. `if_match="…"` is the header If-Match."""
    body = {name: value for name, value in content.items() if value is not None}
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": "application/json"}
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Request("POST", path, {}, named, text.encode(), is_repeatable)


def get(path: str, **parameters: object) -> Request:
    """A request for something; parameters that are null are left out."""
    return Request("GET", path, {name: str(value) for name, value in parameters.items() if value is not None})


def answered(session: Session, request: Request) -> Script[Reply]:
    """Send a request until it is answered, as often as that is safe; raises what the last attempt came to."""
    for attempt in range(1, session.retry.attempts + 1):
        outcome = yield request
        assert outcome is not None
        if isinstance(outcome, Lost):
            if attempt < session.retry.attempts and (request.is_repeatable or not outcome.was_sent):
                yield Pause(session.retry.delay(attempt))
                continue
            raise _lost(request, outcome) from outcome.cause
        if outcome.status < _ERROR:
            return outcome
        wait = _wait(session, request, outcome, attempt)
        if attempt == session.retry.attempts or wait is None:
            raise error_of(problem_of(outcome))
        yield Pause(wait)
    raise AssertionError("a retry has at least one attempt")


def answer_of(session: Session, request: Request, model: type[Model]) -> Script[Model]:
    """Send a request and read its answer as a model."""
    reply = yield from answered(session, request)
    return read(reply, model)


def read(reply: Reply, model: type[Model]) -> Model:
    """An answer as a model; AnswerError when it is none."""
    try:
        return model.model_validate_json(reply.body)
    except ValidationError as cause:
        raise AnswerError(
            f"the answer is not a {model.__name__}: check the address and the server's version"
        ) from cause


def problem_of(reply: Reply) -> Problem:
    """The problem of an answer; what something between client and server says in other words is made one."""
    content: Any = None
    if reply.headers.get("content-type", "").split(";")[0].strip().lower() == _PROBLEM:
        try:
            content = json.loads(reply.body)
        except ValueError:
            content = None
    if not isinstance(content, dict):
        content = {"detail": reply.body[:200].decode("utf-8", "replace")}
    return Problem(
        type=str(content.get("type", "about:blank")),
        status=reply.status,
        title=str(content.get("title", "The server answered with an error")),
        detail=str(content.get("detail", "")),
        remedy=str(content.get("remedy", "")),
        members={name: value for name, value in content.items() if name not in _MEMBERS},
    )


def _wait(session: Session, request: Request, reply: Reply, attempt: int) -> float | None:
    """Seconds until it may be sent again; null when that would not help, or not be safe."""
    if reply.status not in _BUSY and not (reply.status in _FAULTS and request.is_repeatable):
        return None
    asked = reply.headers.get("retry-after", "")
    if not (asked.isascii() and asked.isdigit()):
        return session.retry.delay(attempt)
    seconds = float(asked[:9])
    return None if seconds > session.retry.longest_wait else max(seconds, session.retry.delay(attempt))


def _lost(request: Request, outcome: Lost) -> ConnectionLostError:
    said = f"{request.method} {request.path}: no answer ({type(outcome.cause).__name__}: {outcome.cause}); "
    if outcome.was_sent and not request.is_repeatable:
        said += "it may have been carried out: read what it was about before you ask again"
    else:
        said += "check the address and that the server runs, then ask again"
    return ConnectionLostError(said, may_have_been_done=outcome.was_sent)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Items of a list, and the cursor to go on after; null at its end."""

    items: tuple[T, ...]
    next: str | None


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list read page by page: `page` is the script of the page behind a cursor, that of the first behind `after`."""

    page: Callable[[str | None], Script[Page[T]]]
    after: str | None = None
