"""One MT940 or MT942 statement while it is read: its entries become lines, its figures are checked where it ends.

Does not belong here: the fields of a file (mt940), what one entry says (mt940_entry).
"""

import re
from collections.abc import Iterator
from typing import Self

from zentra_pipeline import money
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.bank_statements import Line as SettlementLine
from zentra_pipeline.sources.bank_statements import LineIds, instant, minor_units, short_digest
from zentra_pipeline.sources.mt940_entry import Information, Line, day_of, information_of, line_of, stated_amounts
from zentra_pipeline.sources.parts_reader import Notes
from zentra_pipeline.sources.statement import Entry, Head, Statement

_INFORMATION_LIMIT = 1024 * 1024
_BALANCE = re.compile(r"(C|D|RC|RD)([0-9]{6})([A-Z]{3})([0-9]*(?:[,.][0-9]*)?)", re.ASCII)
_TOTAL = re.compile(r"([0-9]{1,15})([A-Z]{3})([0-9]*(?:[,.][0-9]*)?)", re.ASCII)
_FLOOR = re.compile(r"([A-Z]{3})[CD]?[0-9]*(?:[,.][0-9]*)?", re.ASCII)

Balance = tuple[int, str]


def _balance_day(value: str) -> str | None:
    """The day of a balance as an ISO date."""
    found = _BALANCE.match(value)
    return None if found is None else day_of(found.group(2))


