"""BAI2 cash management files as settlement lines: records 01, 02, 03, 16, 88, 49, 98, 99, read strictly.

Control sums of accounts, groups and the file are checked; a file that fails one is refused with the figures. Does not
belong here: what a line must be (contracts).
"""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.bank_statements import LineIds, Part
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK, RECORD_BYTES
from zentra_pipeline.sources.parts_reader import Notes, PartsReader
from zentra_pipeline.sources.statement import Entry, Head, Statement

COLUMN_NAMES: Final = {
    "line_id": "the account, the as-of date and the references of record 16",
    "line_type": "type code of record 16",
    "provider_reference": "bank reference",
    "merchant_reference": "customer reference",
    "gross_minor": "amount of record 16",
    "fee_minor": "amount of record 16",
    "net_minor": "amount of record 16",
    "currency": "currency code of record 03 or 02",
    "settled_at": "as-of date of record 02",
}
"""Settlement field → what it is read from."""
_CODES: Final = ("01", "02", "03", "16", "49", "98", "99")
_AMOUNT: Final = re.compile(r"[+-]?0{0,64}[0-9]{1,15}", re.ASCII)
_FULL_LINE: Final = 76
_HEADER, _RECORD_LENGTH = 200, 6  # bytes that hold a record 01, and the place of the length of records in it
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{6}", re.ASCII)
_LINE_TYPES: Final = {
    "275": "payout",  # zero balancing between own accounts
    "475": "payout",  # cheque paid
    "495": "payout",  # outgoing money transfer
    "555": "chargeback",  # deposited item returned
    "557": "chargeback",  # ACH item returned
    "575": "payout",  # zero balancing between own accounts
    "698": "fee",  # miscellaneous fees
}
_OPENING, _CLOSING = "010", "015"
_DELETION, _TEST = "2", "4"
_WITHIN_THE_DAY = ("1", "3")  # as-of date modifier: interim data, of the day before or of the same day


@dataclass(frozen=True)
class _Record:
    """A record with its continuations: the line it begins in, how many lines it has, and its fields.

    `words`: the fields with a blank where a continuation begins a new line of text.
    """

    line: int
    lines: int
    code: str
    fields: tuple[str, ...]
    words: tuple[str, ...]

    def __getitem__(self, place: int) -> str:
        return self.fields[place].strip() if place < len(self.fields) else ""


def parts(path: Path, name: str, notes: Notes, *, is_of_bank: bool = False) -> Iterator[Part]:
    """Lines of the detail records, or for a bank their entries, and after those of each the account's statement.

    `notes` counts what gives no line, and counts of records that are wrong. InputRejectedError when the file is not
    BAI2, or was cut.
    """
    try:
        yield from _File(name, notes, is_of_bank=is_of_bank).parts(_records(path))
    except _FaultError as fault:
        raise InputRejectedError(f"{name}: {fault}; ask the bank for the file again") from fault


class _FaultError(Exception):
    """What is wrong with the file, and where."""


def _records(path: Path) -> Iterator[_Record]:
    """Records with their continuations joined: `/` ends a record between fields, without it a field goes on."""
    held: list[str] = []
    begun = last = size = 0
    for last, text in enumerate(_lines(path), start=1):
        code, _, rest = text.partition(",")
        if code == "88":
            if not held:
                raise _FaultError(f"line {last:,}: record 88 continues nothing")
            held.append(rest)
            size += len(rest)
            if size > RECORD_BYTES:
                raise _FaultError(f"line {begun:,}: a record is longer than {RECORD_BYTES:,} bytes")
            continue
        if held:
            yield _joined(begun, held)
        if code not in _CODES:
            raise _FaultError(
                f"line {last:,} ({text[:40]!r}) is no record of BAI2, which begin with {', '.join(_CODES)}"
            )
        begun, held, size = last, [text], 0
    if held:
        yield _joined(begun, held)


def _lines(path: Path) -> Iterator[str]:
    """The file's lines without line ends; blank lines at its end are none."""
    blank = 0
    with path.open("rb") as stream:
        for line in _physical(stream):
            shown = line.decode("cp1252", "replace").rstrip("\r\n").rstrip()
            if not shown:
                blank += 1
            elif blank:
                raise _FaultError("a blank line between its records")
            else:
                yield shown


