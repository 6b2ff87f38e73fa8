"""Events of decisions and closeouts carry what their schemas say, and an id of their own for each fact."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.events import types
from zentra_pipeline.events.facts import closeout_event, exception_event
from zentra_pipeline.store.closeouts import Closeout

NOW = datetime(2026, 4, 27, 6, tzinfo=UTC)
EXCEPTION = {
    "exception_id": "exc_1",
    "exception_type": "amount_mismatch",
    "owner": "finance_ops",
    "due_at": datetime(2026, 4, 29),  # as the published table gives it: UTC without a zone
    "currency": "USD",
    "difference_minor": -50,
}
SEALED = Closeout(
    closeout_id="clo_1",
    run_id="run_1",
    revision=1,
    provider="rail_primary",
    settlement_file="set_2026_04_26",
    ledger_window="2026-04-26",
    run_revision=1,
    status="sealed",
    prepared_by="ada",
    prepared_at="2026-04-27T05:00:00.000000Z",
    approved_by="grace",
    sealed_at="2026-04-27T06:00:00.000000Z",
    evidence_root="a" * 64,
    evidence_rows=2,
    evidence_status="audit_ready",
    chain_sequence=1,
    seal_digest="b" * 64,
    previous_seal=None,
    amends=None,
    reason=None,
    bundle="closeouts/run_1/r1",
    evidence_path=None,
    evidence_sha256=None,
)


def decided(event_type: str, decision_id: str = "dec_1", **options: Any) -> dict[str, Any]:
    return exception_event(
        event_type,
        tenant="acme",
        exception=EXCEPTION,
        decision_id=decision_id,
        run_id="run_1",
        actor="ada",
        at=NOW,
        **options,
    )


@pytest.mark.parametrize("event_type", [types.EXCEPTION_ASSIGNED, types.EXCEPTION_RESOLVED, types.EXCEPTION_REOPENED])
def test_event_of_a_decision_carries_owner_deadline_and_difference(event_type: str) -> None:
    event = decided(event_type, reason="seen by the bank", resolution="written_off", owner="ops")
    jsonschema_rs.validator_for(types.json_schema(event_type), validate_formats=True).validate(event)
    assert (event["subject"], event["actor"], event["time"]) == ("exc_1", "ada", "2026-04-27T06:00:00.000000Z")
    assert event["data"]["due_at"] == "2026-04-29T00:00:00.000000Z"
    assert (event["data"]["owner"], event["data"]["difference_minor"]) == ("ops", -50)


def test_two_decisions_are_two_events_and_one_decision_is_one() -> None:
    first, again = decided(types.EXCEPTION_ASSIGNED, owner="ops"), decided(types.EXCEPTION_ASSIGNED, owner="ops")
    other = decided(types.EXCEPTION_ASSIGNED, "dec_2", owner="ops")
    assert first["id"] == again["id"] != other["id"]


def test_a_match_is_no_decision_about_an_exception() -> None:
    with pytest.raises(ZentraError, match="not the event of a decision"):
        decided(types.MATCH_CREATED)


def test_a_sealed_closeout_is_completed_and_one_that_amends_is_an_amendment() -> None:
    completed = closeout_event(tenant="acme", closeout=SEALED, actor="grace", at=NOW)
    later = replace(SEALED, closeout_id="clo_2", revision=2, amends="clo_1", reason="a late callback")
    amended = closeout_event(tenant="acme", closeout=later, actor="grace", at=NOW)
    assert [completed["type"], amended["type"]] == [types.CLOSEOUT_COMPLETED, types.CLOSEOUT_AMENDED]
    assert (amended["data"]["amends"], amended["data"]["reason"]) == ("clo_1", "a late callback")
    for event in (completed, amended):
        jsonschema_rs.validator_for(types.json_schema(event["type"]), validate_formats=True).validate(event)
    assert completed["id"] != amended["id"]
