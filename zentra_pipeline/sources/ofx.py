"""OFX bank and card statements as settlement lines, in SGML (1.x, end tags may be missing) or XML (2.x) alike.

A file states a closing balance and no opening one, so that nothing says whether it is whole but its end. Does not
belong here: investment statements.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from html import escape, unescape
from pathlib import Path
from typing import Final

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.bank_statements import Part
from zentra_pipeline.sources.file_refusals import refuse_other_ofx, start_of
from zentra_pipeline.sources.parts_reader import PartsReader, without_notes
from zentra_pipeline.sources.statement import Entry, Head, Statement

_BLOCK: Final = 64 * 1024
_TEXT_LIMIT: Final = 64 * 1024
_TOKEN: Final = re.compile(r"<([/?!]?)([A-Za-z0-9._]++)[^<>]*+>([^<]*+)")
# What XML hides from whoever looks for tags: comments say nothing, the text of a CDATA section is text.
_ASIDE: Final = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_OPENED: Final = re.compile(r"<!--|<!\[CDATA\[")
_TAG: Final = re.compile(r"<(?=[/?A-Za-z])")
_DATE: Final = re.compile(
    r"([0-9]{8})([0-9]{4}(?:[0-9]{2})?)?(?:\.[0-9]+)?(?:\[([+-]?[0-9]{1,2}(?:\.[0-9]{1,2})?)(?::[^\]]*)?\])?", re.A
)
_STATEMENTS: Final = ("STMTRS", "CCSTMTRS")
_PAYOUTS: Final = ("CHECK", "XFER", "DIRECTDEBIT", "PAYMENT", "REPEATPMT", "ATM", "POS", "CASH")
COLUMN_NAMES: Final = {
    "line_id": "ACCTID and FITID",
    "line_type": "TRNTYPE",
    "provider_reference": "FITID",
    "merchant_reference": "REFNUM or CHECKNUM",
    "gross_minor": "TRNAMT",
    "fee_minor": "TRNAMT",
    "net_minor": "TRNAMT",
    "currency": "CURDEF",
    "settled_at": "DTPOSTED",
}
"""Settlement field → the element it is read from."""


@dataclass
class _Open:
    """A statement that is being read; `values` are those of the transaction within it, `inside` its aggregate.

    `is_pending`: the transaction is announced and not booked (STMTTRNP).
    """

    account: str = ""
    currency: str = ""
    entries: int = 0
    total: int = 0
    closing: int | None = None
    values: dict[str, str] | None = None
    inside: str = ""
    is_pending: bool = False
    is_of_bank: bool = False
    head: Head = field(default_factory=Head)
    unread: list[str] = field(default_factory=list)


def parts(path: Path, name: str, *, is_of_bank: bool = False) -> Iterator[Part]:
    """Lines of an account, or for a bank its entries, and after them its statement.

    InputRejectedError when it is no OFX, or was cut.
    """
    refuse_other_ofx(start_of(path), name)
    current: _Open | None = None
    is_ended = has_statement = False
    for mark, tag, text in _tokens(path, name):
        is_ended = is_ended or (mark == "/" and tag == "OFX")
        if mark == "" and tag in _STATEMENTS:
            current, has_statement = _Open(is_of_bank=is_of_bank), True
        elif current is None:
            continue
        elif mark == "/" and tag in _STATEMENTS:
            yield from _line(current)
            yield _statement(current)
            current = None
        elif tag in ("STMTTRN", "STMTTRNP", "BANKTRANLIST", "BANKTRANLISTP", "LEDGERBAL", "AVAILBAL"):
            yield from _line(current)
            current.values = {} if tag.startswith("STMTTRN") and mark == "" else None
            current.is_pending = tag == "STMTTRNP"
            current.inside = tag if mark == "" else ""
        elif mark == "":
            _take(current, tag, text)
    if not is_ended:
        raise InputRejectedError(f"{name}: it does not end with </OFX>: it was cut, or is no OFX; download it again")
    if not has_statement:
        raise InputRejectedError(
            f"{name}: no bank or card statement is in it (STMTRS, CCSTMTRS); investment statements and answers to "
            "other requests are not read"
        )


def _decoded(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("zentra.cp1252", _decoded)


def _tokens(path: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """Mark (`/` of an end), tag and text after it. Bytes that are no UTF-8 are read as Windows-1252."""
    held = ""
    with path.open(encoding="utf-8-sig", errors="zentra.cp1252", newline="") as stream:
        while block := stream.read(_BLOCK):
            held = _ASIDE.sub(lambda aside: escape(aside[1] or ""), held + block)
            # From the last tag on it waits for what follows; so does one whose text may yet be hidden.
            end = max((tag.start() for tag in _TAG.finditer(held)), default=0)
            hidden = _OPENED.search(held)
            if hidden is not None and hidden.start() < end:
                end = max(held.rfind("<", 0, hidden.start()), 0)
            yield from _found(held[:end], name)
            held = held[end:]
            if len(held) > _TEXT_LIMIT + _BLOCK:
                raise InputRejectedError(f"{name}: more than {_TEXT_LIMIT:,} characters without a tag; is it OFX?")
    yield from _found(held, name)


def _found(text: str, name: str) -> Iterator[tuple[str, str, str]]:
    for found in _TOKEN.finditer(text):
        mark, tag, value = found.groups()
        if mark == "!":
            raise InputRejectedError(f"{name}: it declares <!{tag}, which OFX does not; nothing of it is read")
        if mark != "?":
            yield mark, tag.upper(), unescape(value).strip()


def _take(current: _Open, tag: str, text: str) -> None:
    if current.values is not None:
        if tag in ("CURRENCY", "ORIGCURRENCY"):
            current.inside = tag
        elif tag != "CURSYM" or current.inside == "CURRENCY":
            current.values.setdefault(tag, text)
    elif tag == "CURDEF":
        current.currency = text.upper()
    elif tag == "ACCTID" and not current.account:
        current.account = current.head.account = text
    elif tag in ("DTSTART", "DTEND") and current.inside == "BANKTRANLIST":
        _date_head(current.head, tag, _day(text))
    elif tag == "BALAMT" and current.inside == "LEDGERBAL":
        try:
            current.closing = _minor(text, current.currency)
        except ValueError as cause:
            current.unread.append(f"LEDGERBAL: {cause}")


def _date_head(head: Head, tag: str, day: str) -> None:
    """What a statement covers, which is also what it is called: OFX names none."""
    if tag == "DTSTART":
        head.from_day = day
    else:
        head.to_day = day
    head.statement_id = f"{(head.from_day or '')[:10]}..{(head.to_day or '')[:10]}"


def _minor(text: str, currency: str) -> int:
    return bank_statements.minor_units(text, currency, point="," if "," in text else ".")


def _line(current: _Open) -> Iterator[Part]:
    """The transaction that ends here, if there is one."""
    values, current.values = current.values, None
    if values is None:
        return
    refusal, amount = None, 0
    try:
        amount = _minor(values.get("TRNAMT", ""), current.currency)
    except ValueError as cause:
        refusal = f"TRNAMT: {cause}" if current.currency else "CURDEF: the statement names no currency"
        if not current.is_pending:
            current.unread.append(refusal)
    refusal = _why_no_booking(values, current.currency) or refusal
    if not current.is_pending:
        current.entries += 1
        current.total += amount
    if current.is_of_bank:
        yield _booking(current, values, None if refusal else amount, refusal)
    if current.is_of_bank or current.is_pending:
        return
    yield {
        "line_id": f"{current.account}:{values['FITID']}" if values.get("FITID") else None,
        "line_type": _line_type(values.get("TRNTYPE", "").upper(), amount),
        "provider_reference": values.get("FITID") or None,
        "merchant_reference": values.get("REFNUM") or values.get("CHECKNUM") or None,
        "gross_minor": str(amount),
        "fee_minor": "0",
        "net_minor": str(amount),
        "currency": current.currency,
        "settled_at": _instant(values.get("DTPOSTED", "")),
        "refusal": refusal,
        "source_row": None if refusal is None else str(values),
    }


def _why_no_booking(values: Mapping[str, str], currency: str) -> str | None:
    """Why a transaction is not one more booking in the account's currency; null where it is."""
    other = values.get("CURSYM", currency).upper()
    if other != currency:
        return f"CURRENCY: its amount is in {other[:3]!r}, its account in {currency}"
    if "CORRECTFITID" in values or "CORRECTACTION" in values:
        action = "deletes" if values.get("CORRECTACTION", "").upper() == "DELETE" else "replaces"
        return (
            f"CORRECTACTION: it {action} the transaction {values.get('CORRECTFITID', '')[:60]!r}, which was sent "
            "before, and is no booking beside it; ask the bank for a statement in which it is corrected"
        )
    return None


