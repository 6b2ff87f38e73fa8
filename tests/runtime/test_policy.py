"""What policy says of intents: limits by currency, scopes, and every rule on record."""

import pytest

from tests.runtime.asking import asked
from zentra_pipeline import vocabulary
from zentra_pipeline.config.strict_yaml import parse_mapping
from zentra_pipeline.decisions.intent_policy import MOVEMENT_TYPES, IntentPolicy
from zentra_pipeline.decisions.policy import Policy, parse_policy
from zentra_pipeline.errors import UsageError
from zentra_pipeline.runtime.intent import STAGES
from zentra_pipeline.runtime.intent_rules import evaluate

LIMITS = "intents:\n  limit_minor: {USD: 12500, JPY: 0}\n"
SCOPES = "intents:\n  scopes:\n    payments:transfer: [transfer]\n    payments:all: [transfer, refund]\n"


def policy(text: str) -> IntentPolicy:
    return parse_policy(parse_mapping(text, "policy.yml"), "policy.yml").intents


@pytest.mark.parametrize(
    ("text", "changes", "refusing"),
    [
        ("", {"amount_minor": 10**14}, None),
        ("", {"amount_minor": 0}, "amount_check"),
        ("", {"amount_minor": -1}, "amount_check"),
        ("", {"currency": "ZZZ"}, "currency_check"),
        (LIMITS, {"amount_minor": 12_500}, None),
        (LIMITS, {"amount_minor": 12_501}, "limit_check"),
        (LIMITS, {"amount_minor": 1, "currency": "JPY"}, "limit_check"),
        (LIMITS, {"amount_minor": 1, "currency": "EUR"}, "limit_check"),
        ("intents:\n  limit_minor: 5\n", {"amount_minor": 5, "currency": "EUR"}, None),
        ("intents:\n  limit_minor: 5\n", {"amount_minor": 6, "currency": "EUR"}, "limit_check"),
        (SCOPES, {}, None),
        (SCOPES, {"movement_type": "refund"}, "scope_check"),
        (SCOPES, {"scope": "payments:all", "movement_type": "refund"}, None),
        (SCOPES, {"scope": "payments:ALL"}, "scope_check"),
        (SCOPES, {"scope": "", "movement_type": "transfer"}, "scope_check"),
    ],
)
def test_the_first_rule_that_refuses_decides(text: str, changes: dict[str, object], refusing: str | None) -> None:
    verdict = evaluate(policy(text), asked(**changes))
    assert verdict.is_refused == (refusing is not None)
    assert [check.rule for check in verdict.checks if check.result == "refused"][:1] == ([refusing] if refusing else [])
    assert len(verdict.checks) == 4


def test_a_refusal_says_how_much_was_asked_and_how_much_is_let() -> None:
    verdict = evaluate(policy(LIMITS), asked(amount_minor=12_501))
    assert verdict.deciding.detail == "125.01 USD is above the limit of 125.00 USD"


def test_every_rule_that_refuses_is_named() -> None:
    result = evaluate(
        policy(LIMITS + SCOPES.removeprefix("intents:\n")), asked(scope="other", currency="ZZZ")
    ).as_object()
    assert (result["rule"], result["result"]) == ("currency_check", "refused")
    assert [check["result"] for check in result["checks"]] == ["refused", "passed", "refused", "refused"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("intents:\n  limit_minor: {XYZ: 1}\n", "'XYZ' is not an ISO 4217 currency"),
        ("intents:\n  limit_minor: {USD: -1}\n", "greater than or equal to 0"),
        ("intents:\n  limit_minor: {USD: '1'}\n", "valid integer"),
        ("intents:\n  scopes: {all: [chargeback]}\n", "'chargeback' is not one of transfer"),
        ("intents:\n  limits: {USD: 1}\n", "unknown key 'intents.limits'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        policy(text)


def test_what_intents_may_ask_for_is_no_part_of_the_review_policys_digest() -> None:
    assert parse_policy(parse_mapping(LIMITS, "p"), "p").digest() == Policy().digest()
    assert policy(LIMITS).digest() != IntentPolicy().digest()


def test_stages_and_movement_types_are_those_of_the_vocabulary() -> None:
    assert vocabulary.values("stage") == STAGES
    assert set(MOVEMENT_TYPES) <= set(vocabulary.values("movement_type"))
