"""Chooses the reader of a format and kind. What a reader does with the bytes does not belong here."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import polars as pl

from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import UsageError
from zentra_pipeline.sources import canonical
from zentra_pipeline.sources.registry import CALLBACK_READERS, SETTLEMENT_READERS

CANONICAL = "canonical"


def frames(
    path: Path,
    contract: Contract,
    format: str,
    *,
    name: str,
    secrets: Sequence[str] = (),
    notes: MutableMapping[str, int] | None = None,
) -> Iterator[pl.DataFrame]:
    """Frames of a file as its format's reader gives them; `name` is the file's name as received.

    UsageError when no reader of that format reads that kind. `secrets` may have signed callbacks; `notes`
    counts what the file holds beside rows, by description.
    """
    if format == CANONICAL:
        return canonical.read(path, contract, name)
    if contract.kind == "settlement" and format in SETTLEMENT_READERS:
        return cast(Iterator[pl.DataFrame], import_module(SETTLEMENT_READERS[format]).read_settlement(path, name))
    if contract.kind == "callbacks" and format in CALLBACK_READERS:
        reader = import_module(CALLBACK_READERS[format])
        return cast(Iterator[pl.DataFrame], reader.read_callbacks(path, secrets, name, notes))
    known = {"settlement": SETTLEMENT_READERS, "callbacks": CALLBACK_READERS}.get(contract.kind, [CANONICAL])
    raise UsageError(f"no reader of {contract.kind} files for format {format!r}: use one of {', '.join(known)}")


def column_names(contract: Contract, format: str) -> Mapping[str, str]:
    """Field → the column of the file it is read from, where a format's columns bear names of their own."""
    if format == CANONICAL or contract.kind != "settlement" or format not in SETTLEMENT_READERS:
        return {}
    names: Mapping[str, str] = getattr(import_module(SETTLEMENT_READERS[format]), "COLUMN_NAMES", {})
    return names
