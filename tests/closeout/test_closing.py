"""Claims about closing: who may, what blocks it, what is sealed, and what a later fact does to a seal."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.closeout.closed_world import LINES, NOON, approve, clean_world, close, copied, monday, prepare, verified
from tests.scenarios.rows import MON, TUE, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import remedies
from zentra_pipeline.actors import PROGRAM
from zentra_pipeline.cli import invoke
from zentra_pipeline.closeout import calendar, closing, verify
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.desk import closing_windows, deciding
from zentra_pipeline.errors import OutdatedError, RefusedError, UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import movement_history
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.upkeep import doctor
from zentra_pipeline.upkeep.rebuild import EQUAL, rebuild
from zentra_pipeline.upkeep.reperform import reperform

LATER = NOON + timedelta(days=1)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> World:
    return clean_world(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def world(clean: World, tmp_path: Path) -> World:
    return copied(clean, tmp_path)


def state(world: World) -> tuple[str, str]:
    with world.tenant.reading() as connection:
        run = run_store.get(connection, monday(world))
    return run.status, run.closeout_status


def sealed_files(world: World, revision: int) -> dict[str, bytes]:
    bundle = world.paths.closeouts / monday(world) / f"r{revision}"
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}


def only_exception(world: World) -> dict[str, Any]:
    (row,) = world.query("select * from exceptions where status <> 'resolved'")
    return row


@pytest.mark.on_postgresql
def test_one_prepares_another_approves_and_the_seal_verifies(world: World) -> None:
    prepared = prepare(world, "alice")
    assert (prepared.status, state(world)) == ("prepared", ("closing", "prepared"))
    sealed = approve(world, "bob")
    assert (sealed.status, state(world)) == ("sealed", ("closed", "sealed"))
    assert sealed.closeout is not None
    assert prepared.closeout is not None
    assert sealed.closeout.evidence_root == prepared.closeout.evidence_root
    assert verified(world).holds


@pytest.mark.parametrize("approver", ["alice", "Alice", " alice ", "ａlice"])
def test_who_prepared_cannot_approve_under_any_spelling(world: World, approver: str) -> None:
    prepare(world, "alice")
    with pytest.raises(RefusedError, match="a second person"):
        approve(world, approver)
    assert state(world) == ("closing", "prepared")


def test_nothing_is_approved_that_nobody_prepared(world: World) -> None:
    with pytest.raises(RefusedError, match="nothing is prepared"):
        approve(world)
    assert not world.paths.closeouts.exists()


def test_an_open_exception_blocks_until_it_is_resolved_and_is_named_with_its_remedy(world: World) -> None:
    world.add(*LINES, settle("L9", "R9", 999))
    world.make(MON)
    blocked = prepare(world)
    assert (blocked.status, state(world)[1]) == ("blocked", "blocked")
    (blocker,) = blocked.blockers
    found = only_exception(world)
    assert (blocker.kind, blocker.subject) == ("open_exception", found["exception_id"])
    assert remedies.command(blocker.remedy, "acme") == (
        f"zentra exceptions resolve {found['exception_id']} --tenant acme --actor ACTOR --resolution RESOLUTION "
        "--reason REASON"
    )
    decide(world, found["exception_id"], "resolve", "alice", resolution="provider_error_confirmed", reason="their memo")
    assert prepare(world).status == "prepared"


def test_an_open_exception_of_an_earlier_run_blocks_the_run_that_carries_its_item(world: World) -> None:
    """The earlier run's own tables are another matter: what it matched and a callback misses is not carried."""
    world.add(*LINES, settle("L9", "R9", 999), settle("L8", "R8", 80), post("T8", "R8", 80))
    world.make(MON)
    world.add(settle("L7", "R7", 70, on=TUE), post("T7", "R7", 70, on=TUE), call("E7", "R7", 70, on=TUE))
    world.make(TUE)
    open_now = {row["exception_type"]: row["exception_id"] for row in world.query("select * from exceptions")}
    assert set(open_now) == {"unmatched_provider_row", "missing_callback"}
    tuesday = run_store.run_id_of(TENANT, world.provider, settlement_file(TUE), date.fromisoformat(TUE))

    def prepare_tuesday() -> closing.CloseoutResult:
        with candidates.of_run(world.tenant, tuesday) as candidate:
            return closing.prepare(candidate, "alice", NOON)

    (blocker,) = prepare_tuesday().blockers
    assert (blocker.kind, blocker.subject) == ("open_exception", open_now["unmatched_provider_row"])
    assert blocker.explanation.endswith(f"; run {monday(world)} opened it")
    decide(world, blocker.subject, "resolve", "alice", resolution="accepted_timing", reason="posted tomorrow")
    assert prepare_tuesday().status == "prepared"


