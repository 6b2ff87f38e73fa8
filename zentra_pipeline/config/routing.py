"""Routing rules (`tenants/<tenant>/routing.yml`): whose an exception is when it opens, and whose once it is overdue.

Of each result field (lane, owner, sla_business_days) the first matching rule that sets it decides; where none does, the
exception type's own lane and deadline and the run's owner apply. Escalation rules speak of exceptions that are past
their due date. Does not belong here: business days, exception rows, escalating (review.escalation).

    rules:
      - {exception_type: fee_variance, provider: rail_primary, lane: fees, owner: treasury}
      - {currency: JPY, min_amount_minor: 1000000, owner: tokyo_desk, sla_business_days: 1}
    escalation:
      - {after_business_days: 0, lane: overdue}
      - {after_business_days: 3, min_amount_minor: 1000000, owner: cfo}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths

Amount = Annotated[int, Field(ge=0, lt=10**15)]
Words = Annotated[str, Field(min_length=1, max_length=256)]
Days = Annotated[int, Field(ge=0, le=366)]

_KEYS: Final = ("rules", "escalation")


class _Conditions(BaseModel):
    """What a rule asks of an exception (null: anything); bounds are inclusive, of the absolute amount."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    exception_type: str | None = None
    provider: str | None = None
    currency: str | None = None
    min_amount_minor: Amount | None = None
    max_amount_minor: Amount | None = None

    @field_validator("exception_type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        known = tuple(row.exception_type for row in vocabulary.exception_types())
        if value is not None and value not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        return value

    @field_validator("provider")
    @classmethod
    def _provider_form(cls, value: str | None) -> str | None:
        try:
            return value if value is None else identifiers.provider_id(value)
        except UsageError as cause:
            raise ValueError(str(cause)) from cause

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str | None) -> str | None:
        if value is not None and value not in vocabulary.currencies():
            raise ValueError(f"{value!r} is not an ISO 4217 currency")
        return value

    @model_validator(mode="after")
    def _possible(self) -> "_Conditions":
        low, high = self.min_amount_minor, self.max_amount_minor
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_amount_minor {low} is above max_amount_minor {high}: the rule can never match")
        return self

    def matches(self, exception_type: str, provider: str, currency: str | None, amount_minor: int | None) -> bool:
        """Whether the rule applies; an exception without an amount never meets an amount bound."""
        return (
            self.exception_type in (None, exception_type)
            and self.provider in (None, provider)
            and self.currency in (None, currency)
            and (
                self.min_amount_minor is None
                or (amount_minor is not None and abs(amount_minor) >= self.min_amount_minor)
            )
            and (
                self.max_amount_minor is None
                or (amount_minor is not None and abs(amount_minor) <= self.max_amount_minor)
            )
        )


class RoutingRule(_Conditions):
    """What an exception opens with."""

    lane: Words | None = None
    owner: Words | None = None
    sla_business_days: Days | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "RoutingRule":
        if self.lane is None and self.owner is None and self.sla_business_days is None:
            raise ValueError("the rule sets nothing: give lane, owner or sla_business_days")
        return self


class EscalationRule(_Conditions):
    """Whose an exception becomes so many business days after it was due; 0 is the due date itself."""

    after_business_days: Days
    lane: Words | None = None
    owner: Words | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "EscalationRule":
        if self.lane is None and self.owner is None:
            raise ValueError("the rule sets nothing: give lane or owner")
        return self


@dataclass(frozen=True)
class Route:
    """Where an exception goes: its lane, its owner, and the business days until it is due."""

    lane: str
    owner: str
    sla_business_days: int


def route(
    rules: tuple[RoutingRule, ...],
    *,
    exception_type: str,
    provider: str,
    currency: str | None,
    amount_minor: int | None,
    run_owner: str,
) -> Route:
    """The route of one exception: each field from the first matching rule that sets it, else its default."""
    default = vocabulary.exception_type(exception_type)
    hits = [rule for rule in rules if rule.matches(exception_type, provider, currency, amount_minor)]
    return Route(
        lane=next((rule.lane for rule in hits if rule.lane is not None), default.lane),
        owner=next((rule.owner for rule in hits if rule.owner is not None), run_owner),
        sla_business_days=next(
            (rule.sla_business_days for rule in hits if rule.sla_business_days is not None), default.sla_business_days
        ),
    )


def load_routing(paths: TenantPaths) -> tuple[RoutingRule, ...]:
    """The tenant's rules in file order; none when there is no file. ConfigurationError names file, rule and key."""
    return parse_routing(_read(paths), paths.routing.name)


def load_escalation(paths: TenantPaths) -> tuple[EscalationRule, ...]:
    """The tenant's escalation rules in file order; none when there is no file. Errors as load_routing's."""
    return parse_escalation(_read(paths), paths.routing.name)


def parse_routing(content: Mapping[str, Any], name: str) -> tuple[RoutingRule, ...]:
    """Rules from a parsed mapping, all of which has to be right; `name` is what errors call the file."""
    parse_escalation(content, name)
    return _rules(RoutingRule, content, "rules", f"{name}: rule")


def parse_escalation(content: Mapping[str, Any], name: str) -> tuple[EscalationRule, ...]:
    """Escalation rules from a parsed mapping; `name` is what errors call the file."""
    unknown = sorted(content.keys() - set(_KEYS))
    if unknown:
        raise ConfigurationError(f"{name}: unknown key {unknown[0]!r}; allowed are {', '.join(_KEYS)}")
    return _rules(EscalationRule, content, "escalation", f"{name}: escalation rule")


_Rule = TypeVar("_Rule", bound=_Conditions)


def _read(paths: TenantPaths) -> dict[str, Any]:
    return strict_yaml.read_mapping(paths.routing) if paths.routing.exists() else {}


def _rules(kind: type[_Rule], content: Mapping[str, Any], key: str, place: str) -> tuple[_Rule, ...]:
    rules = content.get(key)
    if rules is None:
        return ()
    if not isinstance(rules, list):
        raise ConfigurationError(f"{place.partition(':')[0]}: {key} must be a list")
    return tuple(_rule(kind, rule, f"{place} {number}") for number, rule in enumerate(rules, start=1))


def _rule(kind: type[_Rule], content: object, place: str) -> _Rule:
    if not isinstance(content, dict):
        raise ConfigurationError(f"{place} must be a mapping of keys to values")
    try:
        return kind.model_validate(content)
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(kind.model_fields)))
        raise ConfigurationError(f"{place}: {found}") from cause
