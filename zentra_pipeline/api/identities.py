"""Whose tokens are asked with, remembered for a moment. What a caller may do does not belong here (security)."""

import hashlib
import threading
from collections import OrderedDict
from typing import Final

from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access

_REMEMBERED_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 10_000


class Identities:
    """Callers by token, remembered for a second: at a thousand requests a second asking the store is half the work.

    A token that is revoked is good for at most that second longer. Only digests of tokens are kept.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: OrderedDict[bytes, tuple[access.Identity, float]] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, token: str, now: float) -> access.Identity | None:
        """Whose token this is at `now` (seconds, rising), null when the token is unknown."""
        digest = hashlib.sha256(token.encode("ascii")).digest()
        with self._changing:
            known = self._known.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        identity = access.authenticate(self._home, token)
        with self._changing:
            self._known.pop(digest, None)
            if identity is not None:
                self._known[digest] = (identity, now + _REMEMBERED_SECONDS)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return identity