def decide(world: World, exception_id: str, action: str, actor: str, **options: Any) -> None:
    deciding.decide(world.tenant, DecisionRequest(exception_id, action, actor, **options), NOON)


def test_a_write_off_blocks_until_a_second_person_approves_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    world.add(*LINES, settle("L9", "R9", 999))
    world.make(MON)
    found = only_exception(world)["exception_id"]
    decide(world, found, "resolve", "alice", resolution="written_off", reason="too small to chase")
    (blocker,) = prepare(world).blockers
    assert (blocker.remedy.intent, blocker.remedy.about) == ("approve_exception", {"exception_id": found})
    monkeypatch.setenv("ZENTRA_HOME", str(world.home.root))
    assert invoke(["close", "--tenant", TENANT, "--run", monday(world), "--actor", "alice"]) == 3
    printed = capsysbinary.readouterr().err.decode()
    assert printed.startswith("Not closed: 1 blocker:\n")
    assert "→ have a second person approve or reject it: zentra exceptions approve" in printed
    decide(world, found, "approve", "bob")
    assert prepare(world).status == "prepared"


def test_a_type_that_does_not_block_stays_open_in_the_closeout(world: World) -> None:
    world.add(
        *LINES, settle("L9", "R9", 999), post("T9", "R9", 999), call("E9", "R9", 999, received="2026-04-21T06:00:00Z")
    )
    world.make(MON, as_of="2026-04-21T12:00:00Z")
    assert only_exception(world)["exception_type"] == "late_callback"
    assert close(world).status == "sealed"
    (reported,) = rows(world, 1, "exceptions")
    assert (reported["exception_type"], reported["status"], reported["owner"]) == (
        "late_callback",
        "open",
        "finance_ops",
    )


def rows(world: World, revision: int, name: str) -> list[dict[str, Any]]:
    content = sealed_files(world, revision)[f"files/{name}.jsonl"]
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.on_postgresql
def test_quarantined_rows_block_until_somebody_answers_for_them(world: World) -> None:
    world.add(*LINES, settle("L9", "R9", 999, currency="usd"))
    world.make(MON)
    (blocker,) = prepare(world).blockers
    assert blocker.kind == "quarantined_rows"
    assert prepare(world, accepted="the provider confirmed a test row").status == "prepared"
    approve(world)
    (decision,) = [row for row in rows(world, 1, "decisions") if row["action"] == "accept_quarantine"]
    assert (decision["actor"], decision["reason"]) == ("alice", "the provider confirmed a test row")
    payload = verify.verify(world.paths.closeouts / monday(world) / "r1", world.home.trust).seals[0].payload
    (check,) = [check for check in payload["policy"]["checks"] if check["name"] == "quarantined_rows"]
    assert (check["result"], check["detail"]) == ("accepted", "the provider confirmed a test row")


def test_facts_that_came_after_the_run_block_until_it_is_run_again(world: World) -> None:
    world.post("T9", "R9", 100)
    world.deliver()
    (blocker,) = prepare(world).blockers
    assert blocker.kind == "newer_facts"
    world.make(MON)
    assert prepare(world).status == "prepared"


def test_facts_that_change_nothing_stop_blocking_once_the_run_has_seen_them(world: World) -> None:
    world.add(post("T1", "R1", 500))  # the same posting once more
    world.ingest("callbacks", "again", [call("E1", "R1", 500)])
    assert {blocker.kind for blocker in prepare(world).blockers} == {"newer_facts"}
    world.make(MON)
    assert prepare(world).status == "prepared"


def test_an_amendment_names_no_file_that_was_there_before_the_seal_and_changed_nothing(world: World) -> None:
    world.ingest("ledger", "ledger_again", list(post("T1", "R1", 500)))
    world.make(MON)
    assert close(world).status == "sealed"
    world.ingest("ledger", "ledger_late", list(post("T9", "R9", 100)))
    world.make(MON)
    amended = prepare(world).closeout
    assert amended is not None
    assert amended.reason == "late ledger posting (ledger_late)"


def test_facts_of_a_later_window_do_not_block(world: World) -> None:
    world.add(post("T9", "R9", 100, on=TUE), call("E9", "R9", 100, on=TUE, received="2026-04-28T10:00:00Z"))
    world.deliver()
    assert prepare(world).status == "prepared"


