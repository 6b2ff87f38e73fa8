"""Queries on intents and on details of intents still incomplete; policy, postings and ingest belong to runtime."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from zentra_pipeline.store.digests import facts
from zentra_pipeline.store.models import intent_details, intents

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
_PENDING: Final = "pending"
_ASSIGNED: Final = "assigned"
_INGESTED: Final = "ingested"
_BATCH_ROWS: Final = 10_000
_JSON_COLUMNS: Final = ("content", "policy")


@dataclass(frozen=True)
class StoredIntent:
    """An intent as recorded; fields as in `store.models.intents`. `content` and `policy` are JSON objects."""

    sequence: int
    intent_id: str
    provider: str
    request_digest: str
    content: Mapping[str, Any]
    status: str
    policy: Mapping[str, Any]
    submitted_by: str
    recorded_at: str
    batch: str | None = None
    staging: str = _PENDING

    @property
    def is_ingested(self) -> bool:
        """Whether its rows are staged."""
        return self.staging == _INGESTED


@dataclass(frozen=True)
class StoredDetails:
    """What one call stated about an intent that was incomplete then; fields as in `store.models.intent_details`."""

    sequence: int
    intent_id: str
    content: Mapping[str, Any]
    submitted_by: str
    recorded_at: str


@dataclass(frozen=True)
class Waiting:
    """Intents of a provider whose rows are not staged yet: how many, and since when."""

    provider: str
    intents: int
    since: str


def find(connection: Connection, intent_id: str) -> StoredIntent | None:
    """An intent by its id, null when there is none."""
    row = connection.execute(select(*facts(intents)).where(intents.c.intent_id == intent_id)).one_or_none()
    return None if row is None else _stored(dict(row._mapping))


def next_sequence(connection: Connection) -> int:
    """The place the next intent takes; needs a write transaction to stay free."""
    return 1 + (connection.execute(select(func.max(intents.c.sequence))).scalar_one() or 0)


def add(connection: Connection, intent: StoredIntent) -> None:
    """Record an intent; the caller's transaction makes it true."""
    values = vars(intent) | {name: _text(getattr(intent, name)) for name in _JSON_COLUMNS}
    connection.execute(insert(intents).values(values))


def details(connection: Connection, intent_id: str) -> list[StoredDetails]:
    """What calls stated about an intent before it was complete, oldest first; empty if the first completed it."""
    query = (
        select(*facts(intent_details))
        .where(intent_details.c.intent_id == intent_id)
        .order_by(intent_details.c.sequence)
    )
    rows = [dict(row._mapping) for row in connection.execute(query)]
    return [StoredDetails(**row | {"content": json.loads(row["content"])}) for row in rows]


def add_details(
    connection: Connection, intent_id: str, content: Mapping[str, Any], submitted_by: str, recorded_at: str
) -> StoredDetails:
    """Record what a call stated about an incomplete intent; needs a write transaction."""
    sequence = 1 + (connection.execute(select(func.max(intent_details.c.sequence))).scalar_one() or 0)
    stored = StoredDetails(sequence, intent_id, dict(content), submitted_by, recorded_at)
    connection.execute(insert(intent_details).values(vars(stored) | {"content": _text(content)}))
    return stored


def waiting(connection: Connection) -> list[Waiting]:
    """Providers with intents whose rows are not staged yet."""
    query = (
        select(intents.c.provider, func.count(), func.min(intents.c.recorded_at))
        .where(intents.c.staging.in_((_PENDING, _ASSIGNED)))
        .group_by(intents.c.provider)
        .order_by(intents.c.provider)
    )
    return [Waiting(*row) for row in connection.execute(query)]


def assign(connection: Connection, provider: str) -> str | None:
    """The batch to stage next: one that was assigned before, else the oldest pending intents; null when none wait.

    A batch never changes once assigned, and is named for its first and last place.
    """
    mine = intents.c.provider == provider
    left = select(intents.c.batch).where(mine, intents.c.staging == _ASSIGNED).order_by(intents.c.sequence).limit(1)
    batch = connection.execute(left).scalar()
    if batch is not None:
        return str(batch)
    pending = mine & (intents.c.staging == _PENDING)
    oldest = select(intents.c.sequence).where(pending).order_by(intents.c.sequence).limit(_BATCH_ROWS)
    chosen = list(connection.execute(oldest).scalars())
    if not chosen:
        return None
    batch = f"intents_{chosen[0]:012d}_{chosen[-1]:012d}"
    these = pending & (intents.c.sequence <= chosen[-1])
    connection.execute(update(intents).where(these).values(batch=batch, staging=_ASSIGNED))
    return batch


def of_batch(connection: Connection, provider: str, batch: str) -> list[StoredIntent]:
    """The intents of a batch in order of commitment."""
    these = (intents.c.provider == provider) & (intents.c.batch == batch)
    rows = connection.execute(select(*facts(intents)).where(these).order_by(intents.c.sequence))
    return [_stored(dict(row._mapping)) for row in rows]


def mark_ingested(connection: Connection, provider: str, batch: str) -> None:
    """Record that a batch's files are registered."""
    these = (intents.c.provider == provider) & (intents.c.batch == batch)
    connection.execute(update(intents).where(these).values(staging=_INGESTED))


def _stored(row: Mapping[str, Any]) -> StoredIntent:
    return StoredIntent(**{**row, **{name: json.loads(row[name]) for name in _JSON_COLUMNS}})


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(dict(content), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
