"""What a run emits: each fact once, whatever is repeated or revised, and the log replayed gives the tables."""

import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import jsonschema_rs
import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle, settlement_file
from tests.scenarios.world import World
from zentra_pipeline.events import log_reading, segment_rows, types
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import revision_events, window_run
from zentra_pipeline.reconcile.revision_events import write_events
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.engine import reading as snapshot

Event = dict[str, Any]
History = tuple[World, dict[str, list[Event]]]
SMALL, TOO_MUCH, LONE = settle("L1", "R1", 100), settle("L2", "R2", 200), settle("L'3\"é", "R3", 300)


def reported(world: World, *event_types: str) -> list[Event]:
    events = [event for _, event in log_reading.read(world.paths).events]
    return [event for event in events if not event_types or event["type"] in event_types]


def brief(events: Iterable[Event]) -> list[tuple[str, ...]]:
    """Type, subject in words, actor."""
    names = []
    for event in events:
        data = event["data"]
        about = data.get("line_id") or data.get("exception_type") or data.get("provider_event_id") or "run"
        names.append((event["type"].removeprefix("reconciliation."), str(about), event["actor"]))
    return names


def since(world: World, position: int) -> list[Event]:
    return [event for _, event in log_reading.read(world.paths, position).events]


def assert_log_gives_tables(world: World) -> None:
    """Replaying the log gives the confirmed matches with their amounts and the open exceptions with theirs."""
    matches: dict[str, tuple[int, int]] = {}
    exceptions: dict[str, tuple[str, int | None]] = {}
    for event in reported(world):
        data, kind = event["data"], event["type"]
        if kind == types.MATCH_CREATED:
            assert event["subject"] not in matches
            matches[event["subject"]] = (data["settlement_minor"], data["ledger_minor"])
        elif kind == types.MATCH_REVERSED:
            del matches[event["subject"]]
        elif kind in (types.EXCEPTION_OPENED, types.EXCEPTION_REOPENED):
            assert event["subject"] not in exceptions
            exceptions[event["subject"]] = (data["owner"], data["difference_minor"])
        elif kind == types.EXCEPTION_CHANGED:
            assert exceptions[event["subject"]][1] == data["former_difference_minor"]
            exceptions[event["subject"]] = (data["owner"], data["difference_minor"])
        elif kind == types.EXCEPTION_RESOLVED:
            del exceptions[event["subject"]]
    rows = world.query("select match_id, settlement_minor, ledger_minor from matches where status = 'confirmed'")
    assert matches == {row["match_id"]: (row["settlement_minor"], row["ledger_minor"]) for row in rows}
    rows = world.query("select exception_id, owner, difference_minor from exceptions where status <> 'resolved'")
    assert exceptions == {row["exception_id"]: (row["owner"], row["difference_minor"]) for row in rows}


def assert_each_emitted_once_and_as_documented(world: World) -> None:
    events = reported(world)
    assert len({event["id"] for event in events}) == len(events)
    for position, event in log_reading.read(world.paths).events:
        schema = jsonschema_rs.validator_for(types.json_schema(event["type"]), validate_formats=True)
        schema.validate(log_reading.with_cursor(position, event))


def write_in_both_forms(paths: TenantPaths, context: revision_events.EventContext) -> lake_files.PublishedFile:
    """A file of events as it is; each of them, made whole from its row, is what older releases wrote in its place."""
    written, whole = write_events(paths, context), write_events(paths, context, whole=True)
    with duckdb.connect() as connection:
        rows = segment_rows.rows_between(connection, paths, written.path, 0, written.rows)
        read = segment_rows.whole(paths, written.path, 0, written.rows, rows)
        older = f"select * from read_parquet('{paths.root / whole.path}', hive_partitioning = false)"
        for one, other in ((read, older), (older, read)):
            assert connection.execute(f"({one}) except all ({other})").fetchall() == []
    (paths.root / whole.path).unlink()
    return written


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two windows, of which the first is restated and restated back; what each step emitted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revision_events, "write_events", write_in_both_forms)
        return made_history(World(tmp_path_factory.mktemp("history")))