def test_closing_again_changes_nothing(world: World) -> None:
    first = close(world)
    files = sealed_files(world, 1)
    again, approved = prepare(world, "carol", LATER), approve(world, "dave", LATER)
    assert (again.is_new, approved.is_new) == (False, False)
    assert again.closeout == approved.closeout == first.closeout
    assert sealed_files(world, 1) == files


@pytest.mark.on_postgresql
def test_preparing_again_keeps_the_first_preparer(world: World) -> None:
    prepare(world, "alice")
    again = prepare(world, "carol", LATER)
    assert again.closeout is not None
    assert (again.is_new, again.closeout.prepared_by) == (False, "alice")
    assert len(world.query("select * from decisions")) == 1


@pytest.mark.on_postgresql
def test_a_new_revision_withdraws_what_was_prepared(world: World) -> None:
    prepare(world)
    world.add(post("T9", "R9", 100))
    world.make(MON)
    assert state(world) == ("in_review", "open")
    with pytest.raises(RefusedError, match="nothing is prepared"):
        approve(world)


def test_a_decision_after_the_preparation_that_changes_the_owner_has_to_be_prepared_again(world: World) -> None:
    world.add(
        *LINES, settle("L9", "R9", 999), post("T9", "R9", 999), call("E9", "R9", 999, received="2026-04-21T06:00:00Z")
    )
    world.make(MON, as_of="2026-04-21T12:00:00Z")
    prepare(world)
    decide(world, only_exception(world)["exception_id"], "assign", "alice", owner="treasury")
    with pytest.raises(RefusedError, match="prepare it again"):
        approve(world)
    assert not (world.paths.closeouts / monday(world) / "r1").exists()
    prepare(world)
    assert approve(world).status == "sealed"


@pytest.mark.on_postgresql
def test_a_late_callback_amends_the_closeout_and_leaves_the_sealed_files_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500))
    world.make(MON)
    missing = only_exception(world)
    decide(world, missing["exception_id"], "resolve", "alice", resolution="accepted_timing", reason="announced")
    close(world)
    before = sealed_files(world, 1)
    world.call("E1", "R1", 500, received="2026-04-21T09:00:00Z")
    world.make(MON, as_of="2026-04-21T12:00:00Z")
    assert state(world) == ("in_review", "sealed")
    first, again, other = (prepare(world, "carol", LATER, reason=reason) for reason in (None, None, "told by phone"))
    assert [each.is_new for each in (first, again, other)] == [True, False, True]
    assert other.closeout is not None
    assert other.closeout.reason == "told by phone"  # it was kept as first prepared, without a word
    assert not prepare(world, "dora", LATER).is_new
    assert prepare(world, "carol", LATER, reason="late callback (callbacks_2)").is_new
    amended = approve(world, "bob", LATER).closeout
    assert amended is not None
    assert (amended.revision, amended.reason) == (2, "late callback (callbacks_2)")
    assert sealed_files(world, 1) == before
    first, second = world.query("select * from closeouts order by revision")
    assert (first["status"], second["status"], second["amends"]) == ("amended", "sealed", first["closeout_id"])
    assert (second["previous_seal"], second["prepared_by"], second["approved_by"]) == (
        first["seal_digest"],
        "carol",
        "bob",
    )
    as_closed = world.query(
        "select revision, exception_type, exceptions_as_closed.status, resolution from exceptions_as_closed "
        "inner join closeouts using (closeout_id) order by revision, exception_type"
    )
    assert [tuple(row.values()) for row in as_closed] == [
        (1, "missing_callback", "resolved", "accepted_timing"),
        (2, "late_callback", "open", None),
        (2, "missing_callback", "resolved", "accepted_timing"),
    ]
    assert verified(world).holds
    decided = [entry for entry in movement_history.history_of(world.paths, "R1").entries if entry.kind == "decision"]
    assert [(entry.actor, missing["exception_id"] in entry.sentence) for entry in decided] == [("alice", True)]


@pytest.mark.parametrize(
    ("kind", "rows", "reason"),
    [
        ("settlement", [settle("L1", "R1", 500, fee=1)], "restated settlement file (set_2026_04_20)"),
        ("ledger", list(post("T9", "R9", 900)), "late ledger posting (ledger_9)"),
    ],
)
def test_a_restated_file_and_a_late_posting_amend_as_well(
    world: World, kind: str, rows: list[Any], reason: str
) -> None:
    close(world)
    world.ingest(kind, settlement_file(MON) if kind == "settlement" else "ledger_9", rows)
    world.make(MON)
    amended = close(world, LATER).closeout
    assert amended is not None
    assert (amended.revision, amended.reason, amended.amends is not None) == (2, reason, True)
    assert verified(world).holds


