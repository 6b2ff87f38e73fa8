"""Finds card numbers and IBANs in text that nothing is matched by, and masks them before a row is kept.

A card number: 13 to 19 digits of any script, alone or in groups, of a known issuer's prefix and with a right check
digit (ISO/IEC 7812); all but the first six and last four become `*`. An IBAN: a country's length and check digits
(ISO 13616, mod 97); all but country and last four. References, ids and amounts are never touched: a reference that is a
card number by chance would no longer match, and money would seem lost. Does not belong here: which text that is for a
kind of file (arrivals), the tenant's word on it (config.privacy).
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

CARD: Final = "card numbers"
IBAN: Final = "IBANs"
_SEPARATORS: Final = frozenset(" -./_·•\t")
_MOST_BETWEEN: Final = 3  # characters between two groups of one number
_FEWEST_DIGITS: Final = 6  # an IBAN with letters has no fewer, a card number many more
_CARD_DIGITS: Final = range(13, 20)
# Prefixes of issuers in use: https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN)
_ISSUERS: Final = re.compile(r"4|5[0-8]|2(?:2[0-9]|[3-6]|7[0-2])|3(?:0[0-59]|4|5[2-8]|[6-9])|6|81")
_SPLIT: Final = ((4, 4, 4, 4), (4, 6, 5))  # how a number is spread over fields of its own
# How cards show their numbers: https://en.wikipedia.org/wiki/Payment_card_number#Structure
_SHOWN: Final = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4)})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Length of a country's IBANs, as registered: https://www.swift.com/standards/data-standards/iban
_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


@dataclass(frozen=True)
class Masking:
    """Which numbers are masked, and which are refused, of a tenant or of a file as it was ingested."""

    masked: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @property
    def looked_for(self) -> frozenset[str]:
        """The kinds that matter at all."""
        return self.masked | self.refused


NOTHING: Final = Masking()


class FoundNumberError(ValueError):
    """A number of a kind that is refused; says the kind and never the number."""


def note(kind: str) -> str:
    """What is noted of a file in which numbers of a kind were masked; by it the file is read alike ever after."""
    return f"{kind} masked"


def of_notes(notes: Sequence[str]) -> Masking:
    """How a file was masked when it was ingested, by what was noted of it."""
    return Masking(masked=frozenset(kind for kind in (CARD, IBAN) if note(kind) in notes))


def masked_text(
    text: str, masking: Masking, counted: Counter[str], *, own: str | None = None, is_matched: bool = False
) -> str:
    """A text with its numbers masked, each counted by its kind; FoundNumberError where one is refused.

    `own` is an account number that is left. In a text that matching reads (`is_matched`) a card number counts only
    where it is written in the groups that cards show: any other run of digits may be a payout's reference, or end in
    one, with a day or an amount beside it.
    """
    if sum(map(str.isdigit, text)) < _FEWEST_DIGITS:
        return text
    plain = _plain(text)
    spans: list[tuple[str, list[int], int, int]] = []
    ibans = list(_ibans(plain))  # also where they are kept: one in groups may hold the digits of a card
    left = None if own is None else own.upper()
    if IBAN in masking.looked_for:
        spans += [(IBAN, places, 2, 4) for places in ibans if _joined(plain, places) != left]
    if CARD in masking.looked_for:
        taken = {place for places in ibans for place in places}
        cards = (places for places in _cards(plain, is_as_shown=is_matched) if not taken & set(places))
        spans += [(CARD, places, 6, 4) for places in cards]
    if not spans:
        return text
    letters = list(text)
    for kind, places, first, last in spans:
        if kind in masking.refused:
            raise FoundNumberError(kind)
        counted[kind] += 1
        for place in places[first:-last]:
            letters[place] = "*"
    return "".join(letters)


def masked_raw(
    raw: str, masking: Masking, counted: Counter[str], left: frozenset[str] = frozenset(), *, own: str | None = None
) -> str:
    """A row as received, JSON or a line of text, with its numbers masked; JSON stays JSON.

    In JSON also a card number that is spread over fields next to each other, in the groups that cards show. The members
    `left`, ids and references of a refused row, stay as they are, and so does the account number `own`.
    """
    if sum(map(str.isdigit, raw)) < _FEWEST_DIGITS:
        return raw
    found: Counter[str] = Counter()
    try:
        content = json.loads(
            raw, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
        kept, content = _apart(content, left)
        if CARD in masking.looked_for:
            content = _rejoined(content, masking, found)
        content = _each_text(content, lambda text: masked_text(text, masking, found, own=own))
        written = _written(_together(kept, content)) if found else raw
    except (json.JSONDecodeError, RecursionError):
        return masked_text(raw, masking, counted, own=own)
    counted.update(found)
    return written


def masked_column(
    frame: pl.DataFrame,
    column: str,
    change: Callable[[str, str | None], str],
    own: str | None = None,
) -> pl.DataFrame:
    """A frame with a column of text changed where it could hold a number; `own` names the column of own accounts.

    FoundNumberError names the first row that holds one that is refused.
    """
    could = pl.col(column).str.count_matches(r"[\d\p{No}]") >= _FEWEST_DIGITS
    found = frame.with_row_index("place").filter(could).select("place", "row_number", column, *([own] if own else []))
    changed: dict[int, str] = {}
    for place, number, text, *account in found.iter_rows():
        try:
            masked = change(text, account[0] if account else None)
        except FoundNumberError as cause:
            raise FoundNumberError(f"row {number} holds one of the {cause} in {column}") from cause
        if masked != text:
            changed[place] = masked
    if not changed:
        return frame
    return frame.with_columns(frame[column].scatter(list(changed), list(changed.values())))


class _Number(str):
    """A number of JSON as it is written; masked it becomes text."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """An object of JSON with its members as they came: one whose key comes twice keeps both."""

    __slots__ = ()


def _apart(content: Any, left: frozenset[str]) -> tuple[dict[int, Any], Any]:
    """The members of an object that are `left`, by their place, and the object with nothing in their place."""
    if not isinstance(content, _Members):
        return {}, content
    kept = {place: value for place, (name, value) in enumerate(content) if name in left}
    return kept, _Members((name, "" if place in kept else value) for place, (name, value) in enumerate(content))


def _together(kept: dict[int, Any], content: Any) -> Any:
    if not kept:
        return content
    return _Members((name, kept.get(place, value)) for place, (name, value) in enumerate(content))


def _each_text(content: Any, change: Callable[[str], str]) -> Any:
    if isinstance(content, _Members):
        return _Members((change(name), _each_text(value, change)) for name, value in content)
    if isinstance(content, list):
        return [_each_text(value, change) for value in content]
    if isinstance(content, str):
        changed = change(content)
        return content if changed == content else str(changed)
    return content


def _written(content: Any) -> str:
    """Compact JSON text, with numbers as they were written; half a surrogate pair stays an escape."""
    if isinstance(content, _Members):
        return "{" + ",".join(f"{_written(name)}:{_written(value)}" for name, value in content) + "}"
    if isinstance(content, list):
        return "[" + ",".join(map(_written, content)) + "]"
    if isinstance(content, _Number):
        return str(content)
    is_half = isinstance(content, str) and _SURROGATE.search(content) is not None
    return json.dumps(content, ensure_ascii=is_half)


def _rejoined(content: Any, masking: Masking, counted: Counter[str]) -> Any:
    """The content with card numbers masked that are spread over neighbouring fields."""
    if isinstance(content, _Members):
        values = [_rejoined(value, masking, counted) for _, value in content]
        names = (name for name, _ in content)
        return _Members(zip(names, _rejoined_values(values, masking, counted), strict=True))
    if isinstance(content, list):
        return _rejoined_values([_rejoined(value, masking, counted) for value in content], masking, counted)
    return content


def _rejoined_values(values: list[Any], masking: Masking, counted: Counter[str]) -> list[Any]:
    groups = [_plain(value).strip() if isinstance(value, str) else "" for value in values]
    for start in range(len(values)):
        for form in _SPLIT:
            parts = groups[start : start + len(form)]
            if tuple(map(len, parts)) == form and all(map(str.isdigit, parts)) and _is_card("".join(parts)):
                if CARD in masking.refused:
                    raise FoundNumberError(CARD)
                counted[CARD] += 1
                for place in range(start + 1, start + len(form) - 1):
                    hidden = "*" * len(groups[place])
                    values[place] = groups[place][:2] + hidden[2:] if place == start + 1 else hidden
                    groups[place] = ""
    return values


def _cards(plain: str, *, is_as_shown: bool) -> Iterator[list[int]]:
    """The places of the digits of each card number; groups are joined over a few separators, never cut.

    `is_as_shown`: only groups as cards show them.
    """
    runs = _runs(plain, str.isdigit)
    start = 0
    while start < len(runs):
        end, digits = start, list(runs[start])
        best: tuple[int, list[int]] | None = None
        while len(digits) < _CARD_DIGITS.stop:
            is_wanted = not is_as_shown or tuple(map(len, runs[start : end + 1])) in _SHOWN
            if is_wanted and len(digits) in _CARD_DIGITS and _is_card("".join(plain[place] for place in digits)):
                best = end, list(digits)
            end += 1
            if end == len(runs) or not _is_joined(plain, digits[-1], runs[end][0]):
                break
            digits += runs[end]
        if best is not None:
            yield best[1]
            start = best[0]
        start += 1


def _ibans(plain: str) -> Iterator[list[int]]:
    """The places of the letters and digits of each IBAN."""
    after = -1
    for start in range(len(plain) - 1):
        length = _LENGTHS.get(plain[start : start + 2].upper())
        if length is None or start <= after or not _begins(plain, start):
            continue
        places: list[int] = []
        for place in range(start, len(plain)):
            if not (plain[place].isascii() and plain[place].isalnum()):
                continue
            if places and not _is_joined(plain, places[-1], place):
                break
            places.append(place)
            if len(places) == length:
                break
        written = _joined(plain, places)
        if len(written) == length and _is_iban(written):
            after = places[-1]
            yield places


def _joined(plain: str, places: Sequence[int]) -> str:
    return "".join(plain[place] for place in places).upper()


def _begins(plain: str, start: int) -> bool:
    """Whether a word begins here; IBAN itself may be written before it."""
    return not start or not plain[start - 1].isalnum() or plain[max(0, start - 4) : start].upper() == "IBAN"


def _runs(plain: str, belongs: Callable[[str], bool]) -> list[list[int]]:
    """The places of characters that belong, in unbroken runs."""
    runs: list[list[int]] = []
    for place, character in enumerate(plain):
        if belongs(character):
            if runs and runs[-1][-1] == place - 1:
                runs[-1].append(place)
            else:
                runs.append([place])
    return runs


def _is_joined(plain: str, before: int, after: int) -> bool:
    between = plain[before + 1 : after]
    return len(between) <= _MOST_BETWEEN and all(character in _SEPARATORS for character in between)


@lru_cache(maxsize=4096)
def _as_ascii(character: str) -> str:
    """What a character stands for: a digit of any script, a wide letter; blanks, dashes, marks, invisibles separate."""
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp", "Pd", "Cf", "Cc", "Mn", "Me"):
        return " "
    normal = unicodedata.normalize("NFKC", character)
    return normal if len(normal) == 1 else character


def _plain(text: str) -> str:
    """The text in ASCII where it stands for it, character by character."""
    return text if text.isascii() and text.isprintable() else "".join(map(_as_ascii, text))


def _is_card(digits: str) -> bool:
    """Whether digits are those of a card: length, issuer, check digit (Luhn)."""
    if len(digits) not in _CARD_DIGITS or not _ISSUERS.match(digits) or len(set(digits)) == 1:
        return False
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_iban(written: str) -> bool:
    if not written[2:4].isdigit():
        return False
    return int("".join(str(int(character, 36)) for character in written[4:] + written[:4])) % 97 == 1
