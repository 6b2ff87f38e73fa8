"""Queries on a tenant's registered files. Transactions and the files themselves do not belong here."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, insert, select

from zentra_pipeline.store.digests import facts
from zentra_pipeline.store.models import files


@dataclass(frozen=True)
class StagedFile:
    """One registration: a content under a file id, and where its rows went; fields as in `store.models.files`."""

    sequence: int
    kind: str
    provider: str
    file_id: str
    sha256: str
    byte_size: int
    original_name: str
    format: str
    staged_path: str | None
    quarantine_path: str | None
    rows_staged: int
    rows_quarantined: int
    first_at: str | None
    last_at: str | None
    unknown_columns: str
    received_at: str


def registrations(connection: Connection, kind: str, provider: str) -> dict[tuple[str, str], StagedFile]:
    """Registrations of a kind and provider by file id and digest of their content."""
    rows = connection.execute(select(*facts(files)).where(files.c.kind == kind, files.c.provider == provider))
    found = (StagedFile(**row._mapping) for row in rows)
    return {(row.file_id, row.sha256): row for row in found}


def next_sequence(connection: Connection) -> int:
    """The sequence the next registration gets; later content of a file wins over earlier."""
    return 1 + (connection.execute(select(func.max(files.c.sequence))).scalar_one() or 0)


def register(connection: Connection, rows: Iterable[StagedFile]) -> None:
    """Record registrations; the caller's transaction makes them true together."""
    values = [asdict(row) for row in rows]
    if values:
        connection.execute(insert(files), values)


def staged_files(connection: Connection, kind: str) -> list[StagedFile]:
    """Every registration of a kind, in order of arrival."""
    rows = connection.execute(select(*facts(files)).where(files.c.kind == kind).order_by(files.c.sequence))
    return [StagedFile(**row._mapping) for row in rows]


def registered_files(connection: Connection) -> list[StagedFile]:
    """Every registration, in order of arrival."""
    rows = connection.execute(select(*facts(files)).order_by(files.c.sequence))
    return [StagedFile(**row._mapping) for row in rows]
