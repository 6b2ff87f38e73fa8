"""The policy decides who may do what: a second person, limits by role and currency, and a file that can only add."""

import re
from pathlib import Path

import pytest

from zentra_pipeline import vocabulary
from zentra_pipeline.cli import exception_decisions
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.decisions import policy
from zentra_pipeline.decisions.exception_state import ACTIONS, ExceptionState, possible
from zentra_pipeline.decisions.policy import DecisionStep, Policy, PolicyResult
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.settings import DBT_PROJECT, TenantPaths

OPEN = ExceptionState("exc_1")
PENDING = ExceptionState(
    "exc_1", status="pending_approval", proposed_resolution="written_off", proposed_by="ann", decisions=1
)
LIMITS = "limits: {approver: {USD: 100000, JPY: 0}, admin: 5000000}"


def read(text: str) -> Policy:
    return policy.parse_policy(strict_yaml.parse_mapping(text, "policy.yml"), "policy.yml")


def weighed(
    action: str,
    *,
    actor: str = "bob",
    role: str = "approver",
    resolution: str | None = None,
    amount: int | None = 500,
    currency: str | None = "USD",
    text: str = "",
    state: ExceptionState | None = None,
) -> PolicyResult:
    state = state or (PENDING if action == "approve" else OPEN)
    return policy.evaluate(read(text), state, DecisionStep(action, actor, role, resolution, currency, amount))


def test_without_a_file_write_offs_need_a_second_person_and_nothing_else_does(tmp_path: Path) -> None:
    rules = policy.load_policy(TenantPaths(tmp_path))
    assert rules == read("") == Policy()
    assert rules.second_person == ("written_off",)
    assert rules.closeout.second_person
    assert rules.closeout.prepare_after_minutes is None
    assert weighed("resolve", resolution="written_off").result == "pending_approval"
    assert weighed("resolve", resolution="false_positive").result == "resolved"


def test_a_file_may_ask_for_more(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(
        "second_person: [matched_manually, written_off]\ncloseout: {prepare_after_minutes: 120}\n", encoding="utf-8"
    )
    rules = policy.load_policy(TenantPaths(tmp_path))
    assert rules.second_person == ("matched_manually", "written_off")
    assert rules.closeout.prepare_after_minutes == 120


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("second_persons: [written_off]", "unknown key 'second_persons'; allowed are second_person, limits, closeout"),
        ("second_person: []", "written_off always needs a second person"),
        ("second_person: [matched_late, written_off]", "'matched_late' is not one of"),
        ("closeout: {second_person: false}", "always needs a second person"),
        ("closeout: {after: 3}", "unknown key 'closeout.after'"),
        ("limits: {boss: {USD: 1}}", "role 'boss' is not one of service, operator"),
        ("limits: {approver: {usd: 1}}", "'usd' is not an ISO 4217 currency"),
        ("limits: {approver: {USD: -1}}", "limits.approver.USD"),
        ("limits: {approver: {USD: 12.5}}", "limits.approver.USD"),
        ("limits: {approver: true}", "limits.approver"),
        ("limits: 3", "limits: "),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"policy\.yml: ") as refused:
        read(text)
    assert words in str(refused.value)


def test_a_limit_is_the_currencys_else_that_of_any_else_nothing() -> None:
    rules = read(LIMITS)
    assert (rules.limit("approver", "USD"), rules.limit("approver", "EUR")) == (100_000, 0)
    assert (rules.limit("admin", "EUR"), rules.limit("operator", "USD")) == (5_000_000, None)


def test_a_digest_is_of_the_policy_not_of_the_file() -> None:
    assert (
        read(LIMITS).digest()
        == read("# why\nlimits:\n  admin: {'*': 5000000}\n  approver: {JPY: 0, USD: 100000}").digest()
    )
    assert read(LIMITS).digest() != Policy().digest()


@pytest.mark.parametrize("amount", [100_000, -100_000, 0, None])
def test_up_to_the_limit_a_write_off_is_approved_and_the_log_says_by_which_rule(amount: int | None) -> None:
    verdict = weighed("approve", text=LIMITS, amount=amount)
    assert (verdict.result, verdict.resolution) == ("resolved", "written_off")
    assert verdict.passed == {
        "digest": read(LIMITS).digest(),
        "role": "approver",
        "rule": "second_person.written_off",
        "outcome": "approved",
        "proposed_by": "ann",
        "limit_minor": 100_000,
        "amount_minor": abs(amount or 0),
    }


@pytest.mark.parametrize(("amount", "currency"), [(100_001, "USD"), (-100_001, "USD"), (1, "JPY"), (1, "EUR")])
def test_above_the_limit_a_write_off_is_refused(amount: int, currency: str) -> None:
    with pytest.raises(RefusedError, match=r"limits\.approver"):
        weighed("approve", text=LIMITS, amount=amount, currency=currency)
    assert weighed("approve", text=LIMITS, amount=amount, currency=currency, role="admin").result == "resolved"


