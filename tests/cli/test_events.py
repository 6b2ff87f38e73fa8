"""`zentra events` prints the log, goes on from a cursor, and follows until it is no longer wanted."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from zentra_pipeline.events import types
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.settings import Home
from zentra_pipeline.store import event_log
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 4, 27, 6, tzinfo=UTC)


def emit(home: Path, *names: str, event_type: str = types.RUN_CREATED) -> None:
    for name in names:
        event = cloud_event(
            event_type,
            tenant="acme",
            fact=[name],
            subject=name,
            run_id=name,
            actor="ada",
            at=NOW,
            data={"n": "é\u2028"},
        )
        with Tenant.of(Home.at(home), "acme").writing() as connection:
            event_log.append(connection, event)


@pytest.fixture
def reported(acme: Zentra, tmp_path: Path) -> Zentra:
    """The command line with a log of three events, the second a failure."""
    emit(tmp_path / "home", "a")
    emit(tmp_path / "home", "b", event_type=types.RUN_FAILED)
    emit(tmp_path / "home", "c")
    return acme


def subjects(out: str) -> list[str]:
    return [json.loads(line)["subject"] for line in out.split("\n")[:-1]]


def test_events_are_one_json_object_a_line_with_their_cursor(reported: Zentra) -> None:
    lines = reported("events", "--tenant", "acme").out.split("\n")
    assert lines.pop() == ""
    events = [json.loads(line) for line in lines]
    assert [(event["subject"], event["sequence"]) for event in events] == [
        (name, f"{place:020d}") for place, name in enumerate("abc", start=1)
    ]
    assert events[0]["data"] == {"n": "é\u2028"}


def test_a_cursor_goes_on_behind_the_event_that_had_it(reported: Zentra) -> None:
    page = reported("events", "--tenant", "acme", "--limit", 2, "--json").json
    assert [event["subject"] for event in page["items"]] == ["a", "b"]
    rest = reported("events", "--tenant", "acme", "--after", page["next"], "--json").json
    assert [event["subject"] for event in rest["items"]] == ["c"]
    done = reported("events", "--tenant", "acme", "--after", rest["next"], "--json").json
    assert done == {"items": [], "next": rest["next"]}
    assert subjects(reported("events", "--tenant", "acme", "--after", page["items"][0]["sequence"]).out) == ["b", "c"]


def test_only_one_type_is_printed_when_asked(reported: Zentra) -> None:
    page = reported("events", "--tenant", "acme", "--type", types.RUN_CREATED, "--json").json
    assert [event["subject"] for event in page["items"]] == ["a", "c"]
    assert subjects(reported("events", "--tenant", "acme", "--type", types.RUN_FAILED).out) == ["b"]


@pytest.mark.parametrize(
    "misuse",
    [("--after", "x"), ("--after", "-1"), ("--type", "reconciliation.unknown"), ("--limit", 0), ("--follow", "--json")],
)
def test_misuse_is_reported_and_exits_2(reported: Zentra, misuse: tuple[object, ...]) -> None:
    assert reported("events", "--tenant", "acme", *misuse).code == 2


@contextmanager
def following(home: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "zentra_pipeline", "events", "--tenant", "acme", "--home", str(home), "--follow"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def next_subject(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["subject"])


def test_following_prints_what_comes_once_and_ends_cleanly_when_interrupted(reported: Zentra, tmp_path: Path) -> None:
    with following(tmp_path / "home", "--after", "2") as process:
        assert next_subject(process) == "c"
        for name in ("d", "e"):
            emit(tmp_path / "home", name)
            assert next_subject(process) == name
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_following_ends_when_nobody_reads_any_more(reported: Zentra, tmp_path: Path) -> None:
    with following(tmp_path / "home") as process:
        assert process.stdout is not None
        assert [next_subject(process) for _ in range(3)] == ["a", "b", "c"]
        process.stdout.close()
        assert process.wait(timeout=30) == 0


def test_following_ends_when_the_limit_is_reached(reported: Zentra, tmp_path: Path) -> None:
    with following(tmp_path / "home", "--limit", "4") as process:
        assert [next_subject(process) for _ in range(3)] == ["a", "b", "c"]
        emit(tmp_path / "home", "d", "e")
        assert next_subject(process) == "d"
        assert process.wait(timeout=30) == 0
