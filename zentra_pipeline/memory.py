"""Memory that was freed, given back to the system; how much may be used does not belong here."""

import contextlib
import ctypes


def give_back() -> None:
    """Give back what glibc keeps of freed memory, for each thread, when a large input was read; else nothing."""
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no malloc_trim, and need none
        ctypes.CDLL(None).malloc_trim(0)
