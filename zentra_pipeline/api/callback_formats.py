"""The callback_format of providers, read again only when a profile changes; profiles themselves: profile."""

from pathlib import Path
from typing import Final

from zentra_pipeline.profile import load_profile
from zentra_pipeline.settings import TenantPaths

_MOST: Final = 10_000
_State = tuple[int, int, int] | None


class CallbackFormats:
    """Formats by profile file, each with the state the file had when it was read; used by the event loop alone."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_State, str]] = {}

    def of(self, paths: TenantPaths, provider: str) -> str:
        """The format of a provider, whose id was checked; errors as load_profile's."""
        file = paths.providers / f"{provider}.yml"
        state = _state(file)
        known = self._known.get(file)
        if known is not None and known[0] == state:
            return known[1]
        if len(self._known) >= _MOST:
            self._known.clear()
        found = load_profile(paths, provider).callback_format
        self._known[file] = (state, found)
        return found


def _state(file: Path) -> _State:
    """What changes with a file's content; null where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
