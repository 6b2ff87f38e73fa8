"""The vocabularies of the seeds (`dbt_project/seeds`), read once and checked; SQL reads the same files through dbt.

Does not belong here: any value of its own. A word that is not in a seed does not exist, and asking for it raises.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import DBT_PROJECT

ANY_CURRENCY = "*"


@dataclass(frozen=True)
class ExceptionType:
    """A row of the exception vocabulary: how grave it is, who looks at it, by when, and what to do."""

    exception_type: str
    severity: str
    lane: str
    sla_business_days: int
    subject_type: str
    is_blocking: bool
    title: str
    remedy: str


def values(vocabulary: str) -> tuple[str, ...]:
    """The values of one vocabulary, in the order of the seed: `values("line_type")`."""
    try:
        return _vocabularies()[vocabulary]
    except KeyError as cause:
        raise _unknown("vocabulary", vocabulary, "vocabulary.csv") from cause


def currencies() -> dict[str, int]:
    """Every known ISO 4217 currency and its exponent (digits of the minor unit); a copy of the caller's own."""
    return dict(_currencies())


def currency_rows() -> list[tuple[str, int, str]]:
    """Code, exponent and English name of every known currency, in the order of the seed."""
    return [(row["currency"], int(row["exponent"]), row["name"]) for row in _seed("currencies")]


def exponent(currency: str) -> int:
    """The ISO 4217 exponent of one currency."""
    try:
        return _currencies()[currency]
    except KeyError as cause:
        raise _unknown("currency", currency, "currencies.csv") from cause


@cache
def provider_exponent(provider_format: str, surface: str, currency: str, on: date) -> int:
    """The exponent a provider's surface (`api`, `report`) uses for a currency on a day; ISO 4217 unless it deviates."""
    standard = exponent(currency)
    for candidate in (currency, ANY_CURRENCY):
        in_force = [
            (valid_from, digits)
            for valid_from, digits in _deviations().get((provider_format, surface, candidate), ())
            if valid_from <= on
        ]
        if in_force:
            return max(in_force)[1]
    return standard


@cache
def exception_types() -> tuple[ExceptionType, ...]:
    """Every exception type, in the order of the seed (that of contract §6)."""
    return tuple(
        ExceptionType(
            exception_type=row["exception_type"],
            severity=_member("severity", row["severity"]),
            lane=_member("lane", row["lane"]),
            sla_business_days=int(row["sla_business_days"]),
            subject_type=row["subject_type"],
            is_blocking=_boolean(row["is_blocking"]),
            title=row["title"],
            remedy=row["remedy"],
        )
        for row in _seed("exception_types")
    )


def exception_type(name: str) -> ExceptionType:
    """The vocabulary row of one exception type."""
    for row in exception_types():
        if row.exception_type == name:
            return row
    raise _unknown("exception type", name, "exception_types.csv")


@cache
def _stripe_line_types() -> dict[str, str]:
    return {
        row["reporting_category"]: _member("line_type", row["line_type"])
        for row in _seed("stripe_reporting_categories")
    }


def stripe_line_types() -> dict[str, str]:
    """Stripe's `reporting_category` → canonical line type; a copy of the caller's own."""
    return dict(_stripe_line_types())


@cache
def _currencies() -> dict[str, int]:
    return {row["currency"]: int(row["exponent"]) for row in _seed("currencies")}


@cache
def _vocabularies() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in _seed("vocabulary"):
        found[row["vocabulary"]] = (*found.get(row["vocabulary"], ()), row["value"])
    return found


@cache
def _deviations() -> dict[tuple[str, str, str], tuple[tuple[date, int], ...]]:
    found: dict[tuple[str, str, str], tuple[tuple[date, int], ...]] = {}
    for row in _seed("currency_exponents"):
        key = (row["provider_format"], row["surface"], row["currency"])
        found[key] = (*found.get(key, ()), (date.fromisoformat(row["valid_from"]), int(row["exponent"])))
    return found


def _seed(name: str) -> list[dict[str, str]]:
    path = DBT_PROJECT / "seeds" / f"{name}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines, strict=True))
    except OSError as cause:
        raise ZentraError(f"vocabulary seed {name}.csv cannot be read: {cause.strerror}; restore it") from cause


def _member(vocabulary: str, value: str) -> str:
    if value not in values(vocabulary):
        raise _unknown(vocabulary, value, "vocabulary.csv")
    return value


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ZentraError(f"seed value {text!r} is neither true nor false")
    return text == "true"


def _unknown(what: str, value: str, seed: str) -> ZentraError:
    return ZentraError(f"unknown {what} {value!r}: add it to dbt_project/seeds/{seed} or correct the caller")
