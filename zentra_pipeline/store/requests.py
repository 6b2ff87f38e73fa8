"""Queries on requested runs and idempotency keys; executing a run does not belong here (worker, defs).

queued → launched → done | failed, and queued again when the same run is asked for with something new to see
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.store.instants import instant_text
from zentra_pipeline.store.models import idempotency_keys, run_requests

WORKER: Final = "worker"
DAGSTER: Final = "dagster"
UNFINISHED: Final = ("queued", "launched")


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


@dataclass(frozen=True)
class IdempotencyKey:
    """What a caller's key stands for: the digest of its request, and the run that it led to."""

    key: str
    request_digest: str
    run_id: str


def find(connection: Connection, run_id: str) -> Request | None:
    """The request of a run, null when it was never asked for over HTTP."""
    row = connection.execute(select(run_requests).where(run_requests.c.run_id == run_id)).one_or_none()
    return None if row is None else Request(**row._mapping)


def queue(connection: Connection, run_id: str, actor: str, at: datetime) -> None:
    """Have a run executed; asked for again, it waits for its turn anew."""
    request = Request(run_id, "queued", actor, instant_text(at), 0, None, None, None)
    if find(connection, run_id) is None:
        connection.execute(insert(run_requests).values(vars(request)))
    else:
        connection.execute(update(run_requests).where(run_requests.c.run_id == run_id).values(vars(request)))


def of_status(connection: Connection, status: str, launched_by: str | None = None) -> list[Request]:
    """Requests in a status, of one launcher when given, those asked for first at the top."""
    query = _ordered().where(run_requests.c.status == status)
    if launched_by is not None:
        query = query.where(run_requests.c.launched_by == launched_by)
    return [Request(**row._mapping) for row in connection.execute(query)]


def launch(connection: Connection, run_id: str, launcher: str) -> Request:
    """Take a queued request to execute it; needs a write transaction, so that one launcher has it."""
    request = _known(connection, run_id)
    if request.status != "queued":
        raise ZentraError(f"the request of run {run_id} is {request.status} and cannot be launched")
    this = run_requests.c.run_id == run_id
    values = {"status": "launched", "launch": request.launch + 1, "launched_by": launcher}
    connection.execute(update(run_requests).where(this).values(values))
    return _known(connection, run_id)


def put_back(connection: Connection, launcher: str) -> int:
    """Queue again what a launcher that died had taken; how many that were."""
    taken = (run_requests.c.status == "launched") & (run_requests.c.launched_by == launcher)
    return int(connection.execute(update(run_requests).where(taken).values(status="queued")).rowcount)


def finish(connection: Connection, run_id: str, at: datetime, failure: str | None = None) -> None:
    """Record that a launched request was executed, with `failure` (why, and what to do) when that went wrong."""
    this = (run_requests.c.run_id == run_id) & (run_requests.c.status == "launched")
    values = {"status": "failed" if failure else "done", "finished_at": instant_text(at), "failure": failure}
    connection.execute(update(run_requests).where(this).values(values))


def known_key(connection: Connection, key: str) -> IdempotencyKey | None:
    """What an idempotency key stands for, null when nobody has used it."""
    columns = (idempotency_keys.c.key, idempotency_keys.c.request_digest, idempotency_keys.c.run_id)
    row = connection.execute(select(*columns).where(idempotency_keys.c.key == key)).one_or_none()
    return None if row is None else IdempotencyKey(**row._mapping)


def keep_key(connection: Connection, key: IdempotencyKey, at: datetime) -> None:
    """Keep what a key stands for, for ever."""
    connection.execute(insert(idempotency_keys).values(**vars(key), created_at=instant_text(at)))


def _known(connection: Connection, run_id: str) -> Request:
    found = find(connection, run_id)
    if found is None:
        raise ZentraError(f"run {run_id} was never asked for")
    return found


def _ordered() -> Select[Any]:
    return select(run_requests).order_by(run_requests.c.requested_at, run_requests.c.run_id)