def _physical(stream: BinaryIO) -> Iterator[bytes]:
    """Lines as they are; of a file without line ends, records of the length that its record 01 states."""
    first = stream.readline(RECORD_BYTES).removeprefix(BYTE_ORDER_MARK)
    fields = first[:_HEADER].split(b",")
    stated = fields[_RECORD_LENGTH].strip() if len(fields) > _RECORD_LENGTH else b""
    width = int(stated) if stated.isdigit() and len(stated) < 6 else 0
    if first.endswith(b"\n") or not width or len(first) <= width:
        yield from (first,) if first else ()
        yield from iter(lambda: stream.readline(RECORD_BYTES), b"")
        return
    held = first
    while held:
        whole = len(held) // width * width or len(held)
        yield from (held[start : start + width] for start in range(0, whole, width))
        held = held[whole:] + stream.read(RECORD_BYTES)


def _joined(line: int, held: Sequence[str]) -> _Record:
    pieces = [piece[:-1] + "," if piece.endswith("/") else piece for piece in held]
    fields = "".join(pieces).split(",")
    # A text that fills its line goes on within a word.
    spaced = "".join(piece if len(piece) >= _FULL_LINE else f"{piece} " for piece in pieces)
    return _Record(line, len(held), fields[0].strip(), tuple(fields), tuple(spaced.split(",")))


@dataclass
class _Account:
    """What is added up of an account: every amount for its control, the details for its statement."""

    record: _Record
    number: str
    currency: str
    amounts: int = 0
    lines: int = 0
    entries: int = 0
    net: int = 0
    head: Head = field(default_factory=Head)
    balances: dict[str, int] = field(default_factory=dict)


@dataclass
class _Group:
    record: _Record
    as_of: str
    currency: str
    is_test: bool
    total: int = 0
    accounts: int = 0
    lines: int = 0