def _booking(current: _Open, values: Mapping[str, str], amount: int | None, refusal: str | None) -> Entry:
    """The transaction as bank statements have it."""
    texts = dict.fromkeys(values.get(tag, "") for tag in ("NAME", "EXTDNAME", "MEMO"))
    return Entry(
        current.head,
        amount,
        current.currency,
        _day(values.get("DTPOSTED") or values.get("DTTRAN", "")) or None,
        _day(values["DTAVAIL"]) if values.get("DTAVAIL") else None,
        is_booked=not current.is_pending,
        key=values.get("FITID") or None,
        bank_reference=values.get("FITID") or None,
        end_to_end_id=values.get("REFNUM") or values.get("CHECKNUM") or None,
        text=" ".join(text for text in texts if text) or None,
        refusal=refusal,
        source_row=None if refusal is None else str(dict(values)),
    )


def _line_type(kind: str, amount: int) -> str:
    if kind in ("FEE", "SRVCHG"):
        return "fee"
    if kind in ("INT", "DIV"):
        return "adjustment"
    if amount >= 0:
        return "payment"
    return "payout" if kind in _PAYOUTS else "refund"


def _instant(text: str) -> str:
    """DTPOSTED as an instant; text of another form comes back as it is, for the gate to refuse."""
    found = _time(text)
    try:
        return text if found is None else f"{found.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S')}Z"
    except OverflowError:
        return text


