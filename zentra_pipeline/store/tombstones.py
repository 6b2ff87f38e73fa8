"""Queries on tombstones: what stands for bytes that retention deleted. Deciding and deleting is elsewhere (upkeep)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from zentra_pipeline.store import digests
from zentra_pipeline.store.models import callback_inbox, tombstones

_AT_REST = ("ingested", "set_aside")


@dataclass(frozen=True)
class Tombstone:
    """Bytes that were deleted: their digest and size, whose they were, why, who did it and when.

    `files` are the sequences of all registrations of these bytes, `sealed_by` the closeouts that rest on their rows,
    `bodies` how many deliveries in the inbox were emptied with them. Of a delivery that was set aside the bytes are its
    body: it has no `files`, and is `sealed_by` the closeouts of the window that it was received in.
    """

    sha256: str
    byte_size: int
    kind: str
    files: tuple[int, ...]
    sealed_by: tuple[str, ...]
    bodies: int
    why: str
    actor: str
    deleted_at: str


def add(connection: Connection, tombstone: Tombstone) -> None:
    """Add a tombstone; the bytes are deleted after this is committed."""
    newest = connection.execute(select(func.max(tombstones.c.sequence))).scalar_one() or 0
    lists = {"files": json.dumps(tombstone.files), "sealed_by": json.dumps(tombstone.sealed_by)}
    connection.execute(insert(tombstones).values({**asdict(tombstone), **lists, "sequence": newest + 1}))


def listed(connection: Connection, sha256: str | None = None) -> list[Tombstone]:
    """All tombstones, or those of some bytes, oldest first."""
    query = select(*digests.facts(tombstones)).order_by(tombstones.c.sequence)
    rows = connection.execute(query if sha256 is None else query.where(tombstones.c.sha256 == sha256))
    return [_tombstone(dict(row._mapping)) for row in rows]


def empty_bodies(connection: Connection, provider: str, batch: str) -> int:
    """Empty the bodies of a batch that was ingested or set aside, of which the digests stay; how many there were."""
    table = callback_inbox
    these = (table.c.provider == provider) & (table.c.batch == batch) & table.c.status.in_(_AT_REST)
    for row in connection.execute(select(table).where(these & (func.length(table.c.body) > 0))).all():
        values: dict[str, Any] = {**row._mapping, "body": b"", "headers": "{}"}
        digest = digests.digest_of(table, values)
        this = table.c.sequence == row.sequence
        connection.execute(update(table).where(this).values(body=b"", headers="{}", row_digest=digest))
    return int(connection.execute(select(func.count()).where(these)).scalar_one())


def _tombstone(row: Mapping[str, Any]) -> Tombstone:
    known = {name: value for name, value in row.items() if name != "sequence"}
    lists = {name: tuple(json.loads(known[name])) for name in ("files", "sealed_by")}
    return Tombstone(**{**known, **lists})
