"""The reader of every format whose files come as lines and statements; the grammar of none of them belongs here."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.sources import bank_rows, bank_statements, provider_events
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.bank_statements import Part
from zentra_pipeline.sources.provider_events import EventFormat
from zentra_pipeline.sources.statement import Statement

Notes = MutableMapping[str, int]
Parts = Callable[[Path, str, Notes], Iterator[Part]]
"""Lines and statements of a file, received under a name, in its order; notes count what gives no line."""


@dataclass(frozen=True)
class PartsReader:
    """Reads a format by its `parts`; see registry.ControlledReader.

    `names` says where each field of a line is read from. `events` is the form of the format's recorded webhooks, null
    where there are none. `of_banks`: entries in place of lines, of the formats in which banks send statements.
    """

    parts: Parts
    names: Mapping[str, str]
    events: EventFormat | None = None
    of_banks: Parts | None = None

    def read(
        self, path: Path, contract: Contract, *, name: str, secrets: Sequence[str], notes: Notes | None
    ) -> Iterator[pl.DataFrame]:
        """Lines, refused where the figures of a statement disagree, or callbacks of webhooks."""
        if contract.kind == "settlement":
            return bank_statements.settlement_frames(self.parts(path, name, _counted(notes)), name)
        assert self.events is not None, "the registry says which kinds a format has"
        return provider_events.read_callbacks(self.events, path, secrets, name, notes)

    def bank_frames(
        self, path: Path, reading: BankReading, *, name: str, notes: Notes | None
    ) -> Iterator[pl.DataFrame]:
        """Statements and their lines as rows; see registry.BankReader."""
        assert self.of_banks is not None, "the registry says which formats banks have"
        return bank_rows.frames(self.of_banks(path, name, _counted(notes)), name, reading)

    def statements(self, path: Path, name: str) -> Sequence[Statement]:
        """The statements of a file, in its order."""
        return bank_statements.statements(self.parts(path, name, {}), name)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """Field → where it is read from; what a webhook's is read from depends on its event."""
        return self.names if kind == "settlement" else {}


def without_notes(parts: Callable[[Path, str], Iterator[Part]]) -> Parts:
    """The parts of a format in which everything gives a line."""
    return lambda path, name, _notes: parts(path, name)


def _counted(notes: Notes | None) -> Notes:
    return {} if notes is None else notes
