"""Somebody who stands in for an absent approver has their role for those days, and approves nothing of either's own."""

from datetime import UTC, date, datetime

import pytest

from zentra_pipeline.actors import Origin
from zentra_pipeline.api.security import APPROVE, KEEP_WEBHOOKS, Caller, in_their_place
from zentra_pipeline.decisions.exception_state import ExceptionState
from zentra_pipeline.decisions.policy import DecisionStep, Policy, evaluate, parse_policy
from zentra_pipeline.errors import ConfigurationError, RefusedError
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

MAY = {"actor": "dora", "delegate": "olga", "first_day": "2026-05-01", "last_day": "2026-05-14"}
WAITING = ExceptionState(
    "exc_1", status="pending_approval", proposed_resolution="written_off", proposed_by="ann", owner="o", decisions=1
)


def policy(**more: object) -> Policy:
    return parse_policy({"absences": [MAY | more], "limits": {"approver": {"USD": 100}}}, "policy.yml")


def approval(in_place_of: str | None, proposed_by: str = "ann", amount: int = 100) -> str:
    state = ExceptionState(**{**vars(WAITING), "proposed_by": proposed_by})
    origin = Origin("token", in_place_of=in_place_of)
    step = DecisionStep("approve", "olga", "approver", None, "USD", amount, origin=origin)
    return evaluate(policy(), state, step).result


@pytest.mark.parametrize(
    ("day", "actor", "role", "found"),
    [
        (date(2026, 4, 30), "olga", "operator", False),
        (date(2026, 5, 1), "olga", "operator", True),
        (date(2026, 5, 14), "olga", "operator", True),
        (date(2026, 5, 15), "olga", "operator", False),
        (date(2026, 5, 2), "olga", "analyst", False),
        (date(2026, 5, 2), "Olga", "operator", False),
    ],
)
def test_a_delegate_acts_for_those_days_alone(day: date, actor: str, role: str, found: bool) -> None:
    assert (policy().delegation(actor, role, day) is not None) == found


def test_nobody_acts_for_two_people_at_once() -> None:
    dan = MAY | {"actor": "dan", "first_day": "2026-05-14", "last_day": "2026-05-20"}
    with pytest.raises(ConfigurationError, match="olga would act for dora and dan on the same days"):
        parse_policy({"absences": [MAY, dan]}, "policy.yml")
    parse_policy({"absences": [MAY, dan | {"first_day": "2026-05-15"}]}, "policy.yml")
    parse_policy({"absences": [MAY, dan | {"delegate": "otto"}]}, "policy.yml")


def test_a_delegate_approves_within_the_limit_of_the_role_and_nothing_of_either_s_own() -> None:
    assert approval("dora") == "resolved"
    with pytest.raises(RefusedError, match="above the"):
        approval("dora", amount=101)
    with pytest.raises(RefusedError, match="Dora proposed it, so whoever acts in their place"):
        approval("dora", proposed_by="Dora")
    with pytest.raises(RefusedError, match="olga proposed"):
        approval("dora", proposed_by="olga")


def test_over_http_the_caller_has_the_role_and_the_log_says_in_whose_place(tmp_path: object) -> None:
    home = Home.at(str(tmp_path))
    tenancy.init_home(home)
    tenant: Tenant = tenancy.add_tenant(home, "acme", datetime(2026, 5, 1, tzinfo=UTC))
    olga = Caller(tenant, "olga", "operator", "tok_1")
    may_2 = datetime(2026, 5, 2, tzinfo=UTC)
    assert in_their_place(olga, may_2) == olga
    absence = "absences: [{actor: dora, delegate: olga, first_day: '2026-05-01', last_day: '2026-05-14'}]\n"
    tenant.paths.policy.write_text(absence, encoding="utf-8")
    acting = in_their_place(olga, may_2)
    assert (acting.role, acting.may(APPROVE), acting.may(KEEP_WEBHOOKS)) == ("approver", True, True)
    assert acting.origin.content() == {"via": "token", "token_id": "tok_1", "in_place_of": "dora"}
    assert in_their_place(olga, datetime(2026, 5, 15, tzinfo=UTC)) == olga
    tenant.paths.policy.write_text("absences: [{}]\n", encoding="utf-8")
    assert in_their_place(olga, may_2) == olga


def test_the_digest_of_a_policy_without_absences_is_what_it_always_was() -> None:
    assert Policy().digest() == parse_policy({"absences": []}, "policy.yml").digest()
    assert policy().digest() != parse_policy({"limits": {"approver": {"USD": 100}}}, "policy.yml").digest()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"delegate": "Dora"}, "their own delegate"),
        ({"last_day": "2026-04-30"}, "is before"),
        ({"role": "analyst"}, "approves nothing"),
        ({"first_day": "soon"}, "first_day"),
    ],
)
def test_an_absence_that_cannot_be_is_refused(more: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        policy(**more)
