"""Rows of a bank's file: its statements and their lines, with the ids they go by, as frames that the gate can judge.

Readers give statements and entries as their formats have them (Part); what is the same for all of them is here: ids,
days, texts, and whose account it is. Does not belong here: any format's grammar, what a row must be (contracts).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import PurePath
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from zentra_pipeline import identifiers
from zentra_pipeline.contracts import bank_statements as contracts
from zentra_pipeline.contracts.contract import TEXT_LIMIT
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.bank_statements import LineIds
from zentra_pipeline.sources.statement import Entry, Head, Statement
from zentra_pipeline.sources.total_refusals import refuse_wrong_totals

_FRAME_ROWS: Final = 8_192
_SHOWN: Final = 60
_MODULUS: Final = 2**256
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
# Characters that show nothing, at the edges of a text.
_UNSEEN: Final = (
    " \u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064"
    "\u2800\u3164\ufeff\uffa0"
)
_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:(T.*)|Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII | re.DOTALL)
_OFFSET: Final = re.compile(r".*(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)

_Row = dict[str, str | int | None]


@dataclass
class _Account:
    """What is counted of one currency of a statement: its entries and the sum of their digests."""

    entries: int = 0
    digests: int = 0


@dataclass
class _Known:
    """A statement whose rows are under way: what it is called, and what is given of it so far."""

    head: Head
    statement_id: str
    account: str
    places: int = 0
    ids: LineIds = field(default_factory=LineIds)
    currencies: dict[str, _Account] = field(default_factory=dict)
    first_day: str | None = None
    last_day: str | None = None
    is_closed: bool = False


def frames(parts: Iterable[object], name: str, reading: BankReading) -> Iterator[pl.DataFrame]:
    """Frames of the contract's columns; InputRejectedError at the end when a statement's figures disagree.

    `parts`: entries, and each statement after its entries; settlement lines among them are not for banks.
    """
    rows, refused = _Rows(name, reading), list[Statement]()
    has_yielded = False
    for part in parts:
        if isinstance(part, Entry):
            rows.take(part)
        elif isinstance(part, Statement):
            if part.refused is not None:
                refused.append(part)
            rows.close(part)
        if len(rows.held) >= _FRAME_ROWS:
            yield rows.frame()
            has_yielded = True
    refuse_wrong_totals(refused, name)
    if rows.held or not has_yielded:
        yield rows.frame()


class _Rows:
    """Gives rows of one file their ids and numbers."""

    def __init__(self, name: str, reading: BankReading) -> None:
        self.held: list[_Row] = []
        self._name = name
        self._reading = reading
        self._zone = None if reading.timezone is None else ZoneInfo(reading.timezone)
        self._number = 0
        self._statements = 0
        self._open: dict[int, _Known] = {}
        self._named: dict[tuple[str, str, str], int] = {}

    def take(self, entry: Entry) -> None:
        """The row of an entry and, after it, those of its details."""
        known = self._known(entry.head)
        known.places += 1
        row = self._line(known, entry, None)
        content = self._count(known, row)
        base = entry.key or f"{known.statement_id}#{known.places}"
        line_id = known.ids.of(f"{known.account}:{base}", content)
        self._add({**row, "bank_line_id": line_id})
        for position, part in enumerate(entry.details, start=1):
            detail = self._line(known, part, line_id)
            named = known.ids.of(f"{line_id}/{part.key or position}", _content(detail))
            self._add({**detail, "bank_line_id": named})

    def close(self, statement: Statement) -> None:
        """The row of a statement, whose entries have been taken."""
        if statement.head is None:
            return
        known = self._known(statement.head)
        known.is_closed = True
        head, currency = known.head, statement.currency or ""
        counted = known.currencies.get(currency, _Account())
        from_day = self._real_day(head.from_day) or known.first_day
        to_day = self._real_day(head.to_day) or known.last_day
        said = [known.account, currency, statement.opening_minor, statement.closing_minor, counted.entries]
        said += [counted.digests] if counted.entries else [from_day, to_day]
        self._add(
            {
                contracts.ROW_TYPE: contracts.STATEMENT,
                "statement_id": known.statement_id,
                "account_id": known.account,
                "currency": statement.currency,
                "statement_type": head.statement_type,
                "sequence": _text(head.sequence),
                "from_day": from_day,
                "to_day": to_day,
                "opening_minor": _number(statement.opening_minor),
                "closing_minor": _number(statement.closing_minor),
                "entries": str(counted.entries),
                "content_digest": _digest("|".join(map(str, said))),
            }
        )

    def frame(self) -> pl.DataFrame:
        """The rows held so far, which are let go."""
        rows, self.held = self.held, []
        schema: dict[str, pl.DataType] = {column: pl.String() for column in contracts.CONTRACT.columns}
        schema |= {"raw": pl.String(), "row_number": pl.Int64(), "refusal": pl.String(), "source_row": pl.String()}
        try:
            return pl.DataFrame(rows, schema=schema)
        except UnicodeEncodeError as cause:
            half = ascii(cause.object[cause.start])
            raise InputRejectedError(
                f"{self._name}: {half} is half of a surrogate pair, which is no text; save it again"
            ) from cause

    def _known(self, head: Head) -> _Known:
        """The statement of a head, which is named when the first row of it comes."""
        if id(head) in self._open:
            return self._open[id(head)]
        self._open = {key: known for key, known in self._open.items() if not known.is_closed}
        self._statements += 1
        said = _text(head.statement_id) or f"{PurePath(self._name).stem}/{self._statements}"
        account = identifiers.account_id(head.account or "") or self._reading.account
        if account is None:
            raise InputRejectedError(
                f"{self._name}: statement {said[:_SHOWN]} names no account: write it "
                "under accounts of the bank's profile"
            )
        if self._reading.accounts and account not in self._reading.accounts:
            raise InputRejectedError(
                f"{self._name}: statement {said[:_SHOWN]} is of account {account[:_SHOWN]}, and the bank's profile has "
                f"{', '.join(self._reading.accounts)[:400]}: add it to accounts, or ingest the file for its own bank"
            )
        key = (account, said, head.statement_type)
        self._named[key] = self._named.get(key, 0) + 1
        statement_id = said if self._named[key] == 1 else f"{said}~{self._named[key]}"
        known = self._open[id(head)] = _Known(head, statement_id, account)
        return known

    def _line(self, known: _Known, entry: Entry, parent: str | None) -> _Row:
        return {
            contracts.ROW_TYPE: contracts.LINE,
            "statement_id": known.statement_id,
            "account_id": known.account,
            "booked_on": self._day(entry.booked_on or entry.valued_on),
            "value_on": self._real_day(entry.valued_on),
            "amount_minor": _number(entry.minor),
            "currency": entry.currency,
            "status": "booked" if entry.is_booked else "pending",
            "bank_reference": entry.bank_reference,
            "end_to_end_id": entry.end_to_end_id,
            "text": _text(entry.text),
            "parent_line_id": parent,
            "instructed_minor": None if entry.instructed is None else str(entry.instructed[0]),
            "instructed_currency": None if entry.instructed is None else entry.instructed[1],
            "charges_minor": _number(entry.charges_minor),
            "is_reversal": "true" if entry.is_reversal else "false",
            "return_reason": _text(entry.return_reason),
            "refusal": entry.refusal,
            "source_row": entry.source_row,
        }

    def _count(self, known: _Known, row: _Row) -> str:
        """Count an entry; what it says, whatever it is called."""
        counted = known.currencies.setdefault(str(row["currency"] or ""), _Account())
        counted.entries += 1
        content = _content(row)
        counted.digests = (counted.digests + int(_digest(content), 16)) % _MODULUS
        day = row["booked_on"]
        if isinstance(day, str) and self._real_day(day):
            known.first_day = min(known.first_day or day, day)
            known.last_day = max(known.last_day or day, day)
        return content

    def _add(self, row: _Row) -> None:
        self._number += 1
        self.held.append({**row, "row_number": self._number})

    def _day(self, text: str | None) -> str | None:
        """The day of a date or time: as the bank writes it, or on the clock of the profile's zone.

        Text of another form comes back as it is, for the gate to refuse.
        """
        found = None if text is None else _DAY.fullmatch(text)
        if text is None or found is None:
            return text
        day, clock = found.groups()
        if self._zone is not None and clock is not None and _OFFSET.fullmatch(clock):
            with suppress(ValueError, OverflowError):
                return datetime.fromisoformat(text).astimezone(self._zone).date().isoformat()
        return str(day)

    def _real_day(self, text: str | None) -> str | None:
        """The same where the row stands without it: null for what is no day."""
        day = self._day(text)
        with suppress(ValueError):
            return None if day is None else date.fromisoformat(day).isoformat()
        return None


def _content(row: _Row) -> str:
    names = ("booked_on", "value_on", "amount_minor", "status", "bank_reference", "end_to_end_id", "text")
    return "|".join(str(row[name] or "") for name in names)


def _text(text: str | None) -> str | None:
    """A text on one line, without what shows nothing at its edges, cut where no row may be longer; null for none."""
    if text is None:
        return None
    return _BLANKS.sub(" ", text).strip(_UNSEEN)[:TEXT_LIMIT].strip(_UNSEEN) or None


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
