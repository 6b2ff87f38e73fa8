"""Lock files: hold one, try one, or take one of several places; and the names of a tenant's locks.

What is done under a lock does not belong here. The system releases the lock of a process that ends, however it ends.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from zentra_pipeline.settings import Home, TenantPaths

INGEST: Final = "ingest"
BACKUP: Final = "backup"  # held until what a copied store names is in its archive; taken before the ingest lock
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
def locked(file: Path) -> Iterator[None]:
    """Hold a lock file, waiting for whoever has it; its folder is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def tried(file: Path) -> Iterator[bool]:
    """Hold a lock file if it is free: whether it is held now. Nobody is waited for.

    One that is there needs no right to write, which a copy to be read may not give.
    """
    with file.open("rb" if file.exists() else "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def holding(paths: TenantPaths, *names: str) -> Iterator[None]:
    """Hold these locks, waiting for whoever has one; whoever needs several names them in alphabetical order."""
    with ExitStack() as taken:
        for name in names:
            taken.enter_context(locked(paths.locks / f"{name}.lock"))
        yield


def is_held(paths: TenantPaths, name: str) -> bool:
    """Whether somebody holds the lock at this moment."""
    path = paths.locks / f"{name}.lock"
    if not path.exists():
        return False
    with tried(path) as is_free:
        return not is_free


@contextmanager
def one_of(home: Home, places: int, on_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold one of so many places of a home, waiting for one to be free; whoever holds one waits for nothing else."""
    home.slots.mkdir(parents=True, exist_ok=True)
    has_waited = False
    while True:
        for place in range(1, places + 1):
            with tried(home.slots / f"{place}.lock") as is_taken:
                if is_taken:
                    yield
                    return
        if not has_waited:
            on_waiting()
            has_waited = True
        time.sleep(_LOOK_AGAIN_SECONDS)
