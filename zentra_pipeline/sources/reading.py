"""Reads a file by the reader of its format and kind. What a reader does with the bytes does not belong here."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

import polars as pl

from zentra_pipeline.contracts.bank_statements import KIND
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.registry import BankReader, Reader, reader_of


def frames(
    path: Path,
    contract: Contract,
    format: str,
    *,
    name: str,
    secrets: Sequence[str] = (),
    notes: MutableMapping[str, int] | None = None,
    mapping: ColumnMapping | BankReading | None = None,
) -> Iterator[pl.DataFrame]:
    """Frames of a file as its format's reader gives them; see registry.Reader.

    UsageError when no reader of that format reads that kind. `mapping`: how a table (format `tabular`) is read, or what
    its profile says of a bank's files.
    """
    if contract.kind == KIND:
        of_bank = reader_of(format, KIND)
        assert isinstance(of_bank, BankReader), "the registry says which formats banks have"
        terms = mapping if isinstance(mapping, BankReading) else BankReading(tabular=mapping)
        return of_bank.bank_frames(path, terms, name=name, notes=notes)
    assert not isinstance(mapping, BankReading), "a bank's profile reads nothing else"
    reader = reader_of(format, contract.kind) if mapping is None else _reader_of_table(mapping)
    return reader.read(path, contract, name=name, secrets=secrets, notes=notes)


def _reader_of_table(mapping: ColumnMapping) -> Reader:
    from zentra_pipeline.sources.tabular_reader import TabularReader

    return TabularReader(mapping)


def column_names(contract: Contract, format: str) -> Mapping[str, str]:
    """Field → the column of the file it is read from, where a format's columns bear names of their own."""
    return reader_of(format, contract.kind).column_names(contract.kind)
