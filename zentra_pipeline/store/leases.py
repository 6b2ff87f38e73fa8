"""Locks of what is recorded: lock files on one machine, and lease rows of the store beside them for many hosts.

The lock file keeps out the processes of its own machine for as long as its holder lives, stopped or not, so that nobody
else touches the files that it works on; the lease keeps out other hosts. A lease has a fencing number that counts up
each time somebody takes it, a holder, and an end that its holder moves on while it lives. Whoever records something
under a lease has it checked in the same transaction (`require_held`): as the writers of a store come one after another,
nobody can take the lease over between that check and the commit. A lease that has run out is lost for good, also where
nobody has taken it. Instants are the database's, whatever the clocks of the hosts say; nothing lasts longer than a
transaction, so that poolers such as PgBouncer change nothing.

Does not belong here: locks of what belongs to one machine (locks), what is done under a lock.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from zentra_pipeline import holders, locks, settings, storage
from zentra_pipeline.errors import UnavailableError, ZentraError
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store.engine import control_store, operational_store, reading
from zentra_pipeline.store.models import leases

_LOOK_AGAIN_SECONDS: Final = (0.05, 0.1, 0.2, 0.5)
_RENEWALS_A_LEASE: Final = 3
_POSTGRES_CLOCK: Final = text(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
)


@dataclass(frozen=True)
class Lease:
    """A lease as its holder knows it: in whose store it is, its name and fencing number."""

    root: Path
    name: str
    number: int
    holder: str


_held: ContextVar[tuple[Lease, ...]] = ContextVar("held leases", default=())


@contextmanager
def holding(paths: TenantPaths, *names: str) -> Iterator[None]:
    """Hold these locks of a tenant, waiting for whoever has one; whoever needs several names them in order of names.

    Raises UnavailableError from a later write of the caller's when a lease was lost meanwhile.
    """
    with locks.holding(paths, *names):
        if not storage.of_tenant(paths).has_leases:
            yield
        else:
            with _leased(lambda: operational_store(paths), paths.root, names):
                yield


def is_held(paths: TenantPaths, name: str) -> bool:
    """Whether somebody holds the tenant's lock at this moment."""
    if not storage.of_tenant(paths).has_leases:
        return locks.is_held(paths, name)
    with reading(operational_store(paths)) as connection:
        return not _is_free(_row(connection, name), _now(connection))


def require_held(connection: Connection, paths: TenantPaths) -> None:
    """Fail a transaction of the tenant's store unless every lease that the caller holds is still its own.

    Needs a write transaction: nobody takes a lease over before it ends. UnavailableError names the lease that is lost.
    """
    mine = [lease for lease in _held.get() if lease.root == paths.root]
    if not mine:
        return
    now = _now(connection)
    for lease in mine:
        row = _row(connection, lease.name)
        if row is None or not _is_of(row, lease) or row.expires_at <= now:
            raise UnavailableError(
                f"the lock {lease.name} is lost: this process gave no sign of life for as long as a lease lasts, as it "
                f"was stopped or could not reach the database{_by_whom(row, lease, now)}; nothing was recorded: do it "
                "again"
            )


@contextmanager
def holding_of_home(home: Home, name: str, file: Path, *, is_passing: bool = False) -> Iterator[None]:
    """Hold a lock of the home, waiting for whoever has it: `file`, and the lease `name` of the control store.

    One `is_passing` is never taken again, and leaves nothing behind.
    """
    with locks.locked(file):
        try:
            if not storage.of_home(home).has_leases:
                yield
            else:
                with _leased(lambda: control_store(home), home.root, (name,), is_passing=is_passing):
                    yield
        finally:
            if is_passing:
                file.unlink(missing_ok=True)


@contextmanager
def tried_of_home(home: Home, name: str, file: Path) -> Iterator[bool]:
    """Hold a lock of the home if it is free: whether it is held now. Nobody is waited for."""
    with locks.tried(file) as is_mine_here:
        if not is_mine_here or not storage.of_home(home).has_leases:
            yield is_mine_here
        else:
            with _leased(lambda: control_store(home), home.root, (name,), waits=False) as is_taken:
                yield is_taken


def is_abandoned(home: Home, name: str, file: Path) -> bool | None:
    """Whether whoever took a lock of the home that is passing is dead; null where nobody has it, or ever had."""
    if not storage.of_home(home).has_leases:
        if not file.exists():
            return None
        with locks.tried(file) as is_free:
            return is_free
    with reading(control_store(home)) as connection:
        row = _row(connection, name)
        return None if row is None else _is_free(row, _now(connection))


def forget(home: Home, name: str, file: Path) -> None:
    """Leave nothing of a lock of the home whose holder is dead."""
    file.unlink(missing_ok=True)
    if storage.of_home(home).has_leases:
        with control_store(home).begin() as connection:
            connection.execute(delete(leases).where(leases.c.name == name))