@pytest.mark.on_postgresql
def test_a_window_without_activity_is_closed_as_one_and_distinguished_from_one_with_activity(world: World) -> None:
    sunday, monday_ = date(2026, 4, 19), date(2026, 4, 20)

    def idle(step: Any, actor: str) -> closing.CloseoutResult:
        with candidates.of_idle_window(world.tenant, world.provider, sunday, actor, NOON) as candidate:
            outcome: closing.CloseoutResult = step(candidate, actor, NOON)
            return outcome

    idle(closing.prepare, "alice")
    with pytest.raises(RefusedError, match="a second person"):
        idle(closing.approve, "alice")
    sealed = idle(closing.approve, "bob").closeout
    assert sealed is not None
    assert sealed.evidence_rows == 0
    assert verified(world).holds
    assert {report.payload["has_activity"] for report in verified(world).seals} == {False}
    with (
        pytest.raises(UsageError, match="has run"),
        candidates.of_idle_window(world.tenant, world.provider, monday_, "alice", NOON),
    ):
        pass


def test_a_window_that_is_not_over_is_not_closed_as_one_without_activity(world: World) -> None:
    """A mistyped year was sealed as a day on which nothing happened, as of an instant still to come."""
    tuesday, ends_at = date(2026, 4, 21), datetime(2026, 4, 22, tzinfo=UTC)
    for now in (NOON, ends_at - timedelta(seconds=1)):
        with (
            pytest.raises(RefusedError, match="is not over before 2026-04-22T00:00:00"),
            candidates.of_idle_window(world.tenant, world.provider, tuesday, "alice", now),
        ):
            pass
    with candidates.of_idle_window(world.tenant, world.provider, tuesday, "alice", ends_at) as case:
        assert closing.prepare(case, "alice", ends_at).status == "prepared"


def test_a_provider_that_nobody_has_heard_of_has_no_window_to_close(world: World) -> None:
    with (
        pytest.raises(UsageError, match="has no provider 'nope': no profile, no file and no run names it"),
        candidates.of_idle_window(world.tenant, "nope", date(2026, 4, 19), "alice", NOON),
    ):
        pass
    world.paths.providers.joinpath("nope.yml").write_text("{}")
    with candidates.of_idle_window(world.tenant, "nope", date(2026, 4, 19), "alice", NOON) as case:
        assert closing.prepare(case, "alice", NOON).status == "prepared"


def test_rows_of_a_window_keep_it_from_being_closed_as_one_without_activity(world: World) -> None:
    world.add(post("T9", "R9", 100, on=TUE))
    world.deliver()
    with candidates.of_idle_window(world.tenant, world.provider, date.fromisoformat(TUE), "alice", LATER) as candidate:
        (blocker,) = closing.prepare(candidate, "alice", LATER).blockers
    assert (blocker.kind, blocker.explanation) == ("activity", "2 ledger entries belong to the window")


def test_the_calendar_shows_every_expected_window(world: World) -> None:
    close(world)
    assert calendar.span(world.tenant, world.provider) == (date(2026, 4, 20), date(2026, 4, 20))
    found = calendar.windows(world.tenant, world.provider, date(2026, 4, 17), date(2026, 4, 21))
    assert [(item.ledger_window, item.state) for item in found] == [
        ("2026-04-17", "missing"),
        ("2026-04-20", "sealed"),
        ("2026-04-21", "missing"),
    ]
    world.add(post("T9", "R9", 100))
    world.make(MON)
    (item,) = calendar.windows(world.tenant, world.provider, date(2026, 4, 20), date(2026, 4, 20))
    assert item.state == "reopened"


@pytest.mark.on_postgresql
def test_seals_form_one_chain_over_windows_and_amendments(world: World) -> None:
    close(world)
    world.add(settle("L5", "R2", 700, on=TUE), call("E5", "R2", 700, on=TUE))
    world.make(TUE)
    run_id = run_store.run_id_of(TENANT, world.provider, settlement_file(TUE), date.fromisoformat(TUE))
    for step, actor in ((closing.prepare, "alice"), (closing.approve, "bob")):
        with candidates.of_run(world.tenant, run_id) as candidate:
            step(candidate, actor, LATER)
    sequences = world.query("select chain_sequence, previous_seal, seal_digest from closeouts order by 1")
    assert [row["chain_sequence"] for row in sequences] == [1, 2]
    assert sequences[1]["previous_seal"] == sequences[0]["seal_digest"]
    shutil.rmtree(world.paths.closeouts / run_id)
    assert not verified(world).holds