def made_history(world: World) -> History:
    steps: dict[str, list[Event]] = {}

    def step(name: str, window: str) -> None:
        before = len(reported(world))
        world.make(window)
        steps[name] = since(world, before)
        assert_log_gives_tables(world)

    world.ingest("settlement", settlement_file(MON), [SMALL, TOO_MUCH, LONE, settle("L4", "R4", 300)])
    ledger = [*post("T1", "R1", 100), *post("T2", "R2", 250), *post("T4", "R4", 400)]
    world.ingest("ledger", "ledger", ledger)
    world.ingest("callbacks", "callbacks", [call("E2", "R2", 250), call("E4", "R4", 400)])
    step("monday", MON)
    world.ingest("settlement", settlement_file(TUE), [settle("L5", "R4", 100, on=TUE)])
    world.ingest("ledger", "ledger_tue", [*post("T3", "R3", 300, on=TUE)])
    world.ingest(
        "callbacks", "late", [call("E1", "R1", 100, received=f"{TUE}T12:00:00Z"), call("E3", "R3", 300, on=TUE)]
    )
    step("tuesday", TUE)
    restated = [SMALL, TOO_MUCH.again(gross_minor=250, net_minor=250), LONE, settle("L4", "R4", 300)]
    world.ingest("settlement", settlement_file(MON), restated)
    step("restated", MON)
    world.ingest("settlement", settlement_file(MON), [TOO_MUCH.again(fee_minor=0, batch_id="again")])
    step("back", MON)
    return world, steps


def test_a_run_emits_its_creation_its_matches_and_its_exceptions(history: History) -> None:
    _, steps = history
    assert brief(steps["monday"])[0] == ("run.created", "run", "test")
    assert sorted(brief(steps["monday"])[1:]) == [
        ("exception.opened", "amount_mismatch", "test"),
        ("exception.opened", "amount_mismatch", "test"),
        ("exception.opened", "missing_callback", "test"),
        ("exception.opened", "unmatched_provider_row", "test"),
        ("match.created", "L1", "test"),
        ("match.created", "L2", "test"),
        ("match.created", "L4", "test"),
    ]


def test_what_a_later_run_settles_and_takes_back_the_system_emits(history: History) -> None:
    _, steps = history
    assert sorted(brief(steps["tuesday"])) == [
        ("callback.late", "E1", "test"),
        ("exception.opened", "late_callback", "test"),
        ("exception.resolved", "amount_mismatch", "system"),
        ("exception.resolved", "missing_callback", "system"),
        ("exception.resolved", "unmatched_provider_row", "system"),
        ("match.created", "L'3\"é", "test"),
        ("match.created", "L4", "test"),
        ("match.reversed", "L4", "system"),
        ("run.created", "run", "test"),
    ]
    assert {event["data"]["resolution"] for event in steps["tuesday"] if event["type"] == types.EXCEPTION_RESOLVED} == {
        "matched_late"
    }
    late = next(event for event in steps["tuesday"] if event["type"] == types.CALLBACK_LATE)
    assert (late["subject"], late["data"]["amount_minor"], late["data"]["currency"]) == ("E1", 100, "USD")


def test_a_revision_emits_what_differs_from_the_one_before(history: History) -> None:
    _, steps = history
    assert brief(steps["restated"]) == [
        ("match.reversed", "L2", "system"),
        ("match.created", "L2", "test"),
        ("exception.resolved", "amount_mismatch", "system"),
    ]
    withdrawn, made, resolved = (event["data"] for event in steps["restated"])
    assert (withdrawn["settlement_minor"], withdrawn["withdrawn_by_revision"]) == (200, 2)
    assert (made["settlement_minor"], made["run_revision"]) == (250, 2)
    assert (resolved["withdrawn_by_revision"], resolved["resolution"]) == (2, None)


def test_an_exception_that_comes_back_is_reopened_under_its_id(history: History) -> None:
    _, steps = history
    opened = {event["subject"] for event in steps["monday"] if event["type"] == types.EXCEPTION_OPENED}
    (reopened,) = (event for event in steps["back"] if event["type"] == types.EXCEPTION_REOPENED)
    assert reopened["subject"] in opened
    assert (reopened["data"]["reopened_by_revision"], reopened["data"]["difference_minor"]) == (3, -50)


