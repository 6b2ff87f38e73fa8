"""The callback_format of providers, read again only when a profile changes; profiles themselves: profile."""

import os
from typing import Final

from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.tenants.tenant import Tenant

_MOST: Final = 10_000
_State = tuple[int, int, int] | None


class CallbackFormats:
    """Formats by tenant and provider, with the profile's file and its state when it was read; of one event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, _State, str]] = {}

    def of(self, tenant: Tenant, provider: str) -> str:
        """The format of a provider, whose id was checked; errors as load_profile's."""
        key = tenant.name, provider
        known = self._known.get(key)
        file = str(tenant.paths.providers / f"{provider}.yml") if known is None else known[0]
        state = _state(file)
        if known is not None and known[1] == state:
            return known[2]
        if len(self._known) >= _MOST:
            self._known.clear()
        found = load_profile(tenant.paths, provider).callback_format
        self._known[key] = file, state, found
        return found


def _state(file: str) -> _State:
    """What changes with a file's content; null where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a thousand times a second, and a Path takes five times as long
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
