"""An entry of an ISO 20022 statement as bank statements have it: a booking, and the transactions that it sums up.

Does not belong here: the fields of entries (camt_entry), the lines that settlements make of them (camt_statement).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from zentra_pipeline.sources.bank_statements import minor_units
from zentra_pipeline.sources.camt_entry import Amount, Details, Said
from zentra_pipeline.sources.statement import Entry, Head

OF_THE_BANK: Final = ("AcctSvcrRef", "TxId", "UETR", "InstrId", "EndToEndId")
"""What names a transaction within its entry, the first that is there."""
_SIGNS: Final = {"CRDT": 1, "DBIT": -1}

Note = Callable[[str], None]


@dataclass(frozen=True)
class EntryFields:
    """What holds for all transactions of an entry."""

    minor: int
    currency: str
    codes: tuple[str | None, ...]
    service_reference: str | None
    entry_reference: str | None
    booked_on: str | None
    valued_on: str | None
    batch: str | None
    is_booked: bool
    is_reversal: bool
    instructed: Amount | None
    said: Said


def booking(head: Head, entry: EntryFields, details: Sequence[Details], dated: str | None, note: Note) -> Entry:
    """The entry, with its transactions as details where each has an amount of it; `dated`: when it has no day itself.

    `note` hears of what is left out.
    """
    alone = details[0] if len(details) == 1 else None
    found = _entry(head, entry, entry.minor, alone, dated, note)
    reference = entry.service_reference or (None if alone is None else alone.references.get("AcctSvcrRef"))
    texts = (found.text, None if alone is not None else entry.batch)
    parts = [
        replace(_entry(head, entry, minor, part, dated, note), key=_within(part))
        for part, minor in zip(details, amounts_of(entry, details) or (), strict=False)
    ]
    return replace(
        found,
        key=reference,
        bank_reference=reference or entry.entry_reference,
        text=" ".join(text for text in texts if text) or None,
        details=parts,
    )


def amounts_of(entry: EntryFields, details: Sequence[Details]) -> list[int] | None:
    """Signed amounts of the details of a batch, null where they are not all there."""
    if len(details) < 2:
        return None
    own = _SIGNS["CRDT"] if entry.minor >= 0 else _SIGNS["DBIT"]
    found: list[int] = []
    for part in details:
        if part.amount is None or (part.amount.currency or entry.currency) != entry.currency:
            return None
        sign = own if part.indicator is None else _SIGNS.get(part.indicator)
        try:
            found.append((sign or 0) * minor_units(part.amount.text, entry.currency))
        except ValueError:
            return None
        if sign is None:
            return None
    return found


def exact_amount(paid: Amount | None, minor: int) -> tuple[int, str] | None:
    """What was instructed, signed like the booking; null where that is no exact amount of a currency."""
    if paid is None or paid.currency is None:
        return None
    try:
        size = minor_units(paid.text, paid.currency)
    except ValueError:
        return None
    return (-size if minor < 0 else size), paid.currency


def _entry(head: Head, entry: EntryFields, minor: int, part: Details | None, dated: str | None, note: Note) -> Entry:
    """What an entry, or one transaction of it, says; `part` is that transaction, or the only one of the entry."""
    said = entry.said if part is None else part.said
    counterparty = said.debtor if minor >= 0 else said.creditor
    texts = dict.fromkeys((*said.texts, counterparty or "", *(() if part is None else entry.said.texts)))
    references = {} if part is None else part.references
    charges = _charges(entry, said, note)
    return Entry(
        head,
        minor,
        entry.currency,
        entry.booked_on or entry.valued_on or (None if part is None else part.dated) or dated,
        entry.valued_on,
        is_booked=entry.is_booked,
        bank_reference=references.get("AcctSvcrRef") or references.get("TxId"),
        end_to_end_id=references.get("EndToEndId"),
        text=" ".join(text for text in texts if text) or None,
        instructed=exact_amount((None if part is None else part.instructed) or entry.instructed, minor),
        charges_minor=_charges(entry, entry.said, note) if charges is None and minor == entry.minor else charges,
        is_reversal=entry.is_reversal,
        return_reason=said.return_reason,
    )


def _within(part: Details) -> str | None:
    return next((part.references[name] for name in OF_THE_BANK if name in part.references), None)


def _charges(entry: EntryFields, said: Said, note: Note) -> int | None:
    """What was deducted, where that is stated in the currency booked; null where nothing is."""
    found = []
    for charge in said.charges:
        if (charge.amount.currency or entry.currency) != entry.currency:
            note("charges in another currency than the entry's: left out")
            continue
        with suppress(ValueError):
            size = minor_units(charge.amount.text, entry.currency)
            found.append(-size if charge.is_credit else size)
    return sum(found) if found else None