def test_every_event_is_emitted_once_and_is_as_documented(history: History) -> None:
    world, _ = history
    assert_each_emitted_once_and_as_documented(world)
    assert {event["type"] for event in reported(world)} >= set(types.DATA) - {
        types.RUN_FAILED,
        types.PROVIDER_DRIFTED,  # of a file, not of a run
        types.EXCEPTION_CHANGED,  # tests/scenarios/test_what_holds_now.py has windows that change exceptions
        types.EXCEPTION_ASSIGNED,
        types.CLOSEOUT_COMPLETED,
        types.CLOSEOUT_AMENDED,
        types.PERIOD_COMPLETED,  # tests/scenarios/test_a_month.py signs a month off twice
        types.PERIOD_AMENDED,
        types.PAYOUT_CREDITED,  # of a bank account's runs: tests/scenarios/test_bank_runs.py
        types.PAYOUT_RETURNED,
        types.PAYOUT_OVERDUE,
    }


def test_analysts_read_the_log_as_a_table(history: History) -> None:
    world, _ = history
    rows = world.query("select position, event_id, subject from events order by position")
    assert [(row["event_id"], row["subject"]) for row in rows] == [(e["id"], e["subject"]) for e in reported(world)]
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))


def test_a_run_repeated_three_times_leaves_the_log_as_it_is(history: History) -> None:
    world, _ = history
    before = reported(world)
    for _ in range(3):
        world.make(MON)
    assert reported(world) == before


def test_a_suggestion_and_its_replacement_are_not_emitted(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle("L1", "X1", 100)])
    world.ingest("ledger", "ledger", list(post("T1", "Y1", 100)))
    world.make(MON)
    assert [row["status"] for row in world.query("select status from matches")] == ["suggested"]
    world.make(TUE)
    assert world.query("select count(*) as n from runs") == [{"n": 2}]
    assert [event["type"] for event in reported(world, types.MATCH_CREATED, types.MATCH_REVERSED)] == []


def test_the_same_revision_is_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "world", {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100 + n) for n in range(300)])
    world.ingest("ledger", "ledger", [row for n in range(0, 300, 2) for row in post(f"T{n}", f"R{n}", 100 + n % 3)])
    contexts: list[revision_events.EventContext] = []
    write = revision_events.write_events
    monkeypatch.setattr(
        revision_events, "write_events", lambda paths, context: contexts.append(context) or write(paths, context)
    )
    world.make(MON)
    (context,) = contexts
    connect = duckdb.connect
    digests = set()
    for threads in (1, 2, 4):
        monkeypatch.setattr(
            duckdb, "connect", lambda config, threads=threads: connect(config=config | {"threads": threads})
        )
        digests.add(write(TenantPaths(tmp_path / f"threads_{threads}"), context).sha256)
    monkeypatch.undo()
    with snapshot(operational_store(world.paths)) as connection:
        digests |= {entry.sha256 or "" for entry in event_log.entries(connection) if entry.path}
    assert len(digests) == 1


# The child dies with the events written and nothing recorded, or with everything recorded but not committed.
CHILD = """
import os, sys
from datetime import UTC, date, datetime
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.store import runs

root, place, provider, file_id, day = sys.argv[1:]
module, name = {"written": (runs, "record_revision"), "recorded": (run_queue, "follow")}[place]
setattr(module, name, lambda *arguments: os.kill(os.getpid(), 9))
request = run_requests.RunRequest(provider, file_id, date.fromisoformat(day), "finance_ops",
                                datetime(2026, 4, 21, 12, tzinfo=UTC), "test")
window_run.run_window(Tenant.of(Home.at(root), "acme"), request)
"""


@pytest.mark.ci
@pytest.mark.parametrize("place", ["written", "recorded"])
def test_a_publish_that_is_killed_emits_nothing_and_the_next_one_all_of_it_once(tmp_path: Path, place: str) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100) for n in range(5)])
    world.ingest("ledger", "ledger", [row for n in range(3) for row in post(f"T{n}", f"R{n}", 100)])
    arguments = [str(world.home.root), place, world.provider, settlement_file(MON), MON]
    child = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL
    assert list((world.paths.lake / "event_rows").rglob("*.parquet"))
    assert brief(reported(world)) == [("run.created", "run", "test")]
    request = RunRequest(world.provider, settlement_file(MON), date.fromisoformat(MON), None, None, "test")
    window_run.run_window(world.tenant, request)
    assert sorted(brief(reported(world))) == [
        *[("exception.opened", "unmatched_provider_row", "test")] * 2,
        *[("match.created", f"L{number}", "test") for number in range(3)],
        ("run.created", "run", "test"),
    ]
    assert [position for position, _ in log_reading.read(world.paths).events] == list(range(1, 7))
    assert_each_emitted_once_and_as_documented(world)
