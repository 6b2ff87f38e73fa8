"""Says what to do about what the machine refuses: a full disk, a read-only folder. Nothing is caught here."""

import errno
from typing import Final

from zentra_pipeline.errors import RefusedError, UnavailableError, ZentraError

NOTHING_KEPT: Final = "make room and run it again; what was published before is unchanged"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# DuckDB and Arrow raise errors of their own around the system's, and keep its words.
_FULL_WORDS: Final = ("No space left on device", "Disk quota exceeded")
_READ_ONLY_WORDS: Final = ("Read-only file system",)


def explained(error: BaseException) -> ZentraError | None:
    """The error of the package that stands for one of the machine; null for any other error."""
    text = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    if number in _FULL or any(words in text for words in _FULL_WORDS):
        return UnavailableError(f"{place}the disk is full: {NOTHING_KEPT}")
    if number == errno.EROFS or any(words in text for words in _READ_ONLY_WORDS):
        return RefusedError(f"{place}the file system is read-only: copy the home to a folder that you may write to")
    if number in _FORBIDDEN:
        return RefusedError(f"{place}this user has no permission: ask the owner of the file, or run it as its owner")
    return None