class _File:
    """Follows the records of one file and checks each control at its place."""

    def __init__(self, name: str, notes: MutableMapping[str, int], *, is_of_bank: bool) -> None:
        self._is_of_bank = is_of_bank
        self._name = name
        self._notes = notes
        self._ids = LineIds()
        self._group: _Group | None = None
        self._account: _Account | None = None
        self._total = self._groups = self._lines = 0
        self._is_open = self._is_ended = False
        self._faults: list[str] = []

    def parts(self, records: Iterator[_Record]) -> Iterator[Part]:
        """Lines and statements; faults of the group's and the file's controls are those of a last statement."""
        for record in records:
            self._check_place(record)
            self._lines += record.lines
            if self._group is not None:
                self._group.lines += record.lines
            if self._account is not None:
                self._account.lines += record.lines
            yield from self._take(record)
        if not self._is_ended:
            raise _FaultError("record 99, the file's trailer, is missing: the file was cut")
        if self._faults:
            yield Statement(None, None, 0, None, None, ties=False, refused="; ".join(self._faults))

    def _check_place(self, record: _Record) -> None:
        """_FaultError where a record is at a place where it may not be."""
        due = {
            "01": not self._is_open,
            "02": self._is_open and self._group is None,
            "03": self._group is not None and self._account is None,
            "16": self._account is not None,
            "49": self._account is not None,
            "98": self._group is not None and self._account is None,
            "99": self._is_open and self._group is None,
        }
        if self._is_ended and record.code == "01":
            raise _FaultError(f"line {record.line:,}: another file begins (record 01); send each as a file of its own")
        if self._is_ended or not due[record.code]:
            raise _FaultError(f"line {record.line:,}: unexpected record {record.code}")

    def _take(self, record: _Record) -> Iterator[Part]:
        if record.code == "01":
            self._is_open = True
        elif record.code == "02":
            self._begin_group(record)
        elif record.code == "03":
            self._begin_account(record)
        elif record.code == "16":
            yield from self._detail(record)
        elif record.code == "49":
            yield self._end_account(record)
        elif record.code == "98":
            self._end_group(record)
        else:
            self._end_file(record)

    def _begin_group(self, record: _Record) -> None:
        if record[3] == _DELETION:
            raise _FaultError(f"line {record.line:,}: its group status is 2, which deletes what was sent before")
        currency = (record[6] or "USD").upper()
        self._group = _Group(record, _day(record), currency, record[3] == _TEST, lines=record.lines)

    def _begin_account(self, record: _Record) -> None:
        assert self._group is not None
        currency = (record[2] or self._group.currency).upper()
        if currency not in vocabulary.currencies():
            raise _FaultError(f"line {record.line:,}: currency {currency[:8]!r} is not an ISO 4217 currency")
        group = self._group
        kind = "report" if group.record[7] in _WITHIN_THE_DAY else "statement"
        named = f"{group.as_of}/{group.record[5]}" if group.record[5] and kind == "report" else group.as_of
        head = Head(kind, record[1] or None, named, group.record[5] or None, group.as_of, group.as_of)
        account = _Account(record, record[1], currency, lines=record.lines, head=head)
        for code, amount in _summaries(record):
            account.amounts += amount
            account.balances.setdefault(code, amount)
        self._account = account
        self._group.accounts += 1

    def _detail(self, record: _Record) -> Iterator[Part]:
        group, account = self._group, self._account
        assert group is not None and account is not None
        code = record[1]
        size = _amount(record, 2)
        account.amounts += size
        if code == "890":  # information without money
            self._note("records 16 of type 890: no movement of money")
            return
        amount = size * _direction(record)
        bank, customer = _references(record)
        account.entries += 1
        account.net += amount
        if group.is_test:
            self._note("records 16 of a group with status 4: a test, no movement of money")
            return
        if self._is_of_bank:
            yield self._booking(record, amount)
            return
        base = ":".join((account.number, group.as_of, bank or customer or f"{code}:{size}"))
        yield {
            "line_id": self._ids.of(base, ",".join(record.fields)),
            "line_type": _LINE_TYPES.get(code, "refund" if amount < 0 else "payment"),
            "provider_reference": bank_statements.reference(bank) or bank_statements.reference(customer),
            "merchant_reference": bank_statements.reference(customer),
            "gross_minor": str(amount),
            "fee_minor": "0",
            "net_minor": str(amount),
            "currency": account.currency,
            "settled_at": f"{group.as_of}T00:00:00Z",
        }

    def _booking(self, record: _Record, amount: int) -> Entry:
        """The entry as bank statements have it."""
        group, account = self._group, self._account
        assert group is not None and account is not None
        bank, customer = (bank_statements.reference(each) for each in _references(record))
        own = bank if bank is not None and bank.strip("0") else None
        place = _after_funds(record, 3)
        said = ",".join(record.words[place + 2 :]).strip(" ,/")
        return Entry(
            account.head,
            amount,
            account.currency,
            group.as_of,
            _value_day(record),
            key=own,
            bank_reference=own,
            end_to_end_id=customer if customer is not None and customer.strip("0") else None,
            text=said or None,
        )

    def _end_account(self, record: _Record) -> Statement:
        group, account = self._group, self._account
        assert group is not None and account is not None
        faults = self._control(record, f"account {account.number}", account.amounts)
        self._count(record, 2, account.lines, f"account {account.number}", "records")
        group.total += account.amounts
        self._account = None
        opening, closing = account.balances.get(_OPENING), account.balances.get(_CLOSING)
        if not faults and account.entries and None not in (opening, closing):
            assert opening is not None and closing is not None
            if opening + account.net != closing:
                self._note(f"account {account.number}: its details do not lead from opening to closing balance")
        return Statement(
            head=None if group.is_test else account.head,
            id=f"{account.number}:{group.as_of}",
            account=account.number,
            entries=account.entries,
            currency=account.currency,
            signed_sum_minor=account.net,
            opening_minor=opening,
            closing_minor=closing,
            ties=not faults,
            refused="; ".join(faults) or None,
        )

    def _end_group(self, record: _Record) -> None:
        group = self._group
        assert group is not None
        place = f"group of {group.as_of}"
        self._faults += self._control(record, place, group.total)
        self._count(record, 2, group.accounts, place, "accounts")
        self._count(record, 3, group.lines, place, "records")
        self._total += group.total
        self._groups += 1
        self._group = None

    def _end_file(self, record: _Record) -> None:
        self._faults += self._control(record, "file", self._total)
        self._count(record, 2, self._groups, "file", "groups")
        self._count(record, 3, self._lines, "file", "records")
        self._is_ended = True

    def _control(self, record: _Record, what: str, found: int) -> list[str]:
        stated = _amount(record, 1)
        if stated == found:
            return []
        return [
            f"line {record.line:,}: the control total of {what} (record {record.code}) is {stated:,}, "
            f"and its amounts add up to {found:,}: a difference of {stated - found:,}"
        ]

    def _count(self, record: _Record, place: int, found: int, what: str, counted: str) -> None:
        stated = record[place]
        if stated and (not _COUNT.fullmatch(stated) or int(stated) != found):
            self._note(
                f"record {record.code} of {what}: it counts {stated[:12]} {counted} where there are {found:,}; "
                "the sums agree"
            )

    def _note(self, what: str) -> None:
        self._notes[what] = self._notes.get(what, 0) + 1


