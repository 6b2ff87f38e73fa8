"""What readers of bank statements share: a statement with its balances, whether they tie, and lines as frames.

Does not belong here: the grammar of any format, and what an entry's fields are called in it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.contracts import settlement_lines
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources.statement import Entry, Statement
from zentra_pipeline.sources.total_refusals import refuse_wrong_totals

_FRAME_ROWS = 8_192
_AMOUNT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", re.ASCII)
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII
)
_SAFE_DIGITS = 18
_MOST_STATEMENTS = 100_000
_SHOWN = 60
_LONGEST_CODE = 60  # beyond that of any bank, and what is remembered of them stays small
_NO_REFERENCE = frozenset(("NOTPROVIDED", "NOT PROVIDED", "NONREF", "NOTAVAILABLE", "NOREF"))

Row = dict[str, str | int | None]
Line = Mapping[str, str | None]
"""A settlement line as text, by the contract's columns; columns without a value may be missing."""


Part = Statement | Entry | Line
"""What a reader of statements gives in the order of the file: lines, and each statement after its lines.

A bank's reader gives the entry of a booking, as bank statements have it, beside the settlement lines it comes to.
"""


def settlement_frames(parts: Iterator[Part], name: str) -> Iterator[pl.DataFrame]:
    """Lines as frames of the contract's columns; InputRejectedError at the end when a statement's figures disagree."""
    rows: list[Row] = []
    refused: list[Statement] = []
    number, has_yielded = 0, False
    for part in _bounded(parts, name):
        if isinstance(part, Statement):
            if part.refused is not None:
                refused.append(part)
            continue
        if isinstance(part, Entry):
            continue
        number += 1
        rows.append({**part, "row_number": number})
        if len(rows) == _FRAME_ROWS:
            yield _frame(rows, name)
            rows, has_yielded = [], True
    refuse_wrong_totals(refused, name)
    if rows or not has_yielded:
        yield _frame(rows, name)


def statements(parts: Iterator[Part], name: str) -> Sequence[Statement]:
    """The statements of a file, in its order, without their lines."""
    return [part for part in _bounded(parts, name) if isinstance(part, Statement)]


def _bounded(parts: Iterator[Part], name: str) -> Iterator[Part]:
    """The parts of a file; InputRejectedError when it has more statements than a file of statements has."""
    found = 0
    for part in parts:
        found += isinstance(part, Statement)
        if found > _MOST_STATEMENTS:
            raise InputRejectedError(f"{name}: more than {_MOST_STATEMENTS:,} statements or batches; split the file")
        yield part


def balance_fault(opening: tuple[int, str], closing: tuple[int, str], entries: int, currency: str | None) -> str | None:
    """Why opening + entries is not closing, with the figures; null when it is. A balance: minor units and currency."""
    (start, start_currency), (end, end_currency) = opening, closing
    if start_currency != end_currency or (entries and currency != start_currency):
        moved = f", entries {money.amount_text(entries, currency)}" if currency else ""
        return (
            f"opening balance {money.amount_text(start, start_currency)}{moved} and closing balance "
            f"{money.amount_text(end, end_currency)} are in different currencies"
        )
    if start + entries == end:
        return None
    reached = start + entries
    figures = (start, entries, reached, end, reached - end)
    opened, moved, added, closed, off = (money.amount_text(amount, start_currency) for amount in figures)
    return f"opening balance {opened} + entries {moved} = {added}, but the closing balance is {closed} (off by {off})"


