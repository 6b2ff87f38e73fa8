"""Counts the outcome of the rows that readers counted: in the staged files and in quarantine as they lie on disk.

What a row in quarantine means, and healing files, do not belong here (doctor, rebuild).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from zentra_pipeline.ingest.file_windows import home_window
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import file_facts
from zentra_pipeline.store import files as file_store
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class RowCounts:
    """Rows of some files as their reader counted them, and as they lie staged and in quarantine."""

    files: int
    read: int
    staged: int
    quarantined: int

    @property
    def add_up(self) -> bool:
        return self.read == self.staged + self.quarantined


def counted(tenant: Tenant, kind: str, provider: str, window: date) -> RowCounts:
    """The rows of the provider's files of one kind and window; files of releases that did not count are left out.

    A file that is gone has no rows.
    """
    with tenant.reading() as connection:
        facts = file_facts.recorded(connection)
        files = [file for file in file_store.staged_files(connection, kind) if file.provider == provider]
    found = [file for file in files if file.sequence in facts and home_window(tenant.paths, file) == window]
    return RowCounts(
        len(found),
        sum(facts[file.sequence].rows_read for file in found),
        _rows(tenant.paths, (file.staged_path for file in found)),
        _rows(tenant.paths, (file.quarantine_path for file in found)),
    )


def _rows(paths: TenantPaths, files: Iterable[str | None]) -> int:
    return sum(_rows_of(paths.root / file) for file in files if file is not None)


def _rows_of(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows) if file.is_file() else 0
