"""ACH files of NACHA: returned entries as settlement lines, the whole file checked against its own control record.

Does not belong here: entries that are no returns; they are instructions, not what was settled.
"""

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from zentra_pipeline import money
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.bank_statements import LineIds, Part
from zentra_pipeline.sources.parts_reader import Notes, PartsReader
from zentra_pipeline.sources.statement import Statement

_WIDTH: Final = 94
_BLOCK: Final = 94 * 1024
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)
_ADV: Final = "280"
_ADV_DEBITS: Final = ("82", "84", "86", "88")
COLUMN_NAMES: Final = {
    "line_id": "trace number of the return",
    "line_type": "transaction code",
    "provider_reference": "original trace number of addenda 99",
    "merchant_reference": "individual identification number",
    "gross_minor": "amount",
    "fee_minor": "amount",
    "net_minor": "amount",
    "settled_at": "file creation date",
    "batch_id": "batch number",
}
"""Settlement field → the field of the record it is read from."""


@dataclass
class _File:
    """What is added up of the file while it is read."""

    created: str = ""
    modifier: str = ""
    is_adv: bool = False
    batch: str = ""
    batches: int = 0
    entries: int = 0
    records: int = 0
    debits: int = 0
    credits: int = 0
    unread: str | None = None
    control: str | None = None


@dataclass
class _Entry:
    """An entry detail with its addenda."""

    record: str
    amount: int
    code: str = ""
    original: str = ""


def parts(path: Path, name: str, notes: Notes) -> Iterator[Part]:
    """Lines of returned entries, then the file as one statement. `notes` counts entries that give no line.

    InputRejectedError when a record is none of NACHA's.
    """
    file, ids = _File(), LineIds()
    entry: _Entry | None = None
    for number, record in enumerate(_records(path), start=1):
        kind = record[0]
        if kind == "7":
            file.records += 1
            _take_addenda(record, entry)
            continue
        if entry is not None:
            yield from _line(entry, file, ids, notes)
            entry = None
        if kind == "6":
            entry = _begin_entry(record, number, file)
        elif kind == "1" and number == 1:
            file.created, file.modifier = _day(record[23:29]), record[33]
        elif kind == "5":
            file.is_adv, file.batch, file.batches = record[1:4] == _ADV, record[87:94].strip(), file.batches + 1
        elif kind == "9" and file.control is None and record.strip("9 ") != "":
            file.control = record
        elif kind == "1":
            raise InputRejectedError(
                f"{name}: record {number:,}: another file begins (record 1); send each as a file of its own"
            )
        elif kind not in "89":
            raise InputRejectedError(
                f"{name}: record {number:,} ({record[:24]!r}) is none of an ACH file; ask the bank for the file again"
            )
    if entry is not None:
        yield from _line(entry, file, ids, notes)
    yield _statement(file, notes)


def _records(path: Path) -> Iterator[str]:
    """Records of 94 characters: a line each, trailing blanks left off or not, or one after the other without lines."""
    held = ""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        while block := stream.read(_BLOCK):
            *lines, held = _LINE_END.split(held + block)
            for line in lines:
                yield from _cut(line)
            while len(held) > 2 * _WIDTH:
                yield held[:_WIDTH]
                held = held[_WIDTH:]
    yield from _cut(held)


def _cut(line: str) -> Iterator[str]:
    for start in range(0, len(line.rstrip()), _WIDTH):
        yield line[start : start + _WIDTH].ljust(_WIDTH)


def _begin_entry(record: str, number: int, file: _File) -> _Entry:
    file.entries += 1
    file.records += 1
    text = record[27:39] if file.is_adv else record[29:39]
    if not _DIGITS.fullmatch(text):
        file.unread = file.unread or f"record {number:,}: amount {text!r} is not a number"
        return _Entry(record, 0)
    code, amount = record[1:3], int(text)
    is_debit = code in _ADV_DEBITS if code[0] == "8" else code[1] in "56789"
    if is_debit:
        file.debits += amount
    else:
        file.credits += amount
    return _Entry(record, -amount if is_debit else amount)


def _take_addenda(record: str, entry: _Entry | None) -> None:
    if entry is not None and record[1:3] in ("98", "99"):
        entry.code = record[3:6]
        entry.original = entry.original or record[6:21].strip()


def _line(entry: _Entry, file: _File, ids: LineIds, notes: MutableMapping[str, int]) -> Iterator[Part]:
    """A returned entry; what is none, or moves no money, is noted."""
    if entry.code[:1] == "C":
        what = "entries that are notifications of change: no movement of money"
        notes[what] = notes.get(what, 0) + 1
        return
    if entry.code[:1] != "R":
        what = "entries that are no returns: no line"
        notes[what] = notes.get(what, 0) + 1
        return
    trace = entry.record[79:94].strip()
    yield {
        "line_id": ids.of(f"{file.created}:{trace}:{entry.code}", entry.record),
        "line_type": "chargeback" if entry.amount <= 0 else "payout",
        "provider_reference": entry.original or trace,
        "merchant_reference": entry.record[39:54].strip() or None,
        "original_reference": entry.original or None,
        "gross_minor": str(entry.amount),
        "fee_minor": "0",
        "net_minor": str(entry.amount),
        "currency": "USD",
        "settled_at": f"{file.created}T00:00:00Z" if file.created else None,
        "batch_id": file.batch or None,
    }


def _statement(file: _File, notes: MutableMapping[str, int]) -> Statement:
    """The file against its control: totals and count of entries and addenda; a wrong count of batches is noted."""
    fault = file.unread
    if fault is None and file.control is None:
        fault = "it has no file control (record 9): was it cut?"
    if fault is None and file.control is not None:
        places = (13, 21, 31, 51, 71) if file.is_adv else (13, 21, 31, 43, 55)
        count, debits, credits = (
            file.control[start:end] for start, end in ((places[0], places[1]), places[2:4], places[3:5])
        )
        stated = [int(text) if _DIGITS.fullmatch(text) else None for text in (count, debits, credits)]
        found = [file.records, file.debits, file.credits]
        whats = ("count of entries and addenda", "total of debits", "total of credits")
        faults = [
            f"its {what} is {_figure(what, there)}, and its records come to {_figure(what, here)}"
            for what, there, here in zip(whats, stated, found, strict=True)
            if there != here
        ]
        fault = f"the file control (record 9) does not hold: {'; '.join(faults)}" if faults else None
        batches = file.control[1:7]
        if not fault and _DIGITS.fullmatch(batches) and int(batches) != file.batches:
            notes[f"file control: it counts {int(batches):,} batches where there are {file.batches:,}"] = 1
    return Statement(
        id=f"{file.created}:{file.modifier}" if file.created else None,
        account=None,
        entries=file.entries,
        currency="USD",
        signed_sum_minor=file.credits - file.debits if file.unread is None else None,
        ties=fault is None,
        refused=None if fault is None else f"{fault}; ask the bank for the file again",
    )


def _figure(what: str, value: int | None) -> str:
    if value is None:
        return "not a number"
    return money.amount_text(value, "USD") if what.startswith("total") else f"{value:,}"


def _day(text: str) -> str:
    """The day a file was made; blank where its header does not say, so that no row is dated by guess."""
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:])).isoformat()
    except ValueError:
        return ""


READER: Final = PartsReader(parts, COLUMN_NAMES)