def _day(text: str) -> str:
    """A date as the bank's clock shows it, with time and offset where both are given; other text as it is."""
    found = _time(text)
    if found is None:
        return text
    _, clock, offset = _DATE.fullmatch(text).groups()  # type: ignore[union-attr]
    return found.isoformat() if clock and offset else found.date().isoformat()


def _time(text: str) -> datetime | None:
    """A date of the file, at the start of its day and at UTC where it does not say; null where it is none."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    day, clock, offset = found.groups()
    try:
        local = datetime.strptime(day + (clock or "").ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        hours, _, part = (offset or "0").partition(".")
        # Banks write half an hour as .5 and as .30; no zone is 18 minutes off, as .30 of an hour would be.
        minutes = int(part) if part in ("30", "45") else int((part or "0").ljust(2, "0")) * 60 // 100
        ahead = timedelta(hours=int(hours), minutes=-minutes if hours.startswith("-") else minutes)
        return local.replace(tzinfo=timezone(ahead))
    except (ValueError, OverflowError):
        return None


def _statement(current: _Open) -> Statement:
    known = current.currency in vocabulary.currencies()
    return Statement(
        id=current.account or None,
        account=current.account or None,
        entries=current.entries,
        currency=current.currency or None,
        signed_sum_minor=current.total if known and not current.unread else None,
        closing_minor=current.closing,
        head=current.head,
    )


READER: Final = PartsReader(without_notes(parts), COLUMN_NAMES, of_banks=without_notes(partial(parts, is_of_bank=True)))
