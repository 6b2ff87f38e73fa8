"""What calls of the client raise; deciding whether a call is made again does not belong here (exchange).

ClientError                     the call failed; the message says what to do
├── ProblemError                the API answered with an RFC 9457 problem, which `problem` holds
│   ├── UnauthenticatedError    401   the token is not valid
│   ├── ForbiddenError          403   the token's role or the policy forbids this
│   ├── NotFoundError           404   no such thing, or another tenant's
│   ├── ConflictError           409   its state does not allow this; `problem.members` may have the state
│   ├── InvalidError            400, 413, 415, 422   the request cannot be
│   ├── BusyError               429, 503   still busy after every retry
│   └── ServerError             5xx   a fault of the server, after every retry that is safe
├── ConnectionLostError         no answer came; `may_have_been_done` says whether the call may have been carried out
├── AnswerError                 an answer came that is not the API's
├── WaitTimeoutError            a run was not finished in time
└── RunEndedError               a run ended without a result; `run` says why
WebhookRejectedError            a delivery is not what it says it is: refuse it with a 4xx
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zentra_pipeline.errors import RunFailedError, UnavailableError, VerificationError, ZentraError

if TYPE_CHECKING:
    from zentra_pipeline.client.models import RunDetail


@dataclass(frozen=True)
class Problem:
    """RFC 9457 problem details; `members` are those beside the common ones, such as `errors`, `current`, `blockers`."""

    type: str
    status: int
    title: str
    detail: str
    remedy: str
    members: Mapping[str, Any]


class ClientError(ZentraError):
    """A call came to nothing."""


class ProblemError(ClientError):
    """The API answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail} {problem.remedy}".strip())
        self.problem = problem


class UnauthenticatedError(ProblemError):
    """The token is not valid."""


class ForbiddenError(ProblemError):
    """The token's role or the policy forbids this."""


class NotFoundError(ProblemError):
    """There is no such thing, or it is another tenant's."""


class ConflictError(ProblemError):
    """The state of the thing does not allow this."""


class InvalidError(ProblemError):
    """The request is invalid."""


class BusyError(ProblemError):
    """The server was still busy after every retry."""


class ServerError(ProblemError):
    """A fault of the server."""


class ConnectionLostError(ClientError, UnavailableError):
    """No answer came; `may_have_been_done`: the request may have reached the server, and may not."""

    def __init__(self, message: str, *, may_have_been_done: bool) -> None:
        super().__init__(message)
        self.may_have_been_done = may_have_been_done


class AnswerError(ClientError):
    """An answer came that is not the API's: something else listens at this address, or another version."""


class WaitTimeoutError(ClientError):
    """A run was not finished in time; it goes on, and can be waited for again."""


class RunEndedError(ClientError, RunFailedError):
    """A run ended without a result; `run` is its state."""

    def __init__(self, run: "RunDetail", why: str) -> None:
        super().__init__(f"run {run.id} failed: {why}")
        self.run = run


class WebhookRejectedError(VerificationError):
    """A delivery is not signed by us, not now, or not as it says."""


_BY_STATUS: Mapping[int, type[ProblemError]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    429: BusyError,
    503: BusyError,
}
_SERVER = 500


def error_of(problem: Problem) -> ProblemError:
    """The exception that a problem is raised as."""
    usual = ServerError if problem.status >= _SERVER else InvalidError
    return _BY_STATUS.get(problem.status, usual)(problem)
