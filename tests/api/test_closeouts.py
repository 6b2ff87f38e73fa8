"""Closing a run over HTTP: blockers are named, two operators close, and what was sealed is emitted."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.api.conftest import Api, Books, run_story, serving
from zentra_pipeline.closeout.verify import verify
from zentra_pipeline.review.record import DecisionRequest, record_decision
from zentra_pipeline.tenants.tenant import Tenant


@pytest.fixture(scope="module")
def closing(own_books: Books) -> Iterator[tuple[Api, str]]:
    """The API of a home with one run that is to be closed, and the path of its closeout."""
    run_story(Tenant.of(own_books.home, "globex"))
    with serving(own_books) as served:
        run_id = served.as_("admin", "globex").items("/reconciliation/runs")[0]["id"]
        yield served, f"/reconciliation/runs/{run_id}/closeout"


def test_a_run_is_closed_by_two_operators_once_nothing_blocks_it(closing: tuple[Api, str], own_books: Books) -> None:
    api, path = closing
    operator, approver = api.as_("operator", "globex"), api.as_("approver", "globex")
    blocked = operator.post(path, {"action": "prepare"})
    assert (blocked.status_code, blocked.json()["type"]) == (409, "/problems/blocked")
    (blocker,) = blocked.json()["blockers"]
    assert blocker["kind"] == "open_exception"
    assert blocker["remedy"] == "resolve it, or accept it as timing"
    assert blocker["action"] == {
        "method": "POST",
        "path": f"/reconciliation/exceptions/{blocker['subject']}/decisions",
        "body": {"action": "resolve", "resolution": "<resolution>", "reason": "<reason>"},
    }
    assert operator.get(path).json()["closeout_status"] == "blocked"
    early = approver.post(path, {"action": "approve"})
    assert (early.status_code, early.json()["type"]) == (409, "/problems/conflict")
    assert early.json()["action"] == {"method": "POST", "path": path, "body": {"action": "prepare"}}
    assert "zentra " not in blocked.text + early.text  # no command in an answer over HTTP

    decision = {"action": "resolve", "resolution": "adjustment_required", "reason": "the ledger team will post it"}
    resolved = operator.post(f"/reconciliation/exceptions/{blocker['subject']}/decisions", decision)
    assert resolved.status_code == 200
    prepared = operator.post(path, {"action": "prepare"})
    assert (prepared.status_code, prepared.json()["status"], prepared.json()["is_new"]) == (200, "prepared", True)
    to_approve = prepared.json()["pending_approval"]
    assert [row["exception_id"] for row in to_approve["accepted"]["items"]] == [blocker["subject"]]
    assert operator.get(path).json()["pending_approval"] == to_approve
    (waiting,) = operator.items("/reconciliation/approvals")
    assert (waiting["kind"], waiting["closeout"]) == ("closeout", to_approve)
    assert operator.post(path, {"action": "approve"}).status_code == 403
    admin = api.as_("admin", "globex")
    assert admin.post(path, {"action": "prepare"}).json()["prepared_by"] == "operator_globex"

    sealed = approver.post(path, {"action": "approve"})
    assert (sealed.status_code, sealed.json()["status"]) == (200, "sealed")
    assert sealed.json()["evidence_root"] == prepared.json()["evidence_root"]
    again = approver.post(path, {"action": "approve"})
    assert (again.json()["seal_digest"], again.json()["is_new"]) == (sealed.json()["seal_digest"], False)
    assert operator.get(path).json()["pending_approval"] is None
    assert operator.items("/reconciliation/approvals") == []
    bundle = own_books.paths("globex").root / sealed.json()["bundle"]
    assert verify(bundle, own_books.home.trust).holds

    run_path = path.removesuffix("/closeout")
    evidence = api.as_("analyst", "globex").items(f"{run_path}/evidence")
    assert len(evidence) == sealed.json()["evidence_rows"]
    assert {row["closeout_id"] for row in evidence} == {sealed.json()["closeout_id"]}
    assert {row["closeout_status"] for row in evidence} == {"sealed"}
    reported = [event["type"] for event in api.as_("analyst", "globex").items(f"{run_path}/events", limit=2)]
    assert reported[0] == "reconciliation.run.created"
    assert reported[-1] == "reconciliation.closeout.completed"
    # As closed is a place in the log: what a clock that is behind dates back is none the less later.
    early = datetime(2020, 1, 1, tzinfo=UTC)
    for action, options in (("reopen", {"reason": "again"}), ("assign", {"owner": "somebody_else"})):
        later = DecisionRequest(blocker["subject"], action, "operator_globex", **options)
        record_decision(own_books.tenant("globex"), later, early)
    assert api.as_("analyst", "globex").items(f"{run_path}/evidence") == evidence


def test_whoever_prepared_does_not_approve(closing: tuple[Api, str]) -> None:
    api, path = closing
    approver = api.as_("approver", "acme")
    del path
    run_story(Tenant.of(api.books.home, "acme"))
    first = approver.items("/reconciliation/runs")[0]["id"]
    own = f"/reconciliation/runs/{first}/closeout"
    for row in approver.items(f"/reconciliation/runs/{first}/exceptions"):
        decision = {"action": "resolve", "resolution": "false_positive", "reason": "a story"}
        approver.post(f"/reconciliation/exceptions/{row['exception_id']}/decisions", decision)
    prepared = approver.post(own, {"action": "prepare"})
    assert prepared.status_code == 200, prepared.text
    alone = approver.post(own, {"action": "approve"})
    assert (alone.status_code, alone.json()["type"]) == (403, "/problems/refused")
    assert "second person" in alone.json()["detail"]


def test_what_belongs_to_preparing_is_refused_when_approving(closing: tuple[Api, str]) -> None:
    api, path = closing
    answer = api.as_("approver", "globex").post(path, {"action": "approve", "reason": "x"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
