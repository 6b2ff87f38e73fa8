"""Says what to do about what the machine refuses: a full disk, a read-only folder, a file that is gone. Nothing is
caught here.
"""

import errno
import re
from typing import Final

from zentra_pipeline.errors import DamagedFilesError, RefusedError, UnavailableError, ZentraError

NOTHING_KEPT: Final = "make room and run it again; what was published before is unchanged"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# DuckDB and Arrow raise errors of their own around the system's, and keep its words.
_FULL_WORDS: Final = ("No space left on device", "Disk quota exceeded")
_READ_ONLY_WORDS: Final = ("Read-only file system",)
_GONE: Final = re.compile(r'No files found that match the pattern "([^"]*)"')
_BRACKETED: Final = re.compile(r"\[([\[*?])\]")


def explained(error: BaseException) -> ZentraError | None:
    """The error of the package for one of the machine; null for any other error."""
    text = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    if number in _FULL or any(words in text for words in _FULL_WORDS):
        return UnavailableError(f"{place}the disk is full: {NOTHING_KEPT}")
    if number == errno.EROFS or any(words in text for words in _READ_ONLY_WORDS):
        return RefusedError(f"{place}the file system is read-only: copy the home to a folder that you may write to")
    if found := _GONE.search(text):
        gone = _BRACKETED.sub(r"\1", found[1])
        return DamagedFilesError(
            f"{gone} is gone, and the store says that it was written: have the home "
            "examined (doctor) and made whole from what was received (rebuild); where a copy of this folder was used "
            "with the same database, go on in the folder that has the file"
        )
    if number in _FORBIDDEN:
        return RefusedError(f"{place}this user has no permission: ask the owner of the file, or run it as its owner")
    return None
