"""Staged files: typed rows and quarantined rows as Parquet, written under a temporary name and put in place together.

Does not belong here: deciding which rows are accepted, or recording that a file exists (the operational store does).
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow.parquet as pq

from zentra_pipeline import durable_files
from zentra_pipeline.settings import TenantPaths

QUARANTINE = "quarantine"
QUARANTINE_COLUMNS: dict[str, pl.DataType] = {
    "source": pl.String(),
    "provider": pl.String(),
    "file_id": pl.String(),
    "row_number": pl.Int64(),
    "reason": pl.String(),
    "raw": pl.String(),
    "file_sha256": pl.String(),
    "file_sequence": pl.Int64(),
}
_ARRIVING = "arriving"
_SELDOM_REPEATING = frozenset(
    (
        "line_id",
        "entry_id",
        "event_id",
        "provider_event_id",
        "transaction_id",
        "provider_reference",
        "merchant_reference",
        "original_reference",
        "intent_id",
        "raw",
    )
)


@dataclass(frozen=True)
class StagedName:
    """The name a registration's rows have, the same in the table's folder and in quarantine."""

    sequence: int
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.sequence:08d}-{self.sha256[:16]}.parquet"

    def path(self, paths: TenantPaths, table: str) -> Path:
        return paths.staged / table / self.file_name

    def arriving(self, paths: TenantPaths, table: str) -> Path:
        return paths.staged / _ARRIVING / f"{table}-{self.file_name}"


class RowWriter:
    """Writes frames to one Parquet file in a thread of its own, one frame ahead at most; makes no file for no rows."""

    def __init__(self, path: Path, columns: Mapping[str, pl.DataType]) -> None:
        self.path = path
        self.rows = 0
        self._schema = pl.DataFrame(schema=dict(columns)).to_arrow().schema
        self._repeating = [
            name for name, dtype in columns.items() if dtype == pl.String() and name not in _SELDOM_REPEATING
        ]
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="staging")
        self._writer: pq.ParquetWriter | None = None
        self._pending: Future[None] | None = None

    def write(self, frame: pl.DataFrame) -> None:
        """Take a frame; an error of the frame before it is raised here."""
        if frame.height:
            self._settle()
            self.rows += frame.height
            self._pending = self._thread.submit(self._write, frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._settle()
        finally:
            self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()
        if self._writer is not None and kind is None:
            durable_files.sync_file(self.path)

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write(self, frame: pl.DataFrame) -> None:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self.path, self._schema, compression="snappy", use_dictionary=self._repeating
            )
        self._writer.write_table(frame.to_arrow().cast(self._schema))


def read_rows(path: Path) -> Iterator[pl.DataFrame]:
    """The rows of a written file, in order, in frames."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield pl.DataFrame(pl.from_arrow(batch))


def place(paths: TenantPaths, name: StagedName, table: str) -> Path:
    """Give a written file its lasting name; the caller syncs the folder."""
    target = name.path(paths, table)
    target.parent.mkdir(parents=True, exist_ok=True)
    name.arriving(paths, table).replace(target)
    durable_files.sync_folder(target.parent)
    return target


def discard_arriving(paths: TenantPaths) -> None:
    """Remove what commands that died or were refused left under temporary names; only under the ingest lock."""
    for left in (paths.staged / _ARRIVING).glob("*"):
        left.unlink()


def discard_unregistered(paths: TenantPaths, next_sequence: int) -> None:
    """Remove placed files that no registration names, left by a command that died before its commit."""
    for left in paths.staged.glob("*/*.parquet"):
        sequence = left.name.partition("-")[0]
        if sequence.isdigit() and int(sequence) >= next_sequence:
            left.unlink()
