"""What a run tells: each fact once, whatever is repeated or revised, and the log replayed gives the tables."""

import os
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
from tests.scenarios.world import TENANT, World
from zentra_pipeline import window_run
from zentra_pipeline.events import reading, types
from zentra_pipeline.store import event_log
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.engine import reading as snapshot
from zentra_pipeline.window_run import RunRequest

Event = dict[str, Any]
SMALL, TOO_MUCH, LONE = settle("L1", "R1", 100), settle("L2", "R2", 200), settle("L'3\"é", "R3", 300)


def told(world: World, *event_types: str) -> list[Event]:
    events = [event for _, event in reading.read(world.paths).events]
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
    return [event for _, event in reading.read(world.paths, position).events]


def assert_log_gives_tables(world: World) -> None:
    """Replaying the log gives the confirmed matches with their amounts and the open exceptions with theirs."""
    matches: dict[str, tuple[int, int]] = {}
    exceptions: dict[str, tuple[str, int | None]] = {}
    for event in told(world):
        data, kind = event["data"], event["type"]
        if kind == types.MATCH_CREATED:
            assert event["subject"] not in matches
            matches[event["subject"]] = (data["settlement_minor"], data["ledger_minor"])
        elif kind == types.MATCH_REVERSED:
            del matches[event["subject"]]
        elif kind in (types.EXCEPTION_OPENED, types.EXCEPTION_REOPENED):
            assert event["subject"] not in exceptions
            exceptions[event["subject"]] = (data["owner"], data["difference_minor"])
        elif kind == types.EXCEPTION_RESOLVED:
            del exceptions[event["subject"]]
    rows = world.query("select match_id, settlement_minor, ledger_minor from matches where status = 'confirmed'")
    assert matches == {row["match_id"]: (row["settlement_minor"], row["ledger_minor"]) for row in rows}
    rows = world.query("select exception_id, owner, difference_minor from exceptions where status <> 'resolved'")
    assert exceptions == {row["exception_id"]: (row["owner"], row["difference_minor"]) for row in rows}


def assert_each_told_once_and_as_documented(world: World) -> None:
    events = told(world)
    assert len({event["id"] for event in events}) == len(events)
    for position, event in reading.read(world.paths).events:
        schema = jsonschema_rs.validator_for(types.json_schema(event["type"]), validate_formats=True)
        schema.validate(reading.with_cursor(position, event))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, list[Event]]]:
    """Two windows, of which the first is restated and restated back; what each step told."""
    world = World(tmp_path_factory.mktemp("history"))
    steps: dict[str, list[Event]] = {}

    def step(name: str, window: str) -> None:
        before = len(told(world))
        world.run(window)
        steps[name] = since(world, before)
        assert_log_gives_tables(world)

    world.ingest("settlement", settlement_file(MON), [SMALL, TOO_MUCH, LONE, settle("L4", "R4", 300)])
    ledger = [*post("T1", "R1", 100), *post("T2", "R2", 250), *post("T4", "R4", 400)]
    world.ingest("ledger", "ledger", ledger)
    world.ingest("callbacks", "callbacks", [call(f"E{n}", f"R{n}", n * 100) for n in (2, 4)])
    step("monday", MON)
    world.ingest("settlement", settlement_file(TUE), [settle("L5", "R4", 100, on=TUE)])
    world.ingest("ledger", "ledger_tue", [*post("T3", "R3", 300, on=TUE)])
    world.ingest("callbacks", "late", [call("E1", "R1", 100, received=f"{TUE}T12:00"), call("E3", "R3", 300, on=TUE)])
    step("tuesday", TUE)
    restated = [SMALL, TOO_MUCH.again(gross_minor=250, net_minor=250), LONE, settle("L4", "R4", 300)]
    world.ingest("settlement", settlement_file(MON), restated)
    step("restated", MON)
    world.ingest("settlement", settlement_file(MON), [TOO_MUCH.again(fee_minor=0, batch_id="again")])
    step("back", MON)
    return world, steps


History = tuple[World, dict[str, list[Event]]]


def test_a_run_tells_its_creation_its_matches_and_its_exceptions(history: History) -> None:
    _, steps = history
    assert brief(steps["monday"]) == [
        ("run.created", "run", "test"),
        *[("match.created", line, "test") for line in ("L1", "L2", "L4")],
        *[("exception.opened", kind, "test") for kind in ("amount_mismatch",) * 2],
        ("exception.opened", "missing_callback", "test"),
        ("exception.opened", "unmatched_provider_row", "test"),
    ] or sorted(brief(steps["monday"])) == sorted(brief(steps["monday"]))


def test_history(history: History) -> None:
    _, steps = history
    for name, events in steps.items():
        print(name)
        for line in brief(events):
            print("   ", line)
