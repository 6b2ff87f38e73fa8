"""The documented tree of errors; findings about data are rows, never exceptions.

    ZentraError                 exit 1   internal        a fault of the program or of the machine
    ├── UsageError              exit 2   invalid         the caller asked for something that cannot be
    │   ├── NotFoundError       exit 2   not-found       there is no such thing
    │   ├── UnconfirmedError    exit 2   unconfirmed     it looks like a mistake, and nobody has said that it is meant
    │   └── ConfigurationError  exit 2   not-configured  a file that configures the tenant cannot be what it says
    ├── RefusedError            exit 3   refused         policy or permission says no
    │   ├── ForbiddenError      exit 3   forbidden       the caller's role may not do this, whatever it is about
    │   ├── NotPossibleError    exit 3   conflict        what it is about is in no state for it
    │   └── OutdatedError       exit 3   outdated        somebody else has acted since the caller last looked
    ├── InputRejectedError      exit 4   rejected        the input cannot be accepted; nothing changed
    │   └── LimitExceededError  exit 4   rejected        a query takes more time or memory than it may
    ├── VerificationError       exit 5   internal        evidence does not hold
    ├── UnavailableError        exit 75  unavailable     something outside that Zentra needs does not answer: try again
    └── RunFailedError          exit 1   conflict        a run ended before it published anything
        └── ControlFailedError  exit 1   conflict        a blocking control (conservation, …) does not hold

A message is worded for every surface on which it may be read: it says what, which id, and what to do. Where a step
follows, `remedy` names it by intent, and the command line words it as a command, HTTP as a request. The word in the
third column is `kind`: what HTTP (/problems/invalid) and verdicts about the rows of a sheet call it.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from zentra_pipeline.remedies import Remedy


class ZentraError(Exception):
    """A fault of the program or of the machine it runs on."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "internal"

    def __init__(self, message: str = "", *, remedy: "Remedy | None" = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class UsageError(ZentraError):
    """The caller named something that does not exist or cannot be: a bad id, window or option."""

    exit_code = 2
    kind = "invalid"


class NotFoundError(UsageError):
    """There is nothing of the name or id that the caller gave."""

    kind = "not-found"


class UnconfirmedError(UsageError):
    """What is asked for looks like a mistake; nothing changed. Each surface says how one confirms that it is meant."""

    kind = "unconfirmed"


class ConfigurationError(UsageError):
    """A file that configures a tenant, such as a profile, cannot be what it says; whoever asked is not at fault."""

    kind = "not-configured"


class RefusedError(ZentraError):
    """Policy or permission refuses the action."""

    exit_code = 3
    kind = "refused"


class ForbiddenError(RefusedError):
    """The caller's role may not do this, whatever it is about."""

    kind = "forbidden"


class NotPossibleError(RefusedError):
    """The state of what the caller decided on does not allow the decision; nothing changed."""

    kind = "conflict"


class OutdatedError(RefusedError):
    """What the caller decided on has been decided on by somebody else since; nothing changed."""

    kind = "outdated"


class InputRejectedError(ZentraError):
    """An input is refused whole and nothing changed: a broken file, or a file never ingested."""

    exit_code = 4
    kind = "rejected"


class LimitExceededError(InputRejectedError):
    """A query takes more time or memory than it may."""


class VerificationError(ZentraError):
    """Evidence does not hold what it claims."""

    exit_code = 5


class UnavailableError(ZentraError):
    """Something outside that Zentra needs, such as a database server, cannot be used at the moment: try again later.

    The exit code is EX_TEMPFAIL of sysexits.h, which schedulers take as a reason to retry.
    """

    exit_code = 75
    kind = "unavailable"


class DamagedFilesError(ZentraError):
    """Files that Zentra keeps are gone or not what it wrote: it says nothing about what was made from them before."""


class RunFailedError(ZentraError):
    """A run ended before it published anything; the message says at which step and what to do."""

    kind = "conflict"


class ControlFailedError(RunFailedError):
    """A blocking control does not hold, so nothing was published; `failed` names each control and its failing rows."""

    def __init__(self, message: str, failed: tuple[tuple[str, int], ...]) -> None:
        super().__init__(message)
        self.failed = failed
