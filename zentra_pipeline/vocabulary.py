"""The vocabularies of the seeds (`dbt_project/seeds`), read once and checked; SQL reads the same files through dbt.

Does not belong here: any value of its own. A word that is not in a seed does not exist, and asking for it raises.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from types import MappingProxyType

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import DBT_PROJECT

ANY_CURRENCY = "*"


@dataclass(frozen=True)
class ExceptionType:
    """A row of the exception vocabulary: how grave it is, who looks at it, by when, and what to do.

    `unmatched_reason_order`: its place among the reasons for which an item is unmatched, null where it is none;
    `is_firm_reason`: whether it stays though a later one applies; `of_runs`: provider, bank or any, which runs find it.
    """

    exception_type: str
    severity: str
    lane: str
    sla_business_days: int
    subject_type: str
    is_blocking: bool
    unmatched_reason_order: int | None
    is_firm_reason: bool
    of_runs: str
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
@cache
def written_decimals(provider_format: str) -> Mapping[str, int]:
    """Currency → decimals a provider's reports may write it with: those of ISO 4217, or of its API where more."""
    return MappingProxyType(
        {
            currency: max(exponent, provider_exponent(provider_format, "api", currency, date.max))
            for currency, exponent in currencies().items()
        }
    )


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
            unmatched_reason_order=int(row["unmatched_reason_order"]) if row["unmatched_reason_order"] else None,
            is_firm_reason=_boolean(row["is_firm_reason"]),
            of_runs=row["of_runs"],
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
def unmatched_reasons() -> frozenset[str]:
    """Exception types that say why an item is unmatched: a write-off of one closes its item."""
    return frozenset(row.exception_type for row in exception_types() if row.unmatched_reason_order is not None)


@cache
def _stripe_line_types() -> dict[str, str]:
    return {
        row["reporting_category"]: _member("line_type", row["line_type"])
        for row in _seed("stripe_reporting_categories")
    }


def stripe_line_types() -> dict[str, str]:
    """Stripe's `reporting_category` → canonical line type; a copy of the caller's own."""
    return dict(_stripe_line_types())


@dataclass(frozen=True)
class RecordType:
    """What a provider's kind of record becomes: a line type, and a status where that is not settled.

    `in_control_total`: whether the file's own totals count such records.
    """

    line_type: str
    status: str | None
    in_control_total: bool


@cache
def record_types(provider_format: str) -> Mapping[str, RecordType]:
    """A format's kind of record → what it becomes."""
    return {
        row["record_type"]: RecordType(
            _member("line_type", row["line_type"]),
            _member("settlement_status", row["status"]) if row["status"] else None,
            _boolean(row["in_control_total"]),
        )
        for row in _seed("provider_record_types")
        if row["provider_format"] == provider_format
    }


@dataclass(frozen=True)
class EventType:
    """What a provider's event says of a movement: its type, its status, and that where the event says it failed.

    A status is null where the event then says nothing of a movement.
    """

    movement_type: str | None
    status: str | None
    status_otherwise: str | None


@cache
def event_types(provider_format: str) -> Mapping[str, EventType]:
    """A format's event → what it says; an event that is not there is about no movement of money."""
    return {
        row["event_type"]: EventType(
            _member("callback_movement_type", row["movement_type"]) if row["movement_type"] else None,
            *(
                _member("callback_status", row[column]) if row[column] else None
                for column in ("status", "status_otherwise")
            ),
        )
        for row in _seed("provider_event_types")
        if row["provider_format"] == provider_format
    }


def utc_offsets() -> dict[str, int]:
    """Abbreviation of a time zone as reports write it → minutes ahead of UTC; a copy of the caller's own."""
    return {row["abbreviation"]: int(row["utc_offset_minutes"]) for row in _seed("time_zones")}


@lru_cache(maxsize=1024)
def bank_line_type(scheme: str, codes: tuple[str, ...], direction: str) -> str | None:
    """The line type that a bank's transaction code means; null where no row of the seed fits it.

    `scheme`: iso20022 (domain, family, sub-family), swift or gvc (one code). `direction`: credit or debit. Of the rows
    that fit, the one with the most specific code decides.
    """
    domain, family, subfamily = codes if len(codes) == 3 else ("", "", *codes)
    rules, any_code = _bank_line_types(), "*"
    for code in (
        (domain, family, subfamily),
        (any_code, any_code, subfamily),
        (domain, family, any_code),
        (domain, any_code, any_code),
        (any_code, any_code, any_code),
    ):
        for way in (direction, any_code):
            if (scheme, *code, way) in rules:
                return rules[(scheme, *code, way)]
    return None


@cache
def _bank_line_types() -> dict[tuple[str, ...], str]:
    return {
        (row["scheme"], row["domain"], row["family"], row["subfamily"], row["direction"]): _member(
            "line_type", row["line_type"]
        )
        for row in _seed("bank_transaction_codes")
    }


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
