"""The independent reading of the public bank statements (`EXPECTED.csv`), beside what `inspect` makes of them."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from zentra_pipeline import vocabulary
from zentra_pipeline.ingest.inspection import InspectedStatement, inspect

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")

Figures = tuple[str, str, int, int, int | None, int | None, bool | None]


def expected(folder: str) -> Iterator[tuple[Path, str, list[dict[str, str]]]]:
    """Every file of a folder with its kind and its rows, in order."""
    with (SAMPLES / "EXPECTED.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["path"].startswith(f"{folder}/")]
    for path, of_file in groupby(rows, key=lambda row: row["path"]):
        found = list(of_file)
        yield SAMPLES / path, found[0]["kind"], found


def figures_expected(row: dict[str, str], currency: str) -> Figures:
    def minor(text: str) -> int:
        return int(Decimal(text).scaleb(vocabulary.exponent(currency)))

    return (
        row["id"],
        row["account"],
        int(row["entries"]),
        minor(row["signed_sum"]),
        minor(row["opening"]) if row["opening"] else None,
        minor(row["closing"]) if row["closing"] else None,
        {"True": True, "False": False, "": None}[row["ties"]],
    )


def figures_found(statement: InspectedStatement) -> Figures:
    assert statement.signed_sum_minor is not None
    return (
        statement.id or "",
        statement.account or "",
        statement.entries,
        statement.signed_sum_minor,
        statement.opening_minor,
        statement.closing_minor,
        statement.ties,
    )


def statements_of(path: Path, file_format: str) -> list[InspectedStatement]:
    return list(inspect(file_format, path).statements)