class OpenStatement:
    """A statement from its first field on; `before`: the one before it in the file, whose head a page may share."""

    def __init__(self, name: str, ids: LineIds, notes: Notes, before: Self | None, *, is_of_bank: bool) -> None:
        self._is_of_bank = is_of_bank
        self._name = name
        self._ids = ids
        self._notes = notes
        self._head = Head()
        self._id: str | None = None if before is None else before._id
        self._account: str | None = None if before is None else before._account
        self._number: str | None = None if before is None else before._number
        self._currency: str | None = None
        self._opening: Balance | None = None
        self._opening_text = ""
        self._closing: Balance | None = None
        self._goes_on = False  # on a next page: its closing balance is an intermediate one
        self._before = before if before is not None and before._goes_on else None
        self._sides = {"C": [0, 0], "D": [0, 0]}
        self._totals: dict[str, tuple[int, int, str]] = {}
        self._entry: str | None = None
        self._information: list[str] = []
        self._said = 0
        self._entries = 0
        self._minor = 0
        self._taken_at = ""

    def begins_another(self, tag: str) -> bool:
        """Whether a field is the first of another statement: a new reference, or an opening balance after a closing."""
        has_begun = self._opening is not None or self._closing is not None or self._entries or self._entry is not None
        return (tag == "20" and bool(has_begun or self._totals)) or (tag[:2] == "60" and self._closing is not None)

    def take(self, tag: str, text: str) -> Iterator[SettlementLine | Entry]:
        """Read a field; an entry is given once the field after its information comes."""
        if tag == "86":
            self._inform(text)
            return
        yield from self._entry_lines()
        value = text.strip()
        if tag == "20":
            self._id = value or None
        elif tag in ("25", "25P"):
            self._account = value.split("\n")[0].strip() or None
        elif tag in ("28", "28C"):
            self._number = value
        elif tag[:2] == "60":
            if self._opening is not None or self._entries:
                raise self._refused(f":{tag}: comes before the closing balance :62F: of the statement it follows")
            self._opening, self._opening_text = self._balance(tag, value), value
            self._follow_page(tag)
            self._head.from_day = _balance_day(value)
            self._currency = self._opening[1]
        elif tag == "61":
            if self._closing is not None:
                raise self._refused("an entry (:61:) comes after the closing balance :62F:")
            self._entry = text
        elif tag[:2] == "62":
            self._closing, self._goes_on = self._balance(tag, value), tag == "62M"
            self._before = None
            self._head.to_day = _balance_day(value)
        elif tag == "13D":
            self._head.to_day = day_of(value[:6]) if value[:6].isdecimal() and len(value) >= 6 else None
            self._head.from_day = self._head.to_day
            self._taken_at = value[6:10]
        elif tag == "34F":
            self._head.statement_type = "report"
            floor = _FLOOR.fullmatch(value)
            self._currency = self._currency or (floor.group(1) if floor else None)
        elif tag in ("90C", "90D"):
            self._head.statement_type = "statement" if self._opening is not None else "report"
            self._totals[tag] = self._total(tag, value)

    def _follow_page(self, tag: str) -> None:
        """InputRejectedError where a page does not begin with the balance that the page before it ended with."""
        before = self._before
        if tag != "60M" or before is None or before._closing is None or self._opening is None:
            return
        if self._page_of() != before._page_of():
            return
        (ended, currency), (begun, own) = before._closing, self._opening
        if currency == own and ended != begun:
            raise self._refused(
                f"page {self._number or '(without :28C:)'} opens with {money.amount_text(begun, own)} (:60M:) where "
                f"page {before._number or '(without :28C:)'} before it closes with "
                f"{money.amount_text(ended, currency)} (:62M:): a page between them is missing; ask the bank for it"
            )

    def _page_of(self) -> tuple[str | None, str]:
        """The account, and the number of the statement that a page is of."""
        return self._account, (self._number or "").partition("/")[0]

    def _inform(self, text: str) -> None:
        """Keep an `:86:` of the entry before it; one of the whole statement says nothing of a line."""
        if self._entry is None:
            return
        self._information.append(text)
        self._said += len(text)
        if self._said > _INFORMATION_LIMIT:
            raise self._refused(f"entry {self._entries + 1}: its fields :86: are longer than 1 MiB together")

    def _name_head(self) -> None:
        """What the statement is called: its reference and number, and the day it opens on, for both begin anew.

        Reports have the time they were taken at; where the bank numbers nothing, the opening balance says which.
        """
        head, number = self._head, (self._number or "").strip()
        head.account, head.sequence = self._account, number or None
        is_numbered = bool(number.strip("0/ "))
        apart = self._taken_at or (self._opening_text[7:] if not is_numbered else "")
        head.statement_id = "/".join(filter(None, (self._id, number, head.from_day, apart)))

    def close(self) -> Iterator[SettlementLine | Entry | Statement]:
        """The last entry, and the statement as read."""
        yield from self._entry_lines()
        ties, fault = None, None
        if self._opening is not None and self._closing is not None:
            fault = bank_statements.balance_fault(self._opening, self._closing, self._minor, self._currency)
            ties = fault is None
        elif self._opening is not None or self._closing is not None:
            missing = "closing balance :62F:" if self._closing is None else "opening balance :60F:"
            fault = f"it has no {missing}; was the file cut?"
        fault = fault or self._total_fault()
        named = f"statement {self._id or '(without :20:)'} of account {self._account or '(none given)'}"
        self._name_head()
        yield Statement(
            head=self._head,
            id=self._id,
            account=self._account,
            entries=self._entries,
            currency=self._currency or (self._closing[1] if self._closing else None),
            signed_sum_minor=self._minor,
            opening_minor=None if self._opening is None else self._opening[0],
            closing_minor=None if self._closing is None else self._closing[0],
            ties=ties,
            refused=None if fault is None else f"{named}: {fault}",
        )

    def _total_fault(self) -> str | None:
        """Where the counts and sums of an MT942 (`:90C:`, `:90D:`) disagree with its entries; null where they agree."""
        for tag, (count, minor, currency) in sorted(self._totals.items()):
            found, summed = self._sides[tag[-1]]
            if (count, minor) != (found, summed) or (found and currency != self._currency):
                return (
                    f":{tag}: states {count:,} entries of {money.amount_text(minor, currency)}, but there are "
                    f"{found:,} of {money.amount_text(summed, self._currency or currency)}"
                )
        return None

    def _entry_lines(self) -> Iterator[SettlementLine | Entry]:
        text, said = self._entry, "\n".join(self._information)
        self._entry, self._information, self._said = None, [], 0
        if text is None:
            return
        self._entries += 1
        if self._currency is None:
            raise self._refused(
                "an entry (:61:) comes before any field that names a currency (:60F:, :34F:); "
                "ask the bank for the whole statement"
            )
        try:
            line = line_of(text, self._currency)
        except ValueError as cause:
            raise self._refused(f"entry {self._entries}: :61: {cause}") from cause
        side = self._sides["D" if line.minor < 0 else "C"]
        side[0] += 1
        side[1] += abs(line.minor)
        information = information_of(said)
        self._minor += line.minor if line.is_booked else 0
        if self._is_of_bank:
            self._name_head()
            yield self._booking(line, information, self._currency)
        elif line.is_booked:
            yield self._settled(line, information, self._currency)
        else:
            what = "expected entries (EC, ED): announced, not booked, and so no lines"
            self._notes[what] = self._notes.get(what, 0) + 1

    def _booking(self, line: Line, information: Information, currency: str) -> Entry:
        """The entry as bank statements have it."""
        said = information.references
        stated = stated_amounts(line.supplement, information.text)
        instructed = stated.get("OCMT") or stated.get("OAMT")
        charges = stated.get("CHGS")
        texts = dict.fromkeys((information.text, information.name, line.supplement))
        return Entry(
            self._head,
            line.minor,
            currency,
            line.booked_on or line.valued_on,
            line.valued_on,
            is_booked=line.is_booked,
            key=line.bank_reference,
            bank_reference=line.bank_reference,
            end_to_end_id=said.get("EREF") or line.customer_reference,
            text=" ".join(text for text in texts if text) or None,
            instructed=instructed and (-instructed[0] if line.minor < 0 else instructed[0], instructed[1]),
            charges_minor=charges[0] if charges and charges[1] == currency else None,
            is_reversal=line.is_reversal,
            return_reason=said.get("RTRN"),
        )

    def _settled(self, line: Line, information: Information, currency: str) -> SettlementLine:
        said = information.references
        reference = line.customer_reference or line.bank_reference or said.get("EREF") or said.get("KREF")
        found: dict[str, str | None] = {
            "line_type": bank_statements.line_type(
                (("gvc", (information.code or "",)), ("swift", (line.kind[1:],))), line.minor
            ),
            "provider_reference": reference or said.get("SVWZ"),
            "merchant_reference": said.get("EREF") or said.get("KREF"),
            "gross_minor": str(line.minor),
            "fee_minor": "0",
            "net_minor": str(line.minor),
            "currency": currency,
            "settled_at": instant(line.booked_on or line.valued_on),
            "batch_id": said.get("KREF"),
        }
        content = "|".join(
            value or "" for value in (*found.values(), line.valued_on, line.supplement, said.get("SVWZ"))
        )
        place = self._opening_text or self._id or ""
        own = line.bank_reference or f"{self._number or ''}/{short_digest(f'{place}|{content}')}"
        found["line_id"] = self._ids.of(f"{self._account or ''}:{own}", content)
        return found

    def _balance(self, tag: str, value: str) -> Balance:
        found = _BALANCE.fullmatch(value.split("\n", maxsplit=1)[0].strip())
        if found is None:
            raise self._refused(f":{tag}: {value[:40]!r} is not a balance such as C260426EUR500,00")
        mark, _, currency, text = found.groups()
        minor = self._minor_of(tag, text, currency)
        return (-minor if mark in ("D", "RC") else minor), currency

    def _total(self, tag: str, value: str) -> tuple[int, int, str]:
        found = _TOTAL.fullmatch(value.split("\n", maxsplit=1)[0].strip())
        if found is None:
            raise self._refused(f":{tag}: {value[:40]!r} is not a count and sum such as 2EUR24,05")
        count, currency, text = found.groups()
        return int(count), self._minor_of(tag, text, currency), currency

    def _minor_of(self, tag: str, text: str, currency: str) -> int:
        try:
            return minor_units(text.replace(".", ",") or "0", currency, point=",")
        except ValueError as cause:
            raise self._refused(f":{tag}: {cause}") from cause

    def _refused(self, why: str) -> InputRejectedError:
        return InputRejectedError(f"{self._name}: statement {(self._id or '(without :20:)')[:60]}: {why[:400]}")
