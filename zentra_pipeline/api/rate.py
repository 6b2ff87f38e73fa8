"""Token buckets in memory: how fast one caller may ask. Who the caller is does not belong here."""

import threading
from collections import OrderedDict
from typing import Final

_MOST_CALLERS: Final = 10_000


class Buckets:
    """A bucket a caller: it fills steadily, each request takes one, and an empty one refuses."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._of_caller: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._changing = threading.Lock()

    def wait(self, caller: str, now: float) -> float:
        """Seconds until the caller may ask, 0 when it may ask at once, which is counted; `now` in seconds, rising."""
        with self._changing:
            left, since = self._of_caller.pop(caller, (float(self._at_once), now))
            left = min(float(self._at_once), left + max(0.0, now - since) * self._per_second)
            missing = max(0.0, 1.0 - left)
            self._of_caller[caller] = (left if missing else left - 1.0, now)
            while len(self._of_caller) > _MOST_CALLERS:
                self._of_caller.popitem(last=False)  # whoever asked least lately has a full bucket by now
        return missing / self._per_second
