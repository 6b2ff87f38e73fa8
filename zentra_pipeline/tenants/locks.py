"""A tenant's locks: one process at a time ingests, one reconciles a provider, and so many runs of a home go at once.

What they do does not belong here.

The system releases the lock of a process that ends, however it ends.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from zentra_pipeline.settings import Home, TenantPaths

INGEST: Final = "ingest"
_LOOK_AGAIN_SECONDS: Final = 0.05


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
    with path.open("rb") as lock:  # a lock needs no right to write, which a copy to be read may not give
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def one_of(home: Home, places: int, on_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold one of so many places of a home, waiting for one to be free; whoever holds one waits for nothing else."""
    home.slots.mkdir(parents=True, exist_ok=True)
    has_waited = False
    while True:
        for place in range(1, places + 1):
            with (home.slots / f"{place}.lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
        if not has_waited:
            on_waiting()
            has_waited = True
        time.sleep(_LOOK_AGAIN_SECONDS)
