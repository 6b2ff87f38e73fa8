"""The records of PayPal's SFTP reports: which line is a header, a row or a footer, and that their counts agree.

RH and FH open a report and a file, SH a section (an account and a period), CH names the columns of the rows (SB) below
it, SF states a section's totals per currency, SC its rows, RF and RC those of the report, FF closes the file
(developer.paypal.com/docs/reports/sftp-reports). Does not belong here: what a row means, adding amounts up (paypal).
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import separators
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK, COLUMN_LIMIT

REQUIRED = (
    "Transaction ID",
    "Transaction Event Code",
    "Transaction Completion Date",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
    "Fee Debit or Credit",
    "Fee Amount",
)
EXPECTED = Expected(
    "a PayPal settlement (STL) or transaction detail (TRR) report", REQUIRED, "request it as PayPal defines it"
)

_RECORD_BYTES = 1024 * 1024
_KNOWN = ("RH", "FH", "SH", "CH", "SB", "SF", "SC", "RF", "RC", "FF")
_FIRST = ("RH", "FH", "SH", "CH")
_COUNTED = {"SC": "this section", "RC": "the report", "FF": "the file"}
_OTHER = (
    "this reads settlement (STL) and transaction detail (TRR) reports as PayPal delivers them by SFTP; a table of "
    "activities is read with format tabular"
)
_SHOWN = 60
_TOTAL = re.compile(r"[0-9]{1,40}", re.ASCII)


@dataclass
class Section:
    """An account and a period, with what its footers state per currency as written."""

    account: str | None = None
    day: str | None = None
    rows: int = 0
    footers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class BodyRow:
    """A row of a section: its number among the rows of the file, its values by column, blank ones left out.

    `refusal`: why its fields are not those of its header.
    """

    number: int
    section: Section
    values: Mapping[str, str]
    refusal: str | None = None


def body_rows(path: Path, name: str, sections: list[Section] | None = None) -> Iterator[BodyRow]:
    """The rows of a report in order; `sections` gets every section, whole once all rows are taken.

    InputRejectedError when a record is of no known kind, a count or the report's totals are not those of its sections,
    or the file was cut off.
    """
    start = start_of(path)
    refuse_other_forms(start, name)
    first = start.removeprefix(BYTE_ORDER_MARK).partition(b"\n")[0].decode("utf-8", "replace")
    other = separators.other_than(",", first, lambda fields: any(field in _FIRST for field in fields[:1]))
    if other is not None and other.mark != "\t":
        raise _refused(name, 1, f"its columns are separated by {other.plural}, not by commas or tabs")
    report = _Report(name, [] if sections is None else sections)
    for line, record in _records(path, name, "," if other is None else "\t"):
        row = report.take(line, record)
        if row is not None:
            yield row
    report.check_end()


class _Report:
    """What was read of a report so far."""

    def __init__(self, name: str, sections: list[Section]) -> None:
        self._name = name
        self._sections = sections
        self._section = Section()
        self._columns: list[str] | None = None
        self._totals: dict[str, list[str]] = {}
        self._rows = 0
        self._kinds = ("", "")  # the first and the last record
        self._has_parts_before = False

    def take(self, line: int, record: list[str]) -> BodyRow | None:
        """Take the next record; the row, if it is one."""
        kind = record[0]
        first = self._kinds[0] or kind
        if kind not in _KNOWN or first not in _FIRST:
            wanted = _FIRST if first == kind and not self._kinds[0] else _KNOWN
            other = "" if self._kinds[0] else f"; {_OTHER}"
            raise self._refused(line, f"it begins with {kind[:_SHOWN]!r}, which is none of {', '.join(wanted)}{other}")
        self._kinds = (first, kind)
        if kind == "SB":
            return self._row(line, record)
        if kind == "CH":
            self._columns = self._named(line, record)
        elif kind in ("SF", "RF"):
            self._footer(line, self._section.footers if kind == "SF" else self._totals, record)
        elif kind == "SH":
            day = (_at(record, 1) or "")[:10].replace("/", "-")
            self._section = Section(account=_at(record, 3), day=day or None)
            self._sections.append(self._section)
        elif kind == "FH":
            self._has_parts_before = record[1:2] not in ([], ["01"], ["1"])
        elif kind in _COUNTED and not (kind == "RC" and self._has_parts_before):
            self._check_count(line, record)
        return None

    def check_end(self) -> None:
        """InputRejectedError when what ended is not a whole report."""
        first, last = self._kinds
        if self._columns is None:
            raise InputRejectedError(
                f"{self._name}: no CH record names the columns: it is no PayPal report, or it was cut off"
            )
        if first in ("RH", "FH") and last != "FF":
            raise InputRejectedError(
                f"{self._name}: it begins with {first} and ends with {last}, not with FF: it was cut off; download it "
                "again"
            )
        for currency, stated in () if self._has_parts_before else self._totals.items():
            of_sections = [section.footers[currency] for section in self._sections if currency in section.footers]
            summed = [
                str(sum(int(text) for text in texts if _TOTAL.fullmatch(text)))
                for texts in zip(*of_sections, strict=False)
            ]
            if summed != [str(int(text)) if _TOTAL.fullmatch(text) else text for text in stated]:
                said = ", ".join(text[:_SHOWN] for text in stated)
                raise InputRejectedError(
                    f"{self._name}: RF {currency[:_SHOWN]} states {said}, its sections (SF) {', '.join(summed)}: "
                    "a section is missing or wrong; download the report again"
                )

    def _row(self, line: int, record: list[str]) -> BodyRow:
        columns = self._columns
        if columns is None:
            raise self._refused(line, "an SB record before any CH record: nothing names its columns")
        if not self._sections:
            self._sections.append(self._section)
        self._rows += 1
        self._section.rows += 1
        values = {column: value for column, value in zip(columns, record[1:], strict=False) if column and value}
        has_form = len(record) - 1 == len(columns)
        refusal = None if has_form else f"{len(record) - 1:,} fields where CH names {len(columns):,}"
        return BodyRow(self._rows, self._section, values, refusal)

    def _named(self, line: int, record: list[str]) -> list[str]:
        columns = [" ".join(column.split()) for column in record[1:]]
        if len(columns) > COLUMN_LIMIT:
            raise self._refused(line, f"{len(columns):,} columns; at most {COLUMN_LIMIT:,} are allowed")
        check_columns(columns, self._name, EXPECTED)
        named = [column for column in columns if column]
        if len(set(named)) < len(named):
            raise self._refused(line, "a column appears twice; each is named once")
        return columns

    def _footer(self, line: int, footers: dict[str, list[str]], record: list[str]) -> None:
        currency = _at(record, 1) or ""
        if currency in footers:
            raise self._refused(line, f"a second {record[0]} record of {currency[:_SHOWN]!r}")
        footers[currency] = record[2:6]

    def _check_count(self, line: int, record: list[str]) -> None:
        rows = self._section.rows if record[0] == "SC" else self._rows
        said = _at(record, 1) or ""
        if not (said.isascii() and said.isdigit() and len(said) < 12 and int(said) == rows):
            why = f"{record[0]} counts {said[:_SHOWN]!r} rows, {_COUNTED[record[0]]} has {rows:,}: rows are missing"
            raise self._refused(line, why)

    def _refused(self, line: int, why: str) -> InputRejectedError:
        return _refused(self._name, line, why)


def _records(path: Path, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Records of fields with the line each ends in; blank lines are skipped."""
    with path.open("rb") as stream:
        if stream.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            stream.seek(0)
        reader = csv.reader(_lines(stream, name), strict=True, delimiter=separator)
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as cause:
                raise _refused(name, reader.line_num, f"{cause}; put a field with commas or tabs in quotes") from cause
            if record:
                yield reader.line_num, record


def _lines(stream: io.BufferedIOBase, name: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(_RECORD_BYTES + 1):
        number += 1
        if len(line) > _RECORD_BYTES:
            raise _refused(name, number, f"longer than {_RECORD_BYTES:,} bytes")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as cause:
            raise _refused(name, number, f"byte 0x{line[cause.start]:02x} is not UTF-8") from cause


def _at(record: list[str], position: int) -> str | None:
    return record[position] if position < len(record) and record[position] else None


def _refused(name: str, line: int, why: str) -> InputRejectedError:
    return InputRejectedError(f"{name}: line {line:,}: {why}; download the report again")
