"""Judges an intent by the tenant's policy: every rule, in order, with its reason. Pure; recording is intents'."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from zentra_pipeline import money, vocabulary
from zentra_pipeline.decisions.intent_policy import IntentPolicy
from zentra_pipeline.runtime.intent import Intent

PASSED: Final = "passed"
REFUSED: Final = "refused"
_ANY: Final = vocabulary.ANY_CURRENCY


@dataclass(frozen=True)
class Check:
    """One rule as it was applied to an intent, and why it refuses where it does."""

    rule: str
    result: Literal["passed", "refused"]
    detail: str


@dataclass(frozen=True)
class IntentPolicyResult:
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
        """The result as it is recorded."""
        result = REFUSED if self.is_refused else PASSED
        applied = [vars(check) for check in self.checks]
        return {"rule": self.deciding.rule, "result": result, "checks": applied, "digest": self.digest}


def evaluate(policy: IntentPolicy, intent: Intent) -> IntentPolicyResult:
    """Apply every rule to an intent; a refusal is a result, never raised."""
    checks = (
        _check("currency_check", _currency_refusal(intent), f"{intent.currency} is known"),
        _check("amount_check", _amount_refusal(intent), "it is positive"),
        _check("scope_check", _scope_refusal(policy, intent), f"{intent.scope} lets {intent.movement_type}"),
        _check("limit_check", _limit_refusal(policy, intent), _limit_detail(policy, intent)),
    )
    return IntentPolicyResult(checks, policy.digest())


def check_scope(policy: IntentPolicy, scope: str) -> IntentPolicyResult:
    """Apply the one rule that an intent without amount, currency or provider can be judged by: its scope is known."""
    is_known = policy.scopes is None or scope in policy.scopes
    refusal = None if is_known else f"scope {scope!r} is not one of the scopes in policy.yml"
    return IntentPolicyResult((_check("scope_check", refusal, f"{scope} is a known scope"),), policy.digest())


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
    asked, allowed = (_amount_text(amount, intent.currency) for amount in (intent.amount_minor, limit))
    return f"{asked} is above the limit of {allowed}"


def _limit_detail(policy: IntentPolicy, intent: Intent) -> str:
    limit = _limit(policy.limit_minor, intent.currency)
    return "there is no limit" if limit is None else f"it is within {_amount_text(limit, intent.currency)}"


def _limit(limits: Mapping[str, int] | None, currency: str) -> int | None:
    return None if limits is None else limits.get(currency, limits.get(_ANY, 0))


def _amount_text(amount_minor: int, currency: str) -> str:
    known = currency in vocabulary.currencies()
    return money.amount_text(amount_minor, currency) if known else f"{amount_minor} {currency}"
