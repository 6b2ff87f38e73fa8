"""The documented tree of errors; findings about data are rows, never exceptions.

    ZentraError                 exit 1   a fault of the program or of the machine
    ├── UsageError              exit 2   the caller asked for something that cannot be
    ├── RefusedError            exit 3   policy or permission says no
    │   └── OutdatedError       exit 3   somebody else has acted since the caller last looked
    ├── InputRejectedError      exit 4   the input cannot be let in; nothing changed
    ├── VerificationError       exit 5   evidence does not hold
    ├── UnavailableError        exit 1   something outside that Zentra needs does not answer; trying again may help
    └── RunFailedError          exit 1   a run ended before it published anything
        └── ControlFailedError  exit 1   a blocking control (conservation, roll-forward, …) does not hold

Every message says what, which id, and what to do.
"""


class ZentraError(Exception):
    """A fault of the program or of the machine it runs on."""

    exit_code = 1


class UsageError(ZentraError):
    """The caller named something that does not exist or cannot be: a bad id, window or option."""

    exit_code = 2


class RefusedError(ZentraError):
    """Policy or permission refuses the action."""

    exit_code = 3


class OutdatedError(RefusedError):
    """What the caller decided on has been decided on by somebody else since; nothing changed."""


class InputRejectedError(ZentraError):
    """An input is refused whole and nothing changed: a broken file, or a file never ingested."""

    exit_code = 4


class VerificationError(ZentraError):
    """Evidence does not hold what it claims."""

    exit_code = 5


class UnavailableError(ZentraError):
    """Something outside that Zentra needs, such as a database server, cannot be used at the moment."""


class RunFailedError(ZentraError):
    """A run ended before it published anything; the message says at which step and what to do."""


class ControlFailedError(RunFailedError):
    """A blocking control does not hold, so nothing was published; `failed` names each control and its failing rows."""

    def __init__(self, message: str, failed: tuple[tuple[str, int], ...]) -> None:
        super().__init__(message)
        self.failed = failed
