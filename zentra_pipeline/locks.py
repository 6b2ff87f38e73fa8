"""A tenant's locks: one process at a time ingests, and one reconciles a provider. What they do does not belong here.

The system releases the lock of a process that ends, however it ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from zentra_pipeline.settings import TenantPaths

INGEST: Final = "ingest"


def provider_lock(provider: str) -> str:
    """Name of the lock under which a provider's runs go one after another."""
    return f"provider-{provider}"


def inbox_lock(provider: str) -> str:
    """Name of the lock under which a provider's callbacks leave the inbox; taken before the ingest lock."""
    return f"inbox-{provider}"


def intents_lock(provider: str) -> str:
    """Name of the lock under which a provider's intents become staged rows; taken before the ingest lock."""
    return f"intents-{provider}"


@contextmanager
def holding(paths: TenantPaths, *names: str) -> Iterator[None]:
    """Hold these locks, waiting for whoever has one; whoever needs several names them in alphabetical order."""
    paths.locks.mkdir(parents=True, exist_ok=True)
    taken = []
    try:
        for name in names:
            taken.append((paths.locks / f"{name}.lock").open("a"))
            fcntl.flock(taken[-1], fcntl.LOCK_EX)
        yield
    finally:
        for lock in reversed(taken):
            lock.close()


def is_held(paths: TenantPaths, name: str) -> bool:
    """Whether somebody holds the lock at this moment."""
    path = paths.locks / f"{name}.lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
