"""What a home's `storage.yml` says: where its files are shared, and how its locks are kept.

Without the file, as on one machine: files are in the home's folder, and locks are lock files. Does not belong here:
taking a lock (store.leases), moving a file (blobs).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.settings import Home, TenantPaths

FILES: Final = "files"
LEASES: Final = "leases"
_LOCKS: Final = (FILES, LEASES)
_KEYS: Final = ("url", "locks")


@dataclass(frozen=True)
class Storage:
    """`url`: the object store in which hosts share the home's files, null where its folder holds them.

    `locks`: `files`, which the system holds for a process, or `leases`: rows of the store that hosts share, too.
    """

    url: str | None = None
    locks: str = FILES

    @property
    def has_leases(self) -> bool:
        """Whether locks are rows of the store."""
        return self.locks == LEASES


_ON_ONE_MACHINE: Final = Storage()


def of_home(home: Home) -> Storage:
    """What the home says; ConfigurationError naming the file where it cannot be."""
    return _read(home.storage)


def of_tenant(paths: TenantPaths) -> Storage:
    """What the tenant's home says; a folder that is no tenant's of a home, such as a workspace, is on one machine."""
    home = Home(paths.root.parent.parent)
    return _read(home.storage) if paths.root.parent == home.tenants else _ON_ONE_MACHINE


def _read(file: Path) -> Storage:
    try:
        state = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _ON_ONE_MACHINE
    except OSError as cause:
        raise ConfigurationError(f"{file}: cannot be read ({cause}); check that it is a readable text file") from cause
    return _parsed(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _parsed(file: Path, _changed: int, _size: int) -> Storage:
    import yaml

    try:
        said: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"{file}: cannot be read ({cause}); check that it is a readable text file") from cause
    except yaml.YAMLError as cause:
        raise ConfigurationError(f"{file}: it is not YAML ({' '.join(str(cause).split())})") from cause
    if said is None:
        return _ON_ONE_MACHINE
    if not isinstance(said, dict):
        raise ConfigurationError(f"{file}: it has to say `url: …`, `locks: …` or both")
    unknown = sorted(str(key) for key in said if key not in _KEYS)
    if unknown:
        raise ConfigurationError(f"{file}: {unknown[0]!r} is not a key of it; the keys are {', '.join(_KEYS)}")
    return _checked(file, said.get("url"), said.get("locks"))


def _checked(file: Path, url: object, locks: object) -> Storage:
    if url is not None and (not isinstance(url, str) or "://" not in url or not url.isprintable()):
        raise ConfigurationError(f"{file}: url is {url!r}; write it as fsspec reads it, such as s3://bucket/zentra")
    locks = (FILES if url is None else LEASES) if locks is None else locks
    if locks not in _LOCKS:
        raise ConfigurationError(f"{file}: locks is {locks!r}; use {' or '.join(_LOCKS)}")
    if url is not None and locks != LEASES:
        raise ConfigurationError(f"{file}: with a url several hosts may work, whose locks are leases: leave locks out")
    return Storage(url, str(locks))
