"""One ISO 20022 statement while it is read: its entries become lines, its sums are checked where it ends.

Does not belong here: following the file (camt), the fields of entries (camt_entry).
"""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.bank_statements import Line, LineIds, instant, minor_units, reference
from zentra_pipeline.sources.camt_booking import OF_THE_BANK, EntryFields, amounts_of, booking, exact_amount
from zentra_pipeline.sources.camt_entry import (
    NOTHING_SAID,
    Amount,
    Details,
    Node,
    amount,
    batch_of,
    child,
    codes,
    day_or_time,
    fields_of,
    local_name,
    said_of,
    text,
)
from zentra_pipeline.sources.camt_summary import Summary, Total
from zentra_pipeline.sources.statement import Entry, Head, Statement

_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)
_BOOKED: Final = ("", "BOOK")
_NOT_BOOKED: Final = ("PDNG", "INFO", "FUTR")
_MOST_BALANCES: Final = 10_000
_SIGNS: Final = {"CRDT": 1, "DBIT": -1}
_ORDER: Final = ("EndToEndId", "PmtInfId", "TxId", "UETR", "Strd", "StrdV01", "Ustrd")
_ANNOUNCED: Final = "entries of status {}: announced, not booked, and so no lines"
_PAGES: Final = ("StmtPgntn", "RptPgntn", "NtfctnPgntn")
_PAGE_DIGITS: Final = 5

Pages = dict[tuple[str | None, str], int]
"""The last page of each statement of a file so far, by account and id."""


@dataclass(frozen=True)
class _Balance:
    code: str
    minor: int
    currency: str
    on: str


