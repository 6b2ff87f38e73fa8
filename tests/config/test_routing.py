"""Routing: the first matching rule that sets a field decides it, and a rule that cannot work is refused."""

from pathlib import Path

import pytest

from zentra_pipeline import vocabulary
from zentra_pipeline.config import routing, strict_yaml
from zentra_pipeline.config.routing import Route, RoutingRule
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import TenantPaths

RULES = """
rules:
  - {exception_type: fee_variance, provider: rail_primary, lane: fees}
  - {currency: JPY, min_amount_minor: 1000, max_amount_minor: 5000, owner: tokyo_desk, sla_business_days: 1}
  - {exception_type: fee_variance, lane: never_reached, owner: treasury}
  - {provider: rail_backup, owner: backup_desk}
"""


def read(text: str) -> tuple[RoutingRule, ...]:
    return routing.parse_routing(strict_yaml.parse_mapping(text, "routing.yml"), "routing.yml")


def route(exception_type: str, provider: str, currency: str | None, amount_minor: int | None) -> Route:
    return routing.route(
        read(RULES),
        exception_type=exception_type,
        provider=provider,
        currency=currency,
        amount_minor=amount_minor,
        run_owner="finance_ops",
    )


def test_without_rules_the_types_lane_and_the_runs_owner_apply() -> None:
    default = vocabulary.exception_type("amount_mismatch")
    assert route("amount_mismatch", "rail_primary", "USD", 100) == Route(
        default.lane, "finance_ops", default.sla_business_days
    )


def test_each_field_comes_from_the_first_rule_that_sets_it() -> None:
    assert route("fee_variance", "rail_primary", "JPY", 2000) == Route("fees", "tokyo_desk", 1)
    assert route("fee_variance", "rail_primary", "USD", 2000).owner == "treasury"
    assert route("fee_variance", "rail_backup", "USD", 2000) == Route(
        "never_reached", "treasury", vocabulary.exception_type("fee_variance").sla_business_days
    )


@pytest.mark.parametrize(
    ("amount_minor", "owner"),
    [
        *((999, "finance_ops"), (1000, "tokyo_desk"), (5000, "tokyo_desk"), (5001, "finance_ops")),
        *((-1000, "tokyo_desk"), (-999, "finance_ops"), (None, "finance_ops")),
    ],
)
def test_amount_bounds_are_inclusive_and_without_sign(amount_minor: int | None, owner: str) -> None:
    assert route("amount_mismatch", "rail_primary", "JPY", amount_minor).owner == owner


def test_a_tenant_without_a_file_has_no_rules(tmp_path: Path) -> None:
    assert routing.load_routing(TenantPaths(tmp_path)) == ()


def test_rules_keep_the_order_of_the_file(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path)
    paths.routing.write_text(RULES, encoding="utf-8")
    assert [rule.lane or rule.owner for rule in routing.load_routing(paths)] == [
        "fees",
        "tokyo_desk",
        "never_reached",
        "backup_desk",
    ]


@pytest.mark.parametrize("text", ["", "rules:", "rules: []"])
def test_no_rules_are_fine(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rule: []", "unknown key 'rule'; allowed are rules, escalation"),
        ("escalation: {}", "escalation must be a list"),
        ("escalation: [{owner: a}]", "escalation rule 1: after_business_days: field required"),
        ("escalation: [{after_business_days: 0}]", "escalation rule 1: the rule sets nothing: give lane or owner"),
        ("escalation: [{after_business_days: -1, lane: a}]", "escalation rule 1: after_business_days: "),
        ("escalation: [{after_business_days: 0, lane: a, sla_business_days: 1}]", "unknown key 'sla_business_days'; "),
        ("escalation: [{after_business_days: 0, lane: a, currency: usd}]", "'usd' is not an ISO 4217 currency"),
        ("rules: {}", "rules must be a list"),
        ("rules: [fees]", "rule 1 must be a mapping"),
        ("rules: [{lane: a}, {lanes: b}]", "rule 2: unknown key 'lanes'; allowed are exception_type, "),
        ("rules: [{}]", "rule 1: the rule sets nothing"),
        ("rules: [{currency: USD}]", "the rule sets nothing"),
        ("rules: [{lane: ''}]", "rule 1: lane: "),
        ("rules: [{exception_type: other, lane: a}]", "exception_type: 'other' is not one of unmatched_provider_row"),
        ("rules: [{currency: usd, lane: a}]", "currency: 'usd' is not an ISO 4217 currency"),
        ("rules: [{provider: ../x, lane: a}]", "provider: provider '../x' is not allowed"),
        ("rules: [{min_amount_minor: -1, lane: a}]", "min_amount_minor: "),
        ("rules: [{min_amount_minor: 10.5, lane: a}]", "min_amount_minor: "),
        ("rules: [{min_amount_minor: 2, max_amount_minor: 1, lane: a}]", "the rule can never match"),
        ("rules: [{sla_business_days: -1}]", "sla_business_days: "),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_number_and_key(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=r"^routing\.yml: ") as refused:
        read(text)
    assert reason in str(refused.value)