def test_the_same_facts_close_to_the_same_root_in_any_order_of_arrival(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    for row in reversed([settle("L1", "R1", 500), *post("T1", "R1", 500), call("E1", "R1", 500)]):
        other.add(row)
        other.deliver()
    other.add(settle("L2", "", -30, type="fee"), post("T2", "R2", 700))
    other.make(MON)
    one, two = close(world, NOON).closeout, close(other, LATER).closeout
    assert one is not None
    assert two is not None
    assert one.evidence_root == two.evidence_root


def test_evidence_says_what_is_missing_to_be_audit_ready(world: World) -> None:
    close(world)
    found = world.query(
        "select ledger_entry, evidence_status, missing from closeout_evidence order by line_id nulls last"
    )
    assert [(row["evidence_status"], row["missing"]) for row in found] == [
        ("incomplete", "intent, actor, scope, policy_result"),
        ("incomplete", "provider_reference, ledger_entry, intent, actor, scope, policy_result, signature"),
        ("incomplete", "settlement_file, intent, actor, scope, policy_result, signature"),
    ]


def test_a_movement_with_intent_policy_and_verified_signature_is_audit_ready(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500, intent="I1"), call("E1", "R1", 500, verified=True))
    world.deliver()
    stage = {
        "event_id": "S1",
        "intent_id": "I1",
        "stage": "controlled",
        "actor": "till_7",
        "scope": "payments:create",
        "policy": "limits_v3",
        "policy_result": "passed",
        "occurred_at": "2026-04-20T09:00:00Z",
        "transaction_id": "T1",
    }
    path = world.inbox / "stages.jsonl"
    path.write_text(json.dumps(stage) + "\n", encoding="utf-8")
    from zentra_pipeline.ingest.files import ingest_files

    ingest_files(
        world.tenant,
        provider=world.provider,
        kind="internal_events",
        files=[path],
        file_id=None,
        format="canonical",
        now=datetime(2026, 5, 1, tzinfo=UTC),
    )
    world.make(MON)
    close(world)
    (row,) = rows(world, 1, "evidence")
    assert row == {
        "actor": "till_7",
        "closeout_status": "sealed",
        "evidence_status": "audit_ready",
        "exception_owner": None,
        "intent_id": "I1",
        "ledger_entry": row["ledger_entry"],
        "policy": "limits_v3",
        "provider_reference": "R1",
        "run_id": monday(world),
        "scope": "payments:create",
        "settlement_file": settlement_file(MON),
        "signature": "verified",
    }


def test_what_blocks_the_approval_brings_the_run_back_into_review(world: World) -> None:
    """It stayed `closing` with nothing prepared, and no callback had it made again."""
    prepare(world)
    world.post("T9", "R9", 100)
    world.deliver()
    assert approve(world).status == "blocked"
    assert state(world) == ("in_review", "blocked")


def test_a_run_that_failed_since_it_was_prepared_is_not_sealed(world: World) -> None:
    prepare(world)
    with world.tenant.writing() as connection:
        run_store.transition(connection, monday(world), "ingesting", "ana", NOON)
        run_store.transition(connection, monday(world), "failed", "ana", NOON, "a model failed")
    (blocker,) = approve(world).blockers
    assert (blocker.kind, blocker.explanation) == ("run_not_in_review", "it is failed: a model failed")
    assert state(world) == ("failed", "blocked")


@pytest.mark.on_postgresql
def test_who_answers_for_quarantined_rows_says_why_and_is_recorded_once(world: World) -> None:
    world.add(*LINES, settle("L9", "R9", 999, currency="usd"))
    world.make(MON)
    with pytest.raises(UsageError, match="blank"):
        prepare(world, accepted=" ")
    assert [prepare(world, accepted="a test row").is_new for _ in range(3)] == [True, False, False]
    actions = [row["action"] for row in world.query("select action from decisions order by decided_at")]
    assert sorted(actions) == ["accept_quarantine", "prepare_closeout"]


