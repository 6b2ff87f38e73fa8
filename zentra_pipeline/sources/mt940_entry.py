"""One entry of an MT940: the statement line `:61:` and the information `:86:` on it; statements do not belong here."""

import calendar
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from zentra_pipeline.sources.bank_statements import minor_units, reference

_LINE = re.compile(
    r"(?P<valued>[0-9]{6})(?P<booked>[0-9]{4}|[ ]{4})?(?P<mark>RC|RD|EC|ED|C|D)(?P<funds>[A-Z])?"
    r"(?P<amount>[0-9]+(?:[,.][0-9]*)?|[,.][0-9]+)[ ]?(?P<kind>[A-Z][A-Z0-9 ]{3})(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_SIGNS = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1}
_EXPECTED = ("EC", "ED")
_PAID = re.compile(r"(?:/(OCMT|CHGS)/|\b(OAMT)\+)\s*([A-Z]{3})\s*([0-9]+(?:,[0-9]*)?)", re.ASCII)
# Marks of ordinary texts separate nothing: 123-4567 is a number, and 944;944 a text that a bank begins with its code.
_GERMAN = re.compile(r"([0-9]{3})([^A-Za-z0-9\s/,.:;_()'\"%&=+*#-])(?=[0-9]{2})", re.ASCII)
_SEPA = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|IBAN|BIC|COAM|OAMT|SQTP|ORDP|BENM|ULTC|ULTD|PURP)\+")
_SLASHED = re.compile(
    r"/(TRCD|TRTP|EREF|KREF|MARF|PREF|IREF|RTRN|CSID|ORDP|BENM|NAME|REMI|USTD|STRD|IBAN|BIC|CNTP|PURP|ISDT|SVWZ|BAI|PT|PY)/"
)
_REMITTANCE = ("SVWZ", "REMI", "USTD", "PY")


@dataclass(frozen=True, slots=True)
class Line:
    """A `:61:` as written: days as ISO dates (null: none such), the signed amount, the type, and both references.

    `is_booked`: not one that is only expected (EC, ED). `is_reversal`: it takes an earlier one back (RC, RD).
    """

    valued_on: str
    booked_on: str | None
    minor: int
    kind: str
    customer_reference: str | None
    bank_reference: str | None
    supplement: str | None
    is_booked: bool
    is_reversal: bool


@dataclass(frozen=True, slots=True)
class Information:
    """What an `:86:` says: the German business transaction code, where it has one, and references by their words.

    `text`: all of it that somebody would read. `name`: the counterparty's.
    """

    code: str | None
    references: dict[str, str]
    text: str | None = None
    name: str | None = None


def line_of(text: str, currency: str) -> Line:
    """Read a `:61:` with its supplement; ValueError says what is wrong with it."""
    first, _, supplement = text.partition("\n")
    found = _LINE.fullmatch(first.rstrip())
    if found is None:
        raise ValueError(f"{first[:60]!r} is not a statement line such as 2604260426C24,05NTRFORDER-17//BANK1")
    mark = found["mark"]
    amount = found["amount"].replace(".", ",")
    customer, _, bank = found["rest"].partition("//")
    return Line(
        valued_on=day_of(found["valued"]),
        booked_on=_entry_day(found["valued"], (found["booked"] or "").strip()),
        minor=_SIGNS[mark] * minor_units(amount, currency, point=","),
        kind=found["kind"],
        customer_reference=_named(customer),
        bank_reference=_named(bank),
        supplement=" ".join(supplement.split()) or None,
        is_booked=mark not in _EXPECTED,
        is_reversal=mark in ("RC", "RD"),
    )


@lru_cache(maxsize=4096)
def day_of(text: str) -> str:
    """YYMMDD as an ISO date; 30 February, as banks count interest, is the last day of it. No day: as it is written."""
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:6])
    year += 1900 if year >= 80 else 2000
    if month == 2 and 28 < day <= 30:
        day = min(day, calendar.monthrange(year, month)[1])
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return text


@lru_cache(maxsize=4096)
def _entry_day(valued: str, booked: str) -> str | None:
    """MMDD in the year that brings it nearest to the value date; null without one."""
    if not booked:
        return None
    try:
        near = date.fromisoformat(day_of(valued))
    except ValueError:
        return booked
    days = (day_of(f"{year % 100:02}{booked}") for year in (near.year, near.year - 1, near.year + 1))
    known = [day for day in days if len(day) == len("2026-04-26")]
    return min(known, key=lambda day: abs((date.fromisoformat(day) - near).days)) if known else booked


def information_of(text: str) -> Information:
    """Read an `:86:`: German sub-fields (`?20EREF+…`), words with slashes (`/EREF/…/REMI/…`), or free text."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    whole = "".join(lines)
    german = _GERMAN.match(whole)
    if german:
        said = _german(whole[3:], german.group(2), r"2[0-9]|6[0-3]")
        name = _german(whole[3:], german.group(2), r"3[23]").strip() or None
        return Information(german.group(1), _by_word(said, _SEPA) or _free(said), said, name)
    found = _by_word(whole, _SLASHED) or _by_word(whole, _SEPA) or _free(" ".join(lines))
    return Information(None, found, " ".join(lines))


def _german(text: str, separator: str, numbers: str) -> str:
    """Sub-fields by their numbers as one text: 20 to 29 and 60 to 63 are the remittance, 32 and 33 the counterparty."""
    parts = re.split(rf"{re.escape(separator)}(?=[0-9][0-9])", text)
    return "".join(part[2:] for part in parts if re.match(numbers, part))


def stated_amounts(*texts: str | None) -> dict[str, tuple[int, str]]:
    """Amounts that a supplement or information states beside the booked one, in minor units, with their currency.

    By their words: OCMT, OAMT (what was instructed), CHGS (what was deducted). One that is no exact amount is left out.
    """
    found: dict[str, tuple[int, str]] = {}
    for text in texts:
        for slashed, plain, currency, amount in _PAID.findall(text or ""):
            with suppress(ValueError):
                found.setdefault(slashed or plain, (minor_units(amount, currency, point=","), currency))
    return found


def _by_word(text: str, words: re.Pattern[str]) -> dict[str, str]:
    found = list(words.finditer(text))
    if not found:
        return {}
    ends = [*(each.start() for each in found[1:]), len(text)]
    values = {each.group(1): text[each.end() : end].strip(" /") for each, end in zip(found, ends, strict=True)}
    named = {word: value for word, value in ((word, _named(value)) for word, value in values.items()) if value}
    remittance = next((named[word] for word in _REMITTANCE if word in named), None)
    return named if remittance is None else {**named, "SVWZ": " ".join(remittance.split())}


def _free(text: str) -> dict[str, str]:
    value = " ".join(text.split())
    return {"SVWZ": value} if value else {}


def _named(text: str) -> str | None:
    """A reference, null where it is blank, NONREF, or only names the place where the reference is."""
    value = reference(text)
    return None if value is None or value.rstrip("+") in ("EREF", "KREF", "PREF", "MREF") else value
