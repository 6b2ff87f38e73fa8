"""What an examination finds: one inconsistency with its remedy. Looking for any does not belong here."""

import shlex
from dataclasses import dataclass
from typing import Final, Literal

ERROR: Final = "error"
NOTE: Final = "note"


@dataclass(frozen=True, order=True)
class Finding:
    """Something out of step: which check found it, on what, what it is, and the command or act that heals it.

    A `note` is a leftover, or a state that passes; it does no harm.
    """

    check: str
    subject: str
    severity: Literal["error", "note"]
    what: str
    remedy: str


def command(*words: str) -> str:
    """A `zentra` command as one types it."""
    return shlex.join(("zentra", *words))
