"""Queries on the inbox of callbacks: rows stay for ever; verifying, ingesting, emptying them does not belong here."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from zentra_pipeline.store.models import callback_inbox

VERIFIED: Final = "verified"
UNSIGNED: Final = "unsigned"
REFUSED: Final = "refused"
_PENDING: Final = "pending"
_ASSIGNED: Final = "assigned"
_INGESTED: Final = "ingested"
_SET_ASIDE: Final = "set_aside"
_BATCH_ROWS: Final = 10_000
_BATCH_BYTES: Final = 32 * 1024 * 1024
_AT_ONCE: Final = 400  # bound values of one statement, well below what SQLite takes


@dataclass(frozen=True)
class Receipt:
    """One delivery as it came: `headers` are those its signature needs, `verification` what came of checking it."""

    provider: str
    format: str
    received_at: str
    sha256: str
    headers: Mapping[str, str]
    body: bytes
    verification: str


@dataclass(frozen=True)
class SetAside:
    """A delivery that no file may hold, in a batch of its own: whose, when it came, digest and size of its body.

    Of one that retention emptied the size is 0.
    """

    provider: str
    batch: str
    received_at: str
    sha256: str
    byte_size: int


@dataclass(frozen=True)
class Waiting:
    """What waits in the inbox of a provider: how many deliveries, and since when."""

    provider: str
    deliveries: int
    since: str


def add(connection: Connection, receipts: Sequence[Receipt]) -> list[bool]:
    """Add deliveries in order; for each, whether it is new: the same body again, verified alike, is there already.

    Needs a write transaction: places in the order of arrival are taken in it.
    """
    known = _known(connection, receipts)
    newest = connection.execute(select(func.max(callback_inbox.c.sequence))).scalar_one() or 0
    rows: list[dict[str, Any]] = []
    is_new = []
    for receipt in receipts:
        key = (receipt.provider, receipt.sha256, receipt.verification)
        is_new.append(key not in known)
        if is_new[-1]:
            known.add(key)
            headers = json.dumps(dict(receipt.headers), separators=(",", ":"), sort_keys=True)
            values = {**vars(receipt), "headers": headers, "sequence": newest + len(rows) + 1, "status": _PENDING}
            rows.append({**values, "batch": None})
    if rows:
        connection.execute(insert(callback_inbox), rows)
    return is_new


def waiting(connection: Connection) -> list[Waiting]:
    """Providers with deliveries that are not ingested yet."""
    table = callback_inbox
    query = (
        select(table.c.provider, func.count(), func.min(table.c.received_at))
        .where(table.c.status.in_((_PENDING, _ASSIGNED)))
        .group_by(table.c.provider)
        .order_by(table.c.provider)
    )
    return [Waiting(*row) for row in connection.execute(query)]


def assign(connection: Connection, provider: str) -> str | None:
    """The batch to ingest next: one that was assigned before, else the oldest deliveries of one format as a new one.

    A batch never changes once assigned, and is named for its first and last place. Null when nothing waits.
    """
    table = callback_inbox
    mine = table.c.provider == provider
    left = select(table.c.batch).where(mine, table.c.status == _ASSIGNED).order_by(table.c.sequence).limit(1)
    batch = connection.execute(left).scalar()
    if batch is not None:
        return str(batch)
    candidates = (
        select(table.c.sequence, table.c.format, func.length(table.c.body))
        .where(mine, table.c.status == _PENDING)
        .order_by(table.c.sequence)
        .limit(_BATCH_ROWS)
    )
    chosen: list[int] = []
    size, first_format = 0, None
    for sequence, format_of_row, length in connection.execute(candidates):
        first_format = first_format or format_of_row
        size += length
        if format_of_row != first_format or (chosen and size > _BATCH_BYTES):
            break
        chosen.append(sequence)
    if not chosen:
        return None
    batch = _batch_name(chosen)
    for start in range(0, len(chosen), _AT_ONCE):
        these = table.c.sequence.in_(chosen[start : start + _AT_ONCE])
        connection.execute(update(table).where(these).values(batch=batch, status=_ASSIGNED))
    return batch


def of_batch(connection: Connection, provider: str, batch: str) -> list[Receipt]:
    """The deliveries of a batch in order of arrival."""
    table = callback_inbox
    columns = [table.c[name] for name in Receipt.__dataclass_fields__]
    query = select(*columns).where(table.c.provider == provider, table.c.batch == batch).order_by(table.c.sequence)
    rows = (dict(row._mapping) for row in connection.execute(query))
    return [Receipt(**{**row, "headers": json.loads(row["headers"])}) for row in rows]


def set_aside(connection: Connection) -> list[SetAside]:
    """The deliveries that are set aside for good, in order of arrival."""
    table = callback_inbox
    columns = (table.c.provider, table.c.batch, table.c.received_at, table.c.sha256, func.length(table.c.body))
    by_index = table.c.provider.in_(select(table.c.provider).distinct()) & (table.c.status == _SET_ASIDE)
    rows = connection.execute(select(*columns).where(by_index).order_by(table.c.sequence))
    return [SetAside(*row) for row in rows]


def mark_ingested(connection: Connection, provider: str, batch: str) -> None:
    """Record that a batch's file is registered."""
    table = callback_inbox
    these = (table.c.provider == provider) & (table.c.batch == batch)
    connection.execute(update(table).where(these).values(status=_INGESTED))


def split(connection: Connection, provider: str, batch: str) -> None:
    """Put a batch whose file was refused into two; a single delivery that no file may hold is set aside for good."""
    table = callback_inbox
    these = (table.c.provider == provider) & (table.c.batch == batch)
    sequences = list(connection.execute(select(table.c.sequence).where(these).order_by(table.c.sequence)).scalars())
    if len(sequences) == 1:
        connection.execute(update(table).where(these).values(status=_SET_ASIDE))
        return
    middle = len(sequences) // 2
    for half in (sequences[:middle], sequences[middle:]):
        among = these & table.c.sequence.between(half[0], half[-1])
        connection.execute(update(table).where(among).values(batch=_batch_name(half)))


def _batch_name(sequences: Sequence[int]) -> str:
    return f"inbox_{sequences[0]:012d}_{sequences[-1]:012d}"


def _known(connection: Connection, receipts: Sequence[Receipt]) -> set[tuple[str, str, str]]:
    """Provider, digest and verification of those deliveries that are in the inbox already."""
    table = callback_inbox
    digests: dict[str, list[str]] = defaultdict(list)
    for receipt in receipts:
        digests[receipt.provider].append(receipt.sha256)
    found: set[tuple[str, str, str]] = set()
    for provider, listed in digests.items():
        for start in range(0, len(listed), _AT_ONCE):
            these = table.c.sha256.in_(listed[start : start + _AT_ONCE])
            query = select(table.c.sha256, table.c.verification).where(table.c.provider == provider, these)
            found |= {(provider, sha256, verification) for sha256, verification in connection.execute(query)}
    return found
