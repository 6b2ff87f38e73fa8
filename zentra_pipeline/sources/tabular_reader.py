"""The reader of the format tabular: settlement lines and bank statements, each by a column mapping.

Does not belong here: reading a table (tabular), a bank's table (bank_table).
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.sources import bank_rows, bank_table, tabular
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping


@dataclass(frozen=True)
class TabularReader:
    """Reads tables as a mapping says; without one it reads nothing."""

    mapping: ColumnMapping | None

    def read(
        self,
        path: Path,
        contract: Contract,
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of settlement lines; ConfigurationError without a mapping."""
        if self.mapping is None:
            raise ConfigurationError(
                "settlement_format tabular needs a column mapping: write the key tabular in the provider's profile"
            )
        return tabular.read_settlement(path, name, self.mapping, notes)

    def bank_frames(
        self, path: Path, reading: BankReading, *, name: str, notes: MutableMapping[str, int] | None
    ) -> Iterator[pl.DataFrame]:
        """Frames of bank statements and lines; ConfigurationError without a mapping."""
        if reading.tabular is None:
            raise ConfigurationError(
                "format tabular needs a column mapping: write the key tabular in the bank's profile"
            )
        return bank_rows.frames(bank_table.parts(path, name, reading, reading.tabular, notes), name, reading)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """None: refusals name the columns of the file themselves."""
        return {}
