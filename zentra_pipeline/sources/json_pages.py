"""Saved answers of a provider's API, page after page: their shape, and what readers of them share.

Accepted shapes are those of recorded events (deliveries): one answer, an array of answers, or one a line. Does not
belong here: what any answer holds.
"""

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources.bank_statements import instant
from zentra_pipeline.sources.deliveries import read_deliveries
from zentra_pipeline.sources.statement import Statement

Json = Mapping[str, Any]

_HALF = Decimal("0.5")
_SAID = 400


def pages(path: Path, name: str) -> Iterator[tuple[str, Json]]:
    """The objects of a file with where each is, for messages; InputRejectedError where one is none."""
    for delivery in read_deliveries(path, name):
        place = f"{name}: object {delivery.row_number:,}"
        if delivery.event is None:
            raise InputRejectedError(f"{place}: {delivery.refusal}; save the API's answers as they came")
        yield place, delivery.event


def refusal(place: str, cause: ValueError) -> InputRejectedError:
    """Why the object at a place refuses the file, in a few words whatever it holds."""
    return InputRejectedError(f"{place}: {str(cause)[:_SAID]}; save the API's answers again")


def listed(page: Json, key: str) -> list[Json]:
    """The objects under a key: a list, or one object in its place; ValueError where it is neither."""
    value = page.get(key, [])
    found = [value] if isinstance(value, Mapping) else value
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise ValueError(f"{key}: not a list of objects")
    return found


def inner(content: Json, *keys: str) -> Json:
    """An object within an object; empty where any of them is none."""
    found: object = content
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def text(content: Json, key: str) -> str:
    """A text that must be there."""
    value = optional(content, key)
    if value is None:
        raise ValueError(f"{key}: missing")
    return value


def optional(content: Json, *keys: str) -> str | None:
    """The first of these that is a text; ValueError where it is none that UTF-8 can hold."""
    for key in keys:
        value = content.get(key)
        if isinstance(value, str) and value:
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError(f"{key}: half of a surrogate pair is not text")
            return value
    return None


def time_of(content: Json, *keys: str) -> str | None:
    """The first of these as an instant; text of another form comes back for the gate to refuse."""
    found = optional(content, *keys)
    return None if found is None else instant(found)


def currency_of(value: object, key: str) -> str:
    """A currency that ISO 4217 knows, in upper case."""
    currency = value.upper() if isinstance(value, str) else ""
    if currency not in vocabulary.currencies():
        raise ValueError(f"{key}: {str(value)[:8]!r} is not an ISO 4217 currency")
    return currency


def whole(value: object, key: str) -> int:
    """A whole number of minor units."""
    if type(value) is not int:
        raise ValueError(f"{key}: {str(value)[:40]!r} is not a whole number of minor units")
    return value


def minor(value: object, currency: str, key: str) -> int:
    """Decimal text of major units as minor units."""
    try:
        return money.minor_units(value if isinstance(value, str) else "", vocabulary.exponent(currency))
    except (ValueError, ZentraError) as cause:
        raise ValueError(f"{key}: {str(value)[:40]!r} is not an amount in {currency}") from cause


def nearest(exact: Decimal) -> int:
    """A fraction of a minor unit as whole ones, half to even."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


def payout_statement(
    *, what: str, id: str, currency: str, entries: int, exact: Decimal, paid: int | None, remedy: str
) -> Statement:
    """A payout and what its items come to; refused with the figures where that is not the payout, to half a minor unit.

    `exact`: the sum of its items in minor units, fractions kept. `paid`: what the payout states, null where none does.
    """
    ties = None if paid is None else abs(exact - paid) <= _HALF
    refused = None
    if paid is not None and not ties:
        figures = (paid, nearest(exact), paid - nearest(exact))
        stated, found, off = (money.amount_text(amount, currency) for amount in figures)
        refused = (
            f"{what} {id}: its amount is {stated}, and its {entries:,} items come to {found}: a difference of {off}; "
            f"{remedy}"
        )
    return Statement(id, None, entries, currency, nearest(exact), ties=ties, refused=refused)
