"""When a failed delivery is tried again, and what Retry-After means; trying does not belong here (sending)."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# After each failure: the waits of the Standard Webhooks specification, eight attempts in 28 hours.
WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
_JITTER: Final = 0.1
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def wait_after(failures: int, seed: str) -> timedelta | None:
    """How long to wait after so many failures in a row, null when none is left: the delivery is dead.

    Up to a tenth longer, by a jitter that `seed` alone decides, so that what failed at once does not return at once.
    """
    if failures > len(WAITS):
        return None
    digest = hashlib.sha256(f"{seed}:{failures}".encode()).digest()
    fraction = int.from_bytes(digest[:8], "big") / 2**64
    return WAITS[failures - 1] * (1 + _JITTER * fraction)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for (seconds or an HTTP date), a day at most; null when it is neither."""
    if header is None:
        return None
    seconds = header.strip()  # of more than int() strips
    if _SECONDS.fullmatch(seconds):
        wait = timedelta(seconds=int(seconds))
    else:
        try:
            until = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError):
            return None
        wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)