class OpenStatement:
    """A statement from its beginning to its end; `node` is its element, `is_of_bank`: whether entries are asked for."""

    def __init__(
        self,
        name: str,
        node: Node,
        ids: LineIds,
        pages: Pages,
        notes: MutableMapping[str, int],
        head: Head,
        *,
        is_of_bank: bool,
    ) -> None:
        self.node = node
        self._pages = pages
        self._page: int | None = None
        self.head = head
        self._is_of_bank = is_of_bank
        self._name = name
        self._ids = ids
        self._notes = notes
        self._id: str | None = None
        self._account: str | None = None
        self._account_currency: str | None = None
        self._dated: str | None = None
        self._from: str | None = None
        self._to: str | None = None
        self._is_page = False
        self._page_fault: str | None = None
        self._balances: list[_Balance] = []
        self._summary: Summary | None = None
        self._totals: dict[str, Total] = {}
        self._entries = 0
        self._unsigned = 0

    def add_balance(self, node: Node) -> None:
        """Keep an opening or closing booked balance; without an indicator it is a credit."""
        kind = child(node, "Tp")
        words: list[str] = [] if kind is None else [(part.text or "").strip() for part in kind.iter()]
        code = next((word for word in words if word in (*_OPENING, *_CLOSING)), None)
        self._read_head()
        if code is None:
            return
        if len(self._balances) >= _MOST_BALANCES:
            raise self._refused(f"it has more than {_MOST_BALANCES:,} balances; is it an account statement?")
        where, fields = f"balance {code}", fields_of(node)
        minor, currency = self._amount(amount(fields, "Amt"), where)
        sign = self._sign(fields.get("CdtDbtInd", "CRDT"), where)
        self._balances.append(_Balance(code, sign * minor, currency, day_or_time(fields, "Dt") or ""))

    def add_summary(self, node: Node) -> None:
        """Keep the statement's own count and sums of its entries."""
        self._summary = Summary.of(node)

    def lines(self, node: Node, details: Sequence[Details]) -> Iterator[Line | Entry]:
        """The entry, or its lines: one for each of its transactions where they add up to it, else one for it all."""
        self._read_head()
        self._entries += 1
        where, fields = f"entry {self._entries}", fields_of(node)
        size, currency = self._amount(amount(fields, "Amt"), where)
        indicator = fields.get("CdtDbtInd")
        self._unsigned += indicator is None
        minor = self._sign(indicator or "CRDT", where) * size
        status = (fields.get("Sts/Cd") or fields.get("Sts/Prtry") or fields.get("Sts") or "").upper()
        if status not in (*_BOOKED, *_NOT_BOOKED):
            raise self._refused(f"{where}: status {status[:20]!r} is none of BOOK, PDNG, INFO, FUTR")
        total = self._totals.setdefault(currency, Total())
        total.add(minor, transactions=max(1, len(details)), is_booked=status in _BOOKED)
        if status == "INFO":
            self._note(_ANNOUNCED.format(status))
            return
        group = child(node, "NtryDtls")
        entry = EntryFields(
            minor,
            currency,
            codes(fields),
            reference(fields.get("AcctSvcrRef")),
            reference(fields.get("NtryRef")),
            day_or_time(fields, "BookgDt"),
            day_or_time(fields, "ValDt"),
            None if group is None else batch_of(group),
            status in _BOOKED,
            fields.get("RvslInd", "").lower() in ("true", "1"),
            amount(fields, "AmtDtls/InstdAmt/Amt"),
            said_of(node, fields) if self._is_of_bank else NOTHING_SAID,
        )
        if self._is_of_bank:
            yield booking(self.head, entry, details, self._day(), self._note)
        elif entry.is_booked:
            yield from self._lines_of(entry, details)
        else:
            self._note(_ANNOUNCED.format(status))

    def close(self) -> Iterator[Statement]:
        """The statement as read, one for each currency of its balances and entries."""
        self._read_head()
        self._page_fault = self._missing_pages()
        opening, closing = self._ends(_OPENING, last=False), self._ends(_CLOSING, last=True)
        self.head.from_day = next((found.on for found in opening.values() if found.on), self._from)
        self.head.to_day = next((found.on for found in closing.values() if found.on), self._to)
        bounds = list(dict.fromkeys([*opening, *closing]))
        currencies = list(self._totals)
        if len(opening) <= 1 and len(closing) <= 1 and len(currencies) <= 1:
            start, end = (next(iter(side.values()), None) for side in (opening, closing))
            known = [*currencies, *bounds, *([self._account_currency] if self._account_currency else [])]
            yield self._statement(known[0] if known else None, start, end)
            return
        for currency in dict.fromkeys([*bounds, *currencies]):
            yield self._statement(currency, opening.get(currency), closing.get(currency))

    def _statement(self, currency: str | None, opening: _Balance | None, closing: _Balance | None) -> Statement:
        total = self._totals.get(currency or "", Total())
        ties, fault = None, None
        entries, minor = total.entries, total.minor
        if opening is not None and closing is not None:
            # Between two balances only what is booked counts.
            entries, minor = total.booked, total.booked_minor
            fault = bank_statements.balance_fault(
                (opening.minor, opening.currency), (closing.minor, closing.currency), minor, currency
            )
            ties = fault is None
        named = f"statement {(self._id or '(without id)')[:60]} of account {(self._account or '(none given)')[:60]}"
        if self._summary is not None and not self._is_page and len(self._totals) <= 1:
            difference = self._summary.difference(total, currency)
            if difference is not None and ties:
                self._note(f"summary of a statement whose balances tie: {difference}")
            elif difference is not None:
                fault = fault or difference
        fault = fault or self._page_fault
        if self._unsigned and ties is None:
            fault = fault or f"{self._unsigned:,} entries have no CdtDbtInd, and no balances show what they were"
        return Statement(
            head=self.head,
            id=self._id,
            account=self._account,
            entries=entries,
            currency=currency,
            signed_sum_minor=minor,
            opening_minor=None if opening is None else opening.minor,
            closing_minor=None if closing is None else closing.minor,
            ties=ties,
            refused=None if fault is None else f"{named}: {fault}",
        )

    def _missing_pages(self) -> str | None:
        """Which pages (`StmtPgntn`) are missing between this one and the one before it in the file; null for none."""
        if self._page is None or self._id is None:
            return None
        before = self._pages.get((self._account, self._id))
        self._pages[self._account, self._id] = self._page
        if before is None or self._page <= before + 1:
            return None
        return f"page {self._page} follows page {before} (PgNb): what is between them is missing; ask the bank for it"

    def _ends(self, wanted: Sequence[str], *, last: bool) -> dict[str, _Balance]:
        """The balance at one end by currency: the first kind in `wanted` that is there, of the first or last day."""
        found: dict[str, _Balance] = {}
        for code in wanted:
            of_code = [balance for balance in self._balances if balance.code == code]
            by_day = sorted(of_code, key=lambda balance: balance.on[:10], reverse=last)
            for balance in by_day:
                found.setdefault(balance.currency, balance)
            if found:
                break
        return found

    def _lines_of(self, entry: EntryFields, details: Sequence[Details]) -> Iterator[Line]:
        parts = self._parts(entry, details)
        if parts is None:
            if len(details) > 1:
                self._note("entries whose details do not give amounts that add up to them: one line for each entry")
            yield self._line(entry, entry.minor, details[0] if len(details) == 1 else None, None)
            return
        for position, (part, minor) in enumerate(zip(details, parts, strict=True), start=1):
            yield self._line(entry, minor, part, position)

    def _parts(self, entry: EntryFields, details: Sequence[Details]) -> list[int] | None:
        """Signed amounts of the details of a batch, null where they are not all there or do not add up."""
        found = amounts_of(entry, details)
        return found if found is not None and sum(found) == entry.minor else None

    def _line(self, entry: EntryFields, minor: int, part: Details | None, position: int | None) -> Line:
        references = part.references if part is not None else {}
        of_entry = (entry.service_reference, entry.entry_reference) if position is None else ()
        own = references.get("AcctSvcrRef")
        candidates = [of_entry[0] if of_entry else None, own, of_entry[1] if of_entry else None]
        provider_reference = next(
            (value for value in (*candidates, *(references.get(name) for name in _ORDER)) if value), None
        )
        structured = references.get("Strd") or references.get("StrdV01")
        batch = (part.batch if part is not None else None) or entry.batch or references.get("PmtInfId")
        if batch is None:
            batch = entry.service_reference if position is not None else references.get("MsgId")
        dated = entry.booked_on or entry.valued_on or (part.dated if part is not None else None) or self._day()
        line: dict[str, str | None] = {
            "line_type": bank_statements.line_type((("iso20022", self._codes(entry, part)),), minor),
            "provider_reference": provider_reference,
            "merchant_reference": references.get("EndToEndId") or structured,
            "gross_minor": str(minor),
            "fee_minor": "0",
            "net_minor": str(minor),
            "currency": entry.currency,
            "settled_at": None if dated is None else instant(dated),
            "batch_id": batch,
            **self._presentment(entry, part, minor, position),
        }
        content = "|".join(value or "" for value in (*line.values(), entry.valued_on, references.get("Ustrd")))
        line["line_id"] = self._ids.of(self._id_of(entry, references, position, content), content)
        return line

    def _id_of(self, entry: EntryFields, references: dict[str, str], position: int | None, content: str) -> str:
        """The bank's own reference of the booking in its account; without one, statement and content name the line."""
        booking = entry.service_reference or (references.get("AcctSvcrRef") if position is None else None)
        if booking is None:
            said = [self._id or "", entry.entry_reference or "", bank_statements.short_digest(content)]
            return f"{self._account or ''}:{'/'.join(said)}"
        within = next((references[name] for name in OF_THE_BANK if name in references), None)
        of_batch = "" if position is None else f"/{within or position}"
        return f"{self._account or ''}:{booking}{of_batch}"

    def _codes(self, entry: EntryFields, part: Details | None) -> tuple[str | None, ...]:
        return part.codes if part is not None and part.codes[0] else entry.codes

    def _presentment(
        self, entry: EntryFields, part: Details | None, minor: int, position: int | None
    ) -> dict[str, str | None]:
        """What was instructed, where that is another currency than the one booked, signed like the booking."""
        paid = None if part is None else part.instructed
        if paid is None or paid.currency in (None, entry.currency):
            return {}
        found = exact_amount(paid, minor)
        if found is None:
            self._note("amounts instructed in another currency that are no exact amounts of it: left out")
            return {}
        return {"presentment_minor": str(found[0]), "presentment_currency": found[1]}

    def _day(self) -> str | None:
        """When entries without a date of their own were booked at the latest: the closing balance, else the report."""
        return next((balance.on for balance in self._balances if balance.code in _CLOSING and balance.on), self._dated)

    def _read_head(self) -> None:
        """Read what comes before balances and entries, once it is there."""
        if self._entries and self._id is not None and self._account is not None:
            return
        if self._id is None:
            self._id = text(self.node, "Id")
        if self._account is None:
            account = child(self.node, "Acct/Id")
            if account is not None:
                self._account = text(account, "IBAN") or next((own for own in _texts(account)), None)
                self._account_currency = text(self.node, "Acct/Ccy")
        if self._dated is None:
            spans = (text(self.node, path) for path in ("FrToDt/ToDtTm", "FrToDt/ToDt", "CreDtTm"))
            message = self.node.getparent()
            self._dated = next((at for at in spans if at), None if message is None else text(message, "GrpHdr/CreDtTm"))
        pages = child(self.node, "StmtPgntn")
        pages = pages if pages is not None else child(self.node, "RptPgntn")
        pages = pages if pages is not None else child(self.node, "NtfctnPgntn")
        if pages is not None:
            number = text(pages, "PgNb") or ""
            self._page = int(number) if number.isdecimal() and len(number) <= _PAGE_DIGITS else None
            self._is_page = text(pages, "PgNb") not in (None, "1") or text(pages, "LastPgInd") == "false"
        self._name_head()

    def _name_head(self) -> None:
        """What the statement is called, a later page by its number as well, and its number at the bank.

        What was read stays: the elements are let go of with the first balance below them.
        """
        head, page = self.head, next((found for pages in _PAGES if (found := text(self.node, f"{pages}/PgNb"))), None)
        head.account = self._account
        if self._id is not None and head.statement_id is None:
            head.statement_id = self._id if page in (None, "1") else f"{self._id}/{page}"
        head.sequence = head.sequence or text(self.node, "ElctrncSeqNb") or text(self.node, "LglSeqNb")
        self._from = self._from or text(self.node, "FrToDt/FrDtTm") or text(self.node, "FrToDt/FrDt")
        self._to = self._to or text(self.node, "FrToDt/ToDtTm") or text(self.node, "FrToDt/ToDt")

    def _amount(self, found: Amount | None, where: str) -> tuple[int, str]:
        if found is None:
            raise self._refused(f"{where}: no amount (Amt)")
        currency = found.currency or self._account_currency
        if currency is None:
            raise self._refused(f"{where}: its amount {found.text[:40]!r} names no currency (Ccy)")
        try:
            return minor_units(found.text, currency), currency
        except ValueError as cause:
            raise self._refused(f"{where}: Amt: {cause}") from cause

    def _sign(self, indicator: str, where: str) -> int:
        if indicator not in _SIGNS:
            raise self._refused(f"{where}: CdtDbtInd {indicator[:20]!r} is neither CRDT nor DBIT")
        return _SIGNS[indicator]

    def _refused(self, why: str) -> InputRejectedError:
        return InputRejectedError(f"{self._name}: statement {(self._id or '(without id)')[:60]}: {why[:400]}")

    def _note(self, what: str) -> None:
        self._notes[what] = self._notes.get(what, 0) + 1


def _texts(account: Node) -> Iterator[str]:
    """The id of an account that is no IBAN: `Othr/Id`, or `PrtryAcct/Id`, `BBAN`, `UPIC` of version 01."""
    for node in account.iter():
        value = (node.text or "").strip()
        if value and local_name(node) in ("Id", "BBAN", "UPIC") and node is not account:
            yield value