def test_a_limit_is_for_write_offs_only() -> None:
    pending = ExceptionState(
        "exc_1", status="pending_approval", proposed_resolution="matched_manually", proposed_by="ann"
    )
    text = f"second_person: [written_off, matched_manually]\n{LIMITS}"
    assert weighed("approve", text=text, amount=10**12, state=pending).resolution == "matched_manually"


@pytest.mark.parametrize("actor", ["ann", "ANN", " ann ", "\uff41nn"])
def test_nobody_approves_what_they_proposed_however_they_write_their_name(actor: str) -> None:
    with pytest.raises(RefusedError, match="ann proposed written_off, so somebody else has to approve it"):
        weighed("approve", actor=actor)


def test_the_maker_may_take_a_proposal_back() -> None:
    assert weighed("reject", actor="ann", state=PENDING).result == "investigating"


@pytest.mark.parametrize("is_forced", [True, False])
def test_a_match_against_the_amounts_needs_a_second_person_whatever_the_policy_says(is_forced: bool) -> None:
    state = ExceptionState("exc_1")
    step = policy.DecisionStep("match", "ann", "operator", "matched_manually", "USD", 500, is_forced)
    verdict = policy.evaluate(Policy(), state, step)
    assert (verdict.result, verdict.passed["rule"]) == (
        ("pending_approval", "second_person.forced") if is_forced else ("resolved", "roles.operator")
    )


def test_an_approved_match_against_the_amounts_says_so_and_meets_no_limit() -> None:
    pending = ExceptionState(
        "exc_1", status="pending_approval", proposed_resolution="matched_manually", proposed_by="ann"
    )
    step = policy.DecisionStep("approve", "bob", "approver", None, "USD", 10**12, is_forced=True)
    verdict = policy.evaluate(read(LIMITS), pending, step)
    assert (verdict.resolution, verdict.passed["rule"]) == ("matched_manually", "second_person.forced")
    assert "limit_minor" not in verdict.passed


WORK = "assign comment investigate dispute"
OPERATE = f"{WORK} resolve write_off accept_timing confirm_duplicate match split reject reopen"


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("service", WORK),
        ("operator", OPERATE),
        ("approver", f"{OPERATE} approve"),
        ("analyst", ""),
        ("admin", " ".join(ACTIONS)),
    ],
)
def test_a_role_may_do_this_and_nothing_else(role: str, actions: str) -> None:
    assert policy.ROLE_ACTIONS[role] == set(actions.split())
    for action in set(ACTIONS) - set(actions.split()) - {"approve", "reject", "reopen"}:
        with pytest.raises(RefusedError, match=f"bob acts as {role}, who may not {action}: have it done by"):
            weighed(action, role=role)


def test_an_unknown_role_is_misuse() -> None:
    with pytest.raises(UsageError, match="role 'root' is not known"):
        weighed("comment", role="root")


def guide() -> str:
    return (DBT_PROJECT.parent / "docs" / "guides" / "review.md").read_text(encoding="utf-8")


def table(*headings: str) -> list[list[str]]:
    """The rows of the guide's table with these headings, cells without back quotes."""
    lines = iter(guide().splitlines())
    assert any(line == f"| {' | '.join(headings)} |" for line in lines)
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    return rows


def test_the_guide_has_every_key_of_the_policy_with_its_default() -> None:
    closeout = {f"closeout.{name}": field.default for name, field in policy.CloseoutPolicy.model_fields.items()}
    assert {key: default for key, default, _ in table("key", "default", "meaning")} == {
        "second_person": "[written_off]",
        "limits": "none",
        "approvals_by_token": "false",
        "accounts": "none",
        "absences": "none",
        **{key: {True: "true", None: "null"}[default] for key, default in closeout.items()},
        "intents": "no limits",
    }


def test_the_guide_says_from_which_status_an_action_may_be_taken() -> None:
    statuses = vocabulary.values("exception_status")
    for action, reported, *_ in table("command", "from", "leads to", "needs"):
        allowed = [status for status in statuses if action in possible(ExceptionState("exc_1", status=status))]
        expected = "any" if len(allowed) == len(statuses) else ", ".join(allowed)
        assert reported.removesuffix(" by a person") == expected, action
    named = {row[0] for row in table("command", "from", "leads to", "needs")}
    assert named == {command.name for command in exception_decisions.COMMANDS}


def test_the_guide_has_every_role_and_every_type_whose_write_off_takes_an_item_out() -> None:
    assert [row[0] for row in table("role", "may")] == list(policy.ROLE_ACTIONS)
    listed = guide().partition("## Write-offs")[2].partition(") closes the item")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == vocabulary.unmatched_reasons()
