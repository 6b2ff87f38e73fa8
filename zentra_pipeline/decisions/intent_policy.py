"""What a tenant lets intents ask for (`intents` of policy.yml), and weighing one by it. Pure; recording is intents'.

intents:
  limit_minor: {USD: 1000000, "*": 0}
  scopes:
    payments:transfer: [transfer]
    payments:all: [transfer, payment, card, refund]
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zentra_pipeline import money, vocabulary
from zentra_pipeline.runtime.intent import MOVEMENT_TYPES, Intent

PASSED: Final = "passed"
REFUSED: Final = "refused"
_ANY: Final = vocabulary.ANY_CURRENCY


class IntentPolicy(BaseModel):
    """What intents may ask for. `limit_minor`: currency (`*`: any other) → the most an intent may move, in minor units.

    Without limits any amount may be moved; a currency missing from them has 0. `scopes`: scope → the movement types it
    lets; without scopes any scope lets all of them, and one missing from them lets none.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    limit_minor: dict[str, Annotated[int, Field(ge=0, lt=10**15)]] | None = None
    scopes: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] | None = None

    @field_validator("limit_minor", mode="before")
    @classmethod
    def _one_for_all_currencies(cls, value: object) -> object:
        return {_ANY: value} if type(value) is int else value

    @field_validator("limit_minor")
    @classmethod
    def _known_currencies(cls, value: dict[str, int] | None) -> dict[str, int] | None:
        unknown = sorted((value or {}).keys() - vocabulary.currencies().keys() - {_ANY})
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not an ISO 4217 currency, nor {_ANY} for any")
        return value

    @field_validator("scopes")
    @classmethod
    def _known_movement_types(cls, value: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        for scope, allowed in (value or {}).items():
            unknown = [word for word in allowed if word not in MOVEMENT_TYPES]
            if unknown:
                raise ValueError(f"scope {scope}: {unknown[0]!r} is not one of {', '.join(MOVEMENT_TYPES)}")
        return value

    def digest(self) -> str:
        """Hex SHA-256 of the policy as canonical JSON."""
        content = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Check:
    """One rule as it was applied to an intent, and why it refuses where it does."""

    rule: str
    result: Literal["passed", "refused"]
    detail: str


@dataclass(frozen=True)
class Verdict:
    """Every rule that was applied, in order; one that refuses refuses the intent."""

    checks: tuple[Check, ...]
    digest: str

    @property
    def is_refused(self) -> bool:
        return any(check.result == REFUSED for check in self.checks)

    @property
    def deciding(self) -> Check:
        """The first rule that refuses, else the last that was passed."""
        return next((check for check in self.checks if check.result == REFUSED), self.checks[-1])

    def as_object(self) -> dict[str, Any]:
        """The verdict as it is recorded."""
        result = REFUSED if self.is_refused else PASSED
        told = [vars(check) for check in self.checks]
        return {"rule": self.deciding.rule, "result": result, "checks": told, "digest": self.digest}


def weigh(policy: IntentPolicy, intent: Intent) -> Verdict:
    """Apply every rule to an intent; what is refused is told, never raised."""
    checks = (
        _check("currency_check", _currency_refusal(intent), f"{intent.currency} is known"),
        _check("amount_check", _amount_refusal(intent), "it is positive"),
        _check("scope_check", _scope_refusal(policy, intent), f"{intent.scope} lets {intent.movement_type}"),
        _check("limit_check", _limit_refusal(policy, intent), _limit_detail(policy, intent)),
    )
    return Verdict(checks, policy.digest())


def check_scope(policy: IntentPolicy, scope: str) -> Verdict:
    """Apply the one rule that an intent without amount, currency or provider can be judged by: its scope is known."""
    is_known = policy.scopes is None or scope in policy.scopes
    refusal = None if is_known else f"scope {scope!r} is not one of the scopes in policy.yml"
    return Verdict((_check("scope_check", refusal, f"{scope} is a known scope"),), policy.digest())


def _check(rule: str, refusal: str | None, passed: str) -> Check:
    return Check(rule, PASSED, passed) if refusal is None else Check(rule, REFUSED, refusal)


def _currency_refusal(intent: Intent) -> str | None:
    return None if intent.currency in vocabulary.currencies() else f"{intent.currency} is not an ISO 4217 currency"


def _amount_refusal(intent: Intent) -> str | None:
    return None if intent.amount_minor > 0 else f"the amount has to be positive, and is {intent.amount_minor}"


def _scope_refusal(policy: IntentPolicy, intent: Intent) -> str | None:
    if policy.scopes is None or intent.movement_type in policy.scopes.get(intent.scope, ()):
        return None
    return f"scope {intent.scope!r} does not let {intent.movement_type}"


def _limit_refusal(policy: IntentPolicy, intent: Intent) -> str | None:
    limit = _limit(policy.limit_minor, intent.currency)
    if limit is None or intent.amount_minor <= limit:
        return None
    return f"{_told(intent.amount_minor, intent.currency)} is above the limit of {_told(limit, intent.currency)}"


def _limit_detail(policy: IntentPolicy, intent: Intent) -> str:
    limit = _limit(policy.limit_minor, intent.currency)
    return "there is no limit" if limit is None else f"it is within {_told(limit, intent.currency)}"


def _limit(limits: Mapping[str, int] | None, currency: str) -> int | None:
    return None if limits is None else limits.get(currency, limits.get(_ANY, 0))


def _told(amount_minor: int, currency: str) -> str:
    known = currency in vocabulary.currencies()
    return money.amount_text(amount_minor, currency) if known else f"{amount_minor} {currency}"
