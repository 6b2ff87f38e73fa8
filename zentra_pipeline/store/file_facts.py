"""Queries on what is known of files beside their registrations. Reading and hashing files does not belong here."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select

from zentra_pipeline.store import digests
from zentra_pipeline.store.models import file_facts


@dataclass(frozen=True)
class FileFacts:
    """What is known of one registration; fields as in `store.models.file_facts`."""

    sequence: int
    rows_read: int
    staged_sha256: str | None
    quarantine_sha256: str | None
    is_proven: bool
    notes: str
    restates: str
    received_by: str | None


def record(connection: Connection, rows: Iterable[FileFacts]) -> None:
    """Record facts of registrations that have none yet."""
    values = [asdict(row) for row in rows]
    if values:
        connection.execute(insert(file_facts), values)


def recorded(connection: Connection) -> dict[int, FileFacts]:
    """Every file's facts by the sequence of its registration; files of older releases may have none."""
    rows = connection.execute(select(*digests.facts(file_facts)).order_by(file_facts.c.sequence))
    return {row.sequence: FileFacts(**row._mapping) for row in rows}


def change_digests(
    connection: Connection, sequence: int, staged_sha256: str | None, quarantine_sha256: str | None
) -> None:
    """Record that a file's rows were made again from its landed bytes, with these digests."""
    values = {"staged_sha256": staged_sha256, "quarantine_sha256": quarantine_sha256, "is_proven": True}
    digests.change_rows(connection, file_facts, file_facts.c.sequence == sequence, values)