@contextmanager
def _leased(
    store: Callable[[], Engine], root: Path, names: Sequence[str], *, waits: bool = True, is_passing: bool = False
) -> Iterator[bool]:
    """Hold leases, renewed by a thread for as long as it lasts; whether they are held, which they are if it waits."""
    taken: list[Lease] = []
    with ExitStack() as kept:
        kept.callback(_give_back, store, taken, is_passing=is_passing)
        kept.enter_context(_renewed(store, taken))
        for name in names:
            lease = _take(store, root, name, waits=waits)
            if lease is None:
                yield False
                return
            taken.append(lease)
        _held.set((*_held.get(), *taken))
        try:
            yield True
        finally:
            _held.set(tuple(lease for lease in _held.get() if lease not in taken))


def _take(store: Callable[[], Engine], root: Path, name: str, *, waits: bool) -> Lease | None:
    holder = holders.this_process()
    looks = 0
    while True:
        number = _tried(store(), name, holder)
        if number is not None:
            return Lease(root, name, number, holder)
        if not waits:
            return None
        time.sleep(_LOOK_AGAIN_SECONDS[min(looks, len(_LOOK_AGAIN_SECONDS) - 1)])
        looks += 1


def _tried(engine: Engine, name: str, holder: str) -> int | None:
    """Take a lease that is free, for its next fencing number; null where somebody holds it."""
    with reading(engine) as connection:  # whoever only waits holds up no writer
        if not _is_free(_row(connection, name), _now(connection)):
            return None
    with engine.begin() as connection:
        row, now = _row(connection, name), _now(connection)
        if not _is_free(row, now):
            return None
        number = 1 if row is None else int(row.number) + 1
        values = {"number": number, "holder": holder, "taken_at": now, "renewed_at": now, "expires_at": _end(now)}
        if row is None:
            connection.execute(insert(leases).values(name=name, **values))
        else:
            connection.execute(update(leases).where(leases.c.name == name).values(values))
        return number


@contextmanager
def _renewed(store: Callable[[], Engine], taken: Sequence[Lease]) -> Iterator[None]:
    """Move the end of the leases on, three times in the time that one lasts; what fails is tried again, then lost."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(settings.lease_seconds() / _RENEWALS_A_LEASE):
            with suppress(ZentraError, SQLAlchemyError):
                _renew(store(), list(taken))

    keeper = threading.Thread(target=renew, name="leases", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _renew(engine: Engine, taken: Sequence[Lease]) -> None:
    with engine.begin() as connection:
        now = _now(connection)
        for lease in taken:
            mine = (leases.c.name == lease.name) & (leases.c.number == lease.number) & (leases.c.holder == lease.holder)
            values = {"renewed_at": now, "expires_at": _end(now)}
            connection.execute(update(leases).where(mine & (leases.c.expires_at > now)).values(values))


def _give_back(store: Callable[[], Engine], taken: Sequence[Lease], *, is_passing: bool) -> None:
    """Free the leases that are still the holder's own; where the database is away they run out by themselves."""
    with suppress(UnavailableError, SQLAlchemyError), store().begin() as connection:
        for lease in taken:
            mine = (leases.c.name == lease.name) & (leases.c.number == lease.number) & (leases.c.holder == lease.holder)
            free = delete(leases) if is_passing else update(leases).values(holder=None, expires_at=None)
            connection.execute(free.where(mine))


def _row(connection: Connection, name: str) -> Row[tuple[int, str | None, str | None]] | None:
    columns = (leases.c.number, leases.c.holder, leases.c.expires_at)
    return connection.execute(select(*columns).where(leases.c.name == name)).one_or_none()


def _is_free(row: Row[tuple[int, str | None, str | None]] | None, now: str) -> bool:
    if row is None or row.holder is None or row.expires_at is None or row.expires_at <= now:
        return True
    return holders.is_known_ended(row.holder)


def _is_of(row: Row[tuple[int, str | None, str | None]], lease: Lease) -> bool:
    return (row.number, row.holder) == (lease.number, lease.holder) and row.expires_at is not None


def _by_whom(row: Row[tuple[int, str | None, str | None]] | None, lease: Lease, now: str) -> str:
    if row is None or row.holder is None or row.holder == lease.holder or _is_free(row, now):
        return ""
    return f", and {holders.shown(row.holder)} has taken it"


def _now(connection: Connection) -> str:
    """The database's clock, as text that is ordered like time."""
    if connection.dialect.name == "sqlite":
        return instant_text(datetime.now(UTC))
    return str(connection.execute(_POSTGRES_CLOCK).scalar_one())


def _end(now: str) -> str:
    return instant_text(instant_of(now) + timedelta(seconds=settings.lease_seconds()))
