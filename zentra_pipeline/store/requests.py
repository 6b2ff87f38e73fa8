"""Queries on requested runs and idempotency keys; executing a run does not belong here (worker, defs).

queued → launched → done | failed, and queued again when the same run is asked for with something new to see, or when
whoever had launched it died: a launched request has a lease, which its executor renews.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from zentra_pipeline import traces
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.store.models import idempotency_keys, run_requests, runs

WORKER: Final = "worker"
DAGSTER: Final = "dagster"
CALLER: Final = "caller"
UNFINISHED: Final = ("queued", "launched")
# Whoever executes a request renews its lease three times as often.
LEASE: Final = timedelta(seconds=45)
_MOST_LAUNCHES: Final = 5


@dataclass(frozen=True)
class Request:
    """A requested run, as stored; fields as in `store.models.run_requests`."""

    run_id: str
    status: str
    actor: str
    requested_at: str
    launch: int
    launched_by: str | None
    finished_at: str | None
    failure: str | None
    asked: int
    reason: str | None
    lease_until: str | None
    trace: str | None = None

    def is_cut_off(self, now: datetime) -> bool:
        """Whether whoever launched it is dead: its lease has run out."""
        return self.status == "launched" and (self.lease_until is None or self.lease_until < instant_text(now))


@dataclass(frozen=True)
class IdempotencyKey:
    """What a caller's key means: the digest of its request, and the run that it led to."""

    key: str
    request_digest: str
    run_id: str


def find(connection: Connection, run_id: str) -> Request | None:
    """The request of a run, null when it was only ever executed at once."""
    row = connection.execute(select(run_requests).where(run_requests.c.run_id == run_id)).one_or_none()
    return None if row is None else Request(**row._mapping)


def queue(connection: Connection, run_id: str, actor: str, at: datetime, reason: str | None = None) -> None:
    """Have a run executed; asked for again, it waits for its turn again, also while somebody executes it.

    `reason` says what has to be made again and why, where nobody asked for it by hand.
    """
    known = find(connection, run_id)
    asked = 1 if known is None else known.asked + 1
    request = Request(
        run_id, "queued", actor, instant_text(at), 0, None, None, None, asked, reason, None, traces.current()
    )
    if known is None:
        connection.execute(insert(run_requests).values(vars(request)))
    else:
        connection.execute(update(run_requests).where(run_requests.c.run_id == run_id).values(vars(request)))


def of_status(connection: Connection, status: str, launched_by: str | None = None) -> list[Request]:
    """Requests in a status, of one launcher when given: those asked for first at the top, then runs made first."""
    query = _ordered().where(run_requests.c.status == status)
    if launched_by is not None:
        query = query.where(run_requests.c.launched_by == launched_by)
    return [Request(**row._mapping) for row in connection.execute(query)]


def first_of_idle_provider(connection: Connection) -> Request | None:
    """The first queued request of a provider of which no run is launched; null where there is none.

    Runs of a provider go one after another: whoever took a second one would only wait.
    """
    query = _ordered().with_only_columns(*run_requests.columns, runs.c.provider)
    rows = [row._mapping for row in connection.execute(query.where(run_requests.c.status.in_(UNFINISHED)))]
    busy = {row["provider"] for row in rows if row["status"] == "launched"}
    found = next((row for row in rows if row["status"] == "queued" and row["provider"] not in busy), None)
    return None if found is None else Request(**{each.name: found[each.name] for each in run_requests.columns})


def of_provider(connection: Connection, provider: str) -> list[Request]:
    """Every request of a provider's runs, in order of the runs' creation."""
    query = select(run_requests).join(runs, runs.c.run_id == run_requests.c.run_id)
    rows = connection.execute(query.where(runs.c.provider == provider).order_by(runs.c.sequence))
    return [Request(**row._mapping) for row in rows]


def launch(connection: Connection, run_id: str, launcher: str, now: datetime) -> Request:
    """Take a queued request to execute it; needs a write transaction, so that one launcher has it."""
    request = _known(connection, run_id)
    if request.status != "queued":
        raise ZentraError(f"the request of run {run_id} is {request.status} and cannot be launched")
    values = {"status": "launched", "launch": request.launch + 1, "launched_by": launcher}
    _change(connection, run_id, {**values, "lease_until": instant_text(now + LEASE)})
    return _known(connection, run_id)


def renew(connection: Connection, run_id: str, now: datetime) -> None:
    """Say that whoever launched a request is alive."""
    this = (run_requests.c.run_id == run_id) & (run_requests.c.status == "launched")
    connection.execute(update(run_requests).where(this).values(lease_until=instant_text(now + LEASE)))


def put_back(connection: Connection, run_id: str, now: datetime) -> None:
    """Queue again what was cut off; what was cut off too often has failed."""
    request = _known(connection, run_id)
    if request.status != "launched":
        return
    if request.launch >= _MOST_LAUNCHES:
        why = f"the run ended {request.launch} times without a result; see the server's log and ask for it again"
        finish(connection, run_id, now, why)
    else:
        _change(connection, run_id, {"status": "queued", "lease_until": None})


def put_back_dead(connection: Connection, now: datetime) -> list[str]:
    """Queue again every request whose launcher is dead, and name their runs; needs a write transaction."""
    dead = [request.run_id for request in of_status(connection, "launched") if request.is_cut_off(now)]
    for run_id in dead:
        put_back(connection, run_id, now)
    return dead


def finish(
    connection: Connection, run_id: str, at: datetime, failure: str | None = None, asked: int | None = None
) -> None:
    """Record that a request was executed, with `failure` (why, and what to do) when that went wrong.

    `asked` is the request's count when the execution began: what was asked for since is not answered by it.
    """
    this = (run_requests.c.run_id == run_id) & (run_requests.c.status != "done")
    if asked is not None:
        this &= run_requests.c.asked == asked
    values = {"status": "failed" if failure else "done", "finished_at": instant_text(at), "failure": failure}
    connection.execute(update(run_requests).where(this).values(**values, lease_until=None))


def known_key(connection: Connection, key: str) -> IdempotencyKey | None:
    """The use of an idempotency key, null when nobody has used it."""
    columns = (idempotency_keys.c.key, idempotency_keys.c.request_digest, idempotency_keys.c.run_id)
    row = connection.execute(select(*columns).where(idempotency_keys.c.key == key)).one_or_none()
    return None if row is None else IdempotencyKey(**row._mapping)


def keep_key(connection: Connection, key: IdempotencyKey, at: datetime) -> None:
    """Keep what a key means, for ever."""
    connection.execute(insert(idempotency_keys).values(**vars(key), created_at=instant_text(at)))


def _change(connection: Connection, run_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(run_requests).where(run_requests.c.run_id == run_id).values(dict(values)))


def _known(connection: Connection, run_id: str) -> Request:
    found = find(connection, run_id)
    if found is None:
        raise ZentraError(f"run {run_id} was never asked for")
    return found


def _ordered() -> Select[Any]:
    joined = select(run_requests).join(runs, runs.c.run_id == run_requests.c.run_id)
    return joined.order_by(run_requests.c.requested_at, runs.c.sequence)
