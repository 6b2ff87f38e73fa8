"""A callback over HTTP about a run in review has that run made again, where nobody gave its as_of (contract §1)."""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.closeout.closed_world import close, verified
from tests.scenarios.rows import MON, TUE, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli, worker
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest import callback_staging
from zentra_pipeline.instants import instant_text
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.inbox import Receipt
from zentra_pipeline.upkeep import doctor, rebuild

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

LATER = datetime(2027, 1, 4, 9, tzinfo=UTC)


def receive(world: World, event: str, reference: str, at: datetime, **said: Any) -> None:
    """A delivery over HTTP: committed to the inbox."""
    content = {
        "provider_event_id": event,
        "event_type": "payment",
        "provider_reference": reference,
        "currency": "USD",
        "merchant_reference": "",
        "amount_minor": 500,
        "status": "succeeded",
        "occurred_at": instant_text(at),
        **said,
    }
    body = json.dumps(content).encode()
    receipt = Receipt(
        world.provider, "canonical", instant_text(at), hashlib.sha256(body).hexdigest(), {}, body, inbox_store.UNSIGNED
    )
    with world.tenant.writing() as connection:
        inbox_store.add(connection, [receipt])


def run(world: World, window: str, as_of: datetime | None = None) -> str:
    world.deliver(window)
    request = run_requests.RunRequest(
        world.provider, settlement_file(window), date.fromisoformat(window), "finance_ops", as_of, "ana"
    )
    return window_run.run_window(world.tenant, request).run.run_id


def stored(world: World, run_id: str) -> tuple[run_store.Run, request_store.Request | None]:
    with world.tenant.reading() as connection:
        return run_store.get(connection, run_id), request_store.find(connection, run_id)


def prepared(folder: Path, profile: dict[str, Any] | None = None) -> World:
    world = World(folder, profile)
    world.add(
        *(row for n in (1, 2) for row in (post(f"T{n}", f"R{n}", 500, on=MON), settle(f"L{n}", f"R{n}", 500, on=MON))),
        settle("L3", "R3", 500, on=TUE),
        post("T3", "R3", 500, on=TUE),
    )
    return world


def test_callbacks_about_a_run_in_review_have_it_made_again_once_by_the_system(tmp_path: Path) -> None:
    world = prepared(tmp_path)
    monday, tuesday = run(world, MON), run(world, TUE, as_of=world.cutoff(TUE))
    receive(world, "E1", "R1", LATER)
    receive(world, "E2", "elsewhere", LATER.replace(minute=5), merchant_reference="T2")
    receive(world, "E3", "R3", LATER)  # about Tuesday, whose as_of somebody gave
    receive(world, "E9", "R9", LATER.replace(minute=9), merchant_reference="nobody's")  # about nothing known
    callback_staging.stage_callbacks(world.tenant, world.provider, LATER)
    asked, request = stored(world, monday)
    assert (asked.status, asked.as_of, request and request.status) == (
        "in_review",
        "2027-01-04T09:05:00.000000Z",
        "queued",
    )
    assert stored(world, tuesday)[1] is None
    while worker.work_once(world.home, LATER, lambda _text: None):
        pass
    made, request = stored(world, monday)
    assert (made.revision, made.is_as_of_given, request and request.status) == (2, False, "done")
    with world.tenant.reading() as connection:
        step = next(step for step in reversed(run_store.transitions(connection, monday)) if step.status == "ingesting")
        revisions = run_store.revisions(connection, monday)
    assert (step.actor, step.detail) == (
        "system",
        "made again as of 2027-01-04T09:05:00.000000Z: 2 callbacks about it received over HTTP",
    )
    assert [revision.as_of for revision in revisions][-1] == "2027-01-04T09:05:00.000000Z"
    said = world.query(
        f"select exception_type, subject_id, resolution from exceptions where run_id = '{monday}' order by all"
    )
    assert [tuple(row.values()) for row in said] == [
        ("late_callback", "E1", None),
        ("late_callback", "E2", None),
        ("missing_callback", "T1", "matched_late"),
        ("missing_callback", "T2", "matched_late"),
    ]
    assert stored(world, tuesday)[0].as_of == instant_text(world.cutoff(TUE))


def test_a_callback_is_about_a_run_by_the_references_as_the_profile_normalizes_them(tmp_path: Path) -> None:
    world = prepared(tmp_path)
    monday = run(world, MON)
    cases = [
        ("none", "r-1", False),
        ("alphanumeric", "r-1", True),
        ("'^(R[0-9])/'", "R2/2026", True),
        ("'^(R[0-9])/'", "R2-2026", False),
    ]
    for minute, (normalizer, reference, is_asked_for) in enumerate(cases, start=1):
        world.paths.providers.joinpath(f"{world.provider}.yml").write_text(
            f"reference_normalizer: {normalizer}\n", encoding="utf-8"
        )
        before, at = stored(world, monday)[0].as_of, LATER.replace(minute=minute)
        receive(world, f"E{minute}", reference, at)
        callback_staging.stage_callbacks(world.tenant, world.provider, at)
        assert stored(world, monday)[0].as_of == (instant_text(at) if is_asked_for else before), (normalizer, reference)


def test_a_profile_leaves_late_callbacks_to_the_next_run(tmp_path: Path) -> None:
    world = prepared(tmp_path, {"late_callbacks": "next_run"})
    monday = run(world, MON)
    receive(world, "E1", "R1", LATER)
    callback_staging.stage_callbacks(world.tenant, world.provider, LATER)
    assert stored(world, monday)[1] is None


def test_a_home_whose_path_looks_like_a_pattern_is_read_and_no_other_that_goes_by_it(
    tmp_path: Path, sqlite: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """`a*[b]` goes by the pattern as well: it was read beside its own files, or no file was found at all."""
    beside, folder = (tmp_path / name for name in ("azzb %#{x}'", "a*[b] %#{x}'"))
    for place in (beside, folder):
        place.mkdir()
    world = prepared(folder, {"expects_callbacks": False})
    monday = run(world, MON)
    shutil.copytree(world.home.root, beside / "home")
    receive(world, "E1", "R1", LATER)
    callback_staging.stage_callbacks(world.tenant, world.provider, LATER)
    window_run.run_queued(world.tenant, world.provider)
    assert stored(world, monday)[0].revision == 2
    world.make(TUE)
    assert close(world, now=LATER).status == "sealed"
    asked = (
        "select match_id, ledger_minor from matches union all select provider_event_id, amount_minor from callbacks "
        "order by all"
    )
    expected = world.query(asked)
    assert len(expected) == 4
    capsys.readouterr()
    assert cli.invoke(["query", "--tenant", TENANT, "--home", str(world.home.root), "--format", "json", asked]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    for folder_of_files in (world.paths.staged, world.paths.lake):
        shutil.rmtree(folder_of_files)
    assert rebuild.rebuild(world.tenant).holds
    (diagnosis,) = (each for each in doctor.examine(world.home) if each.tenant == TENANT)
    assert diagnosis.is_sound, diagnosis.findings
    assert verified(world).holds
    with pytest.raises(UsageError, match=r"databases cannot be below a folder with \? in its name"):
        Home.at(tmp_path / "a?")