@pytest.mark.on_postgresql
def test_only_what_was_looked_at_is_approved_also_where_it_is_sealed_already(world: World) -> None:
    first = prepare(world).closeout
    assert first is not None
    stale = {first.closeout_id: "2026-04-21T11:00:00.000000Z"}
    for seen in (stale, {}):
        with pytest.raises(OutdatedError, match="look again"):
            approve(world, seen=seen)
    assert approve(world, seen={first.closeout_id: first.prepared_at}).is_new
    assert not approve(world, "carol", seen={first.closeout_id: first.prepared_at}).is_new
    with pytest.raises(OutdatedError, match="look again"):
        approve(world, "carol", seen=stale)


def test_a_window_prepared_again_while_a_month_is_approved_is_not_sealed_unseen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at was once compared before the provider was locked."""
    world.add(
        *LINES, settle("L9", "R9", 999), post("T9", "R9", 999), call("E9", "R9", 999, received="2026-04-21T06:00:00Z")
    )
    world.make(MON, as_of="2026-04-21T12:00:00Z")
    prepared = prepare(world).closeout
    assert prepared is not None
    looked = closing_windows.to_approve

    def then_prepared_again(*arguments: Any) -> Any:
        found = looked(*arguments)
        decide(world, only_exception(world)["exception_id"], "assign", "alice", owner="treasury")
        assert prepare(world, now=LATER).is_new
        return found

    monkeypatch.setattr(closing_windows, "to_approve", then_prepared_again)
    seen = {prepared.closeout_id: prepared.prepared_at}
    (outcome,) = closing_windows.approve(world.tenant, MON[:7], "bob", LATER, PROGRAM, seen=seen)
    assert outcome.status == "refused"
    assert "not what was looked at" in str(outcome.detail)


def test_each_closeout_that_was_looked_at_has_an_outcome_when_a_month_is_approved(world: World) -> None:
    """One that was withdrawn, or sealed by somebody else meanwhile, was left out of the answer without a word."""

    def approved(seen: dict[str, str], day: str | None = None) -> Any:
        wanted = closing_windows.Wanted(ledger_window=day)
        done = closing_windows.approve(world.tenant, MON[:7], "bob", LATER, PROGRAM, wanted, seen=seen)
        return [(each.ledger_window, each.run_id, each.status, each.detail) for each in done]

    prepared = prepare(world).closeout
    assert prepared is not None
    seen, run_id = {prepared.closeout_id: prepared.prepared_at}, monday(world)
    assert approved(seen, TUE) == [(MON, run_id, "refused", "it is of no window that is asked for")]
    world.add(post("T9", "R9", 100))
    world.make(MON)
    withdrawn = "it is not prepared any more: see what blocks it now"
    assert approved(seen) == [(MON, run_id, "refused", withdrawn)]
    close(world, LATER)
    stale = "it was prepared again since you looked"
    assert approved(seen) == [(MON, run_id, "refused", stale)]
    assert approved({prepared.closeout_id: instant_text(LATER)}) == [(MON, run_id, "sealed", None)]
    with pytest.raises(UsageError, match="clo_nobody was never prepared"):
        approved({"clo_nobody": "2026-04-21T11:00:00.000000Z"})


@pytest.mark.parametrize(
    ("day", "why"),
    [("banana", "not a day of the form"), ("2026-04-31", "not a valid date"), ("2026-05-01", "is not in")],
)
def test_windows_of_a_day_that_the_month_does_not_have_are_refused(world: World, day: str, why: str) -> None:
    """They were prepared and approved, none of them, and that was answered as done."""
    wanted = closing_windows.Wanted(ledger_window=day)
    for step in (closing_windows.prepare, closing_windows.approve):
        with pytest.raises(UsageError, match=why):
            step(world.tenant, "2026-04", "bob", LATER, PROGRAM, wanted)


def test_a_window_closed_without_activity_that_has_a_run_by_now_is_examined_rebuilt_and_made_again(
    world: World,
) -> None:
    """Rebuilding looked for a revision 0 of the run and ended with a fault; the doctor took none for another than 0."""
    day = date.fromisoformat(TUE)
    for step, actor in ((closing.prepare, "alice"), (closing.approve, "bob")):
        with candidates.of_idle_window(world.tenant, world.provider, day, actor, LATER) as candidate:
            assert step(candidate, actor, LATER).closeout is not None
        found = [finding.check for diagnosis in doctor.examine(world.home) for finding in diagnosis.findings]
        assert "prepared" not in found
    world.add(post("T9", "R9", 100, on=TUE))
    tuesday = world.make(TUE).run.run_id
    assert reperform(world.tenant, tuesday).holds
    rebuilt = rebuild(world.tenant)
    assert [seal.verdict for seal in rebuilt.seals] == [EQUAL]
    assert rebuilt.holds