def minor_units(text: str, currency: str, *, point: str = ".") -> int:
    """Minor units of an amount as banks write it (`8.850`, `10,`); ValueError when it is none of its currency.

    Zeros beyond the currency's decimals add nothing; any other digit there makes the amount inexact. With a decimal
    comma there may be two decimals of any currency, no more: 1,000 is not believed to be 1.
    """
    try:
        exponent = vocabulary.exponent(currency)
    except ZentraError as cause:
        raise ValueError(f"{currency[:_SHOWN]!r} is not an ISO 4217 currency") from cause
    found = _AMOUNT.fullmatch(text.replace(point, ".") if "." not in text or point == "." else "")
    if not found or not (found.group(2) or found.group(3)):
        raise ValueError(f"{text[:_SHOWN]!r} is not an amount such as 40{point}00")
    sign, whole, fraction = found.group(1), found.group(2) or "0", found.group(3) or ""
    kept = fraction[:exponent] + fraction[exponent:].rstrip("0")
    if len(kept) > exponent or (point == "," and len(fraction) > max(exponent, 2)):
        raise ValueError(f"{text[:_SHOWN]!r} has more than the {exponent} decimals of {currency}")
    digits = whole + kept.ljust(exponent, "0")
    if len(digits) <= _SAFE_DIGITS:
        return -int(digits) if sign == "-" else int(digits)
    return money.minor_units(f"{'-' if sign == '-' else ''}{whole}{'.' if kept else ''}{kept}", exponent)


def instant(text: str) -> str:
    """A day or time of a bank as an instant: a day at 00:00 UTC, a time without an offset as UTC.

    Text of another form comes back as it is, for the gate to refuse.
    """
    return _known_instant(text) if len(text) <= _SHOWN else _instant(text)


@lru_cache(maxsize=4096)
def _known_instant(text: str) -> str:
    """One of the few that most lines of a file share."""
    return _instant(text)


def _instant(text: str) -> str:
    day = _DAY.fullmatch(text)
    if day:
        return f"{day.group(1)}T00:00:00Z"
    time = _TIME.fullmatch(text)
    if not time:
        return text
    clock, fraction, offset = time.groups()
    try:
        found = datetime.fromisoformat(f"{clock}{(offset or 'Z').replace('Z', '+00:00')}").astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    digits = (fraction or "")[:6].rstrip("0")
    return f"{found.strftime('%Y-%m-%dT%H:%M:%S')}{'.' if digits else ''}{digits}Z"


def reference(text: str | None) -> str | None:
    """A reference of an entry; null where it is blank or one of the words banks write instead (NOTPROVIDED)."""
    value = (text or "").strip()
    return None if not value or value.upper() in _NO_REFERENCE else value


def line_type(codes: Iterable[tuple[str, Sequence[str | None]]], amount_minor: int) -> str:
    """The line type of a movement by its bank transaction codes (seed `bank_transaction_codes`) and its direction.

    `codes`: scheme (iso20022: domain, family, sub-family; swift, gvc: one code) and code; the first that is known
    decides, and of the seed's rows for it the most specific one.
    """
    direction = "debit" if amount_minor < 0 else "credit"
    for scheme, code in codes:
        found = vocabulary.bank_line_type(
            scheme, tuple((part or "").strip().upper()[:_LONGEST_CODE] for part in code), direction
        )
        if found is not None:
            return found
    return "refund" if amount_minor < 0 else "payment"


class LineIds:
    """Gives lines ids that are unique in their file and the same when the file is read again.

    Holds eight bytes of digest a line, whatever the size of the file.
    """

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._repeats: dict[int, int] = {}

    def of(self, base: str, content: str) -> str:
        """`base`; where an earlier line of the file has it, `base~digest of content`, counted where that repeats."""
        key = int(short_digest(base), 16)
        if key not in self._given:
            self._given.add(key)
            return base
        named = f"{base}~{short_digest(content)}"
        key = int(short_digest(named), 16)
        self._repeats[key] = self._repeats.get(key, 0) + 1
        return named if self._repeats[key] == 1 else f"{named}~{self._repeats[key]}"


def short_digest(content: str) -> str:
    """16 hex digits of the SHA-256 of a text."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _frame(rows: list[Row], name: str) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {column: pl.String() for column in settlement_lines.CONTRACT.columns}
    schema |= {"raw": pl.String(), "row_number": pl.Int64(), "refusal": pl.String(), "source_row": pl.String()}
    try:
        return pl.DataFrame(rows, schema=schema)
    except UnicodeEncodeError as cause:
        half = ascii(cause.object[cause.start])
        raise InputRejectedError(
            f"{name}: {half} is half of a surrogate pair, which is no text; save it again"
        ) from cause