def _summaries(record: _Record) -> Iterator[tuple[str, int]]:
    """Type code and amount of each balance or summary of record 03."""
    place = 3
    while place < len(record.fields):
        code = record[place]
        if not code:
            place += 1
            continue
        if not re.fullmatch(r"[0-9]{3}", code):
            raise _FaultError(f"line {record.line:,}: {code[:12]!r} is no type code, which has three digits")
        yield code, _amount(record, place + 1)
        place = _after_funds(record, place + 3)


def _after_funds(record: _Record, place: int) -> int:
    """The place of the field after a funds type (`place`) and what belongs to it."""
    funds = record[place].upper()
    if funds == "S":
        return place + 4
    if funds == "V":
        return place + 3
    if funds == "D":
        count = record[place + 1]
        if not _COUNT.fullmatch(count or "x"):
            raise _FaultError(f"line {record.line:,}: funds type D says {count[:12]!r}, not how many days it has")
        return place + 2 + 2 * int(count)
    if funds not in ("", "0", "1", "2", "Z"):
        raise _FaultError(f"line {record.line:,}: {funds[:12]!r} is no funds type (0, 1, 2, D, S, V, Z)")
    return place + 1


def _references(record: _Record) -> tuple[str, str]:
    """Bank and customer reference of record 16."""
    place = _after_funds(record, 3)
    return record[place], record[place + 1]


def _value_day(record: _Record) -> str | None:
    """The day of funds type V; null where the record says none, or no day."""
    text = record[4] if record[3].upper() == "V" else ""
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:])).isoformat() if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _direction(record: _Record) -> int:
    """1 for a credit, -1 for a debit, by the ranges of type codes."""
    code = record[1]
    if re.fullmatch(r"[0-9]{3}", code):
        number = int(code)
        if 100 <= number <= 399 or 920 <= number <= 959:
            return 1
        if 400 <= number <= 699 or 960 <= number <= 999:
            return -1
    raise _FaultError(
        f"line {record.line:,}: type code {code[:12]!r} says neither credit (100 to 399) nor debit (400 to 699)"
    )


def _amount(record: _Record, place: int) -> int:
    """An amount with implied decimals; blank is 0."""
    text = record[place]
    if not text:
        return 0
    if not _AMOUNT.fullmatch(text):
        raise _FaultError(
            f"line {record.line:,}: {text[:24]!r} is not an amount of record {record.code} (digits alone)"
        )
    return int(text)


def _day(record: _Record) -> str:
    text = record[4]
    try:
        if _DATE.fullmatch(text):
            return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:])).isoformat()
    except ValueError:
        pass
    raise _FaultError(f"line {record.line:,}: as-of date {text[:12]!r} is not a day of the form YYMMDD")


READER: Final = PartsReader(parts, COLUMN_NAMES, of_banks=partial(parts, is_of_bank=True))
