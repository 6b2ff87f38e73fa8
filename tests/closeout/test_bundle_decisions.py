"""A bundle holds every decision its tables rest on, wherever the exception was opened; as closed follows the log.

T0 is posted on Monday and never settled: Tuesday's run opens its exception, and it is written off in Wednesday's run.
L3 is settled on Monday and never posted: it is accepted as timing in Tuesday's run, and Wednesday's still carry it.
L5 is settled on Wednesday, and accepted as timing there.
"""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, TUE, WED, call, post, settle, settlement_file
from tests.scenarios.test_write_offs import decide
from tests.scenarios.world import TENANT, World
from zentra_pipeline.actors import Origin
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import NotPossibleError, RefusedError, UsageError
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import runs as run_store

SEALED_AT = datetime(2026, 4, 23, 12, tzinfo=UTC)
EARLIER = datetime(2026, 4, 23, 11, tzinfo=UTC)


def wednesday(world: World) -> str:
    return run_store.run_id_of(TENANT, world.provider, settlement_file(WED), date.fromisoformat(WED))


def close(world: World, actor: str, step: str, **options: Any) -> closing.CloseoutResult:
    with candidates.of_run(world.tenant, wednesday(world)) as candidate:
        return getattr(closing, step)(candidate, actor, SEALED_AT, **options)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("rests_on"), {"amount_date_rule": "off", "settlement_lag_days": 0})
    made.add(*(post("T0", "R0", 50), call("C0", "R0", 50), settle("L3", "R3", 300)), settle("L5", "R5", 10, on=WED))
    made.make(MON)
    made.run(TUE)
    decide(made, "L3", "comment", "ann", reason="they post on Thursdays")
    decide(made, "L3", "accept_timing", "ann", reason="the ledger is a week behind")
    made.run(WED)
    decide(made, "T0", "write_off", "ann", reason="fifty cents")
    decide(made, "T0", "approve", "bob")
    decide(made, "L5", "accept_timing", "ann", reason="posted tomorrow")
    assert close(made, "ann", "prepare").status == "prepared"
    return made


@pytest.fixture(scope="module")
def bundle(world: World) -> Path:
    sealed = close(world, "bob", "approve", origin=Origin("command_line", os_user="bob_os"))
    assert sealed.bundle is not None
    return sealed.bundle


def rows(bundle: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "files" / f"{name}.jsonl").read_bytes().splitlines()]


def test_look_alikes_and_names_in_two_scripts_neither_decide_nor_close(world: World) -> None:
    """The first a is Cyrillic; bob wrote his o in Greek."""
    for name, error in (("\u0430nn", UsageError), ("b\u03bfb", UsageError), ("\u0430\u043f\u043f", RefusedError)):
        with pytest.raises(error, match=r"U\+0"):
            close(world, name, "approve")
        with pytest.raises(error, match=r"U\+0"):
            deciding.decide(
                world.tenant, DecisionRequest(exception_of(world, "T0"), "comment", name, reason="hello"), EARLIER
            )


def exception_of(world: World, subject: str) -> str:
    (row,) = world.query(f"select exception_id from exceptions where subject_id = '{subject}'")
    return str(row["exception_id"])


def test_a_policy_may_demand_that_approvals_come_by_token(world: World) -> None:
    world.paths.policy.write_text("approvals_by_token: true\n", encoding="utf-8")
    with pytest.raises(RefusedError, match="approvals_by_token"):
        close(world, "bob", "approve", origin=Origin("command_line", os_user="bob"))
    world.paths.policy.unlink()


def test_what_changed_since_it_was_prepared_is_not_sealed(world: World) -> None:
    """The approver saw L3 accepted; a preparer who reopens and ends it otherwise has it prepared again."""
    exception_id = exception_of(world, "L3")
    deciding.decide(world.tenant, DecisionRequest(exception_id, "reopen", "ann", reason="wait"), EARLIER)
    deciding.decide(
        world.tenant, DecisionRequest(exception_id, "resolve", "ann", reason="x", resolution="false_positive"), EARLIER
    )
    with pytest.raises(NotPossibleError, match="accepted changed since"):
        close(world, "bob", "approve")
    deciding.decide(world.tenant, DecisionRequest(exception_id, "reopen", "ann", reason="no"), EARLIER)
    deciding.decide(
        world.tenant, DecisionRequest(exception_id, "accept_timing", "ann", reason="a week behind"), EARLIER
    )
    assert close(world, "ann", "prepare").is_new


def test_the_decisions_of_earlier_windows_are_in_the_bundle(world: World, bundle: Path) -> None:
    decided = rows(bundle, "decisions")
    ids = {subject: exception_of(world, subject) for subject in ("T0", "L3")}
    of = {subject: [row for row in decided if row["exception_id"] == ids[subject]] for subject in ids}
    assert [(row["action"], row["actor"], row["result"]) for row in of["T0"]] == [
        ("write_off", "ann", "pending_approval"),
        ("approve", "bob", "resolved"),
    ]
    assert [row["action"] for row in of["L3"]][:2] == ["comment", "accept_timing"]
    assert of["T0"][1]["approval"]["ledger"]["amount_minor"] == "50"
    (written_off,) = rows(bundle, "write_offs")
    assert (written_off["item_id"], written_off["decision_id"]) == ("T0", of["T0"][1]["decision_id"])
    seal = verify.verify(bundle, world.home.trust)
    assert seal.holds, [finding for finding in seal.findings if not finding.holds]
    payload = seal.seals[0].payload
    assert payload["version"] == 2
    assert payload["log_position"] == max(row["log_position"] for row in decided)


def test_the_statement_says_what_was_written_off_and_what_the_evidence_lacks(bundle: Path) -> None:
    html = (bundle / "files" / "report.html").read_text(encoding="utf-8")
    assert "Written off in this window, by side" in html
    assert "What the evidence lacks" in html
    assert "intent: nothing says which intent the money moved for" in html
    totals = json.loads((bundle / "files" / "control_totals.json").read_bytes())
    assert totals["write_offs"] == [
        {"item_type": "ledger_transaction", "currency": "USD", "items": 1, "amount_minor": "50"}
    ]


def test_as_closed_follows_the_place_in_the_log_and_not_the_clock(world: World, bundle: Path) -> None:
    """Decided after the seal, on a machine whose clock is an hour behind."""
    assert bundle.is_dir()
    deciding.decide(
        world.tenant, DecisionRequest(exception_of(world, "L5"), "reopen", "ann", reason="it came"), EARLIER
    )
    (now,) = world.query("select status from exceptions where subject_id = 'L5'")
    (closed,) = world.query("select status, resolution from exceptions_as_closed where subject_id = 'L5'")
    assert (now["status"], closed["status"], closed["resolution"]) == ("open", "resolved", "accepted_timing")


def test_the_log_keeps_the_user_of_the_operating_system(world: World, bundle: Path) -> None:
    assert bundle.is_dir()
    (approved,) = world.query("select details from decisions where action = 'approve_closeout'")
    assert json.loads(approved["details"])["origin"] == {"via": "command_line", "os_user": "bob_os"}
