"""A run asked for by mistake is taken back by a second person, and what looks like a mistake is asked about first."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.closeout.closed_world import copied, verified
from tests.scenarios import invariants
from tests.scenarios.rows import FRI, MON, THU, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from tests.support.every import check_every
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.errors import NotPossibleError, RefusedError, UnconfirmedError, UsageError
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import mistakes, run_requests, window_run
from zentra_pipeline.review import history, voiding
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.upkeep import doctor, rebuild
from zentra_pipeline.upkeep.reperform import reperform

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def three_windows(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Tuesday's run is a mistake: what it matched is Monday's and its own."""
    world = World(tmp_path_factory.mktemp("three_windows"), {"expects_callbacks": False})
    world.add(post("T1", "R1", 500), settle("L1", "R1", 500, on=TUE), post("T2", "R2", 70, on=TUE))
    for window in (MON, TUE, WED):
        world.make(window)
    return world


@pytest.fixture
def world(three_windows: World, tmp_path: Path) -> World:
    """Its own copy for each test."""
    return copied(three_windows, tmp_path)


def run_id(world: World, window: str) -> str:
    return run_store.run_id_of(TENANT, world.provider, settlement_file(window), date.fromisoformat(window))


def rollforward(world: World) -> Sequence[tuple[object, ...]]:
    return lake.query(
        world.paths,
        "select runs.ledger_window, opening_minor, posted_minor, settled_minor, closing_minor from rollforward "
        "inner join runs using (run_id) order by 1",
    ).rows


def findings(world: World) -> list[tuple[str, str]]:
    return [
        (found.check, found.subject)
        for diagnosis in doctor.examine(world.home)
        for found in diagnosis.findings
        if found.severity == "error"
    ]


@pytest.mark.on_postgresql
def test_a_run_taken_back_is_in_no_table_and_later_ones_are_made_without_it(world: World) -> None:
    monday, tuesday, wednesday = (date.fromisoformat(day) for day in (MON, TUE, WED))
    assert rollforward(world) == [(monday, 0, 500, 0, 500), (tuesday, 500, 70, 500, 70), (wednesday, 70, 0, 0, 70)]
    with pytest.raises(RefusedError, match="a second person"):
        voiding.void(world.tenant, run_id(world, TUE), "Test", "wrong window", NOW)
    with pytest.raises(UsageError, match="reason"):
        voiding.void(world.tenant, run_id(world, TUE), "ben", " ", NOW)
    run = voiding.void(world.tenant, run_id(world, TUE), "ben", "wrong window", NOW)
    assert voiding.void(world.tenant, run_id(world, TUE), "ben", "wrong window", NOW) == run
    assert rollforward(world) == [(monday, 0, 500, 0, 500), (wednesday, 70, 0, 0, 70)]
    with candidates.of_run(world.tenant, run_id(world, WED)) as candidate:
        assert closing.prepare(candidate, "ana", NOW).blockers[0].kind == "stale_opening"
    window_run.run_queued(world.tenant, world.provider)
    # Its rows go on to the next run, lines as well as movements.
    without = [(monday, 0, 500, 0, 500), (wednesday, 500, 70, 500, 70)]
    assert rollforward(world) == without
    assert findings(world) == []
    shown = world.query(f"select status, closeout_status from runs where run_id = '{run.run_id}'")
    decided = world.query("select action, actor, reason from decisions")
    assert shown == [{"status": "void", "closeout_status": "open"}]
    assert decided == [{"action": "void_run", "actor": "ben", "reason": "wrong window"}]
    # Asked for again it is meant, or another mistake.
    request = run_requests.RunRequest(world.provider, settlement_file(TUE), tuesday, None, None, "ana")
    with pytest.raises(UnconfirmedError, match="was taken back"):
        window_run.run_window(world.tenant, request)
    window_run.run_window(world.tenant, run_requests.RunRequest(**{**vars(request), "is_confirmed": True}))
    window_run.run_queued(world.tenant, world.provider)
    assert rollforward(world) == [(monday, 0, 500, 0, 500), (tuesday, 500, 70, 500, 70), (wednesday, 70, 0, 0, 70)]
    assert findings(world) == []


def test_the_lines_of_a_run_taken_back_go_on_to_the_next_run_once(world: World) -> None:
    """They were in no run's tables until their own file was run again."""
    world.add(settle("F2", "", -3, on=TUE, type="fee"), settle("L4", "R4", 40, on=THU))
    world.make(TUE)
    voiding.void(world.tenant, run_id(world, TUE), "ben", "wrong window", NOW)
    window_run.run_queued(world.tenant, world.provider)
    world.make(THU)
    assert settlement_rows(world) == {(WED, 2, 1, 1, 0), (THU, 1, 0, 0, 0)}
    # Run again after all, under another window: its rows are in Wednesday's run, and here they come again.
    world.reconcile(FRI, file=settlement_file(TUE))
    assert settlement_rows(world) == {(WED, 2, 1, 1, 0), (THU, 1, 0, 0, 0), (FRI, 3, 0, 0, 2)}
    assert invariants.faults(world) == []


def test_a_run_that_rows_went_on_to_is_sealed_examined_rebuilt_and_performed_again(world: World) -> None:
    world.add(settle("L4", "R4", 40, on=THU))
    voiding.void(world.tenant, run_id(world, TUE), "ben", "wrong window", NOW)
    window_run.run_queued(world.tenant, world.provider)
    world.make(THU)
    wednesday = run_id(world, WED)
    for actor, step in (("ana", closing.prepare), ("ben", closing.approve)):
        with candidates.of_run(world.tenant, wednesday) as candidate:
            outcome = step(candidate, actor, NOW)
    assert (outcome.status, outcome.blockers) == ("sealed", ())
    assert verified(world).holds
    assert world.revision(WED).manifest["passed_on"] == {settlement_file(TUE): settlement_file(WED)}
    assert findings(world) == []
    outcomes = [reperform(world.tenant, run_id(world, window)) for window in (WED, THU)]
    assert [(found.claim.revision, found.earlier, found.holds) for found in outcomes] == [(2, 1, True), (1, 2, True)]
    before = rollforward(world)
    for folder in (world.paths.staged, world.paths.lake):
        shutil.rmtree(folder)
    remade = rebuild.rebuild(world.tenant)
    # Tuesday's revision as well as both of Wednesday's: the first was made from it.
    assert [(item.revision, item.verdict) for item in remade.revisions].count((1, rebuild.EQUAL)) == 4
    assert [(item.revision, item.verdict) for item in remade.revisions].count((2, rebuild.EQUAL)) == 1
    assert [seal.verdict for seal in remade.seals] == [rebuild.EQUAL]
    assert remade.holds
    assert rollforward(world) == before
    assert findings(world) == []


def settlement_rows(world: World) -> set[tuple[str, int, int, int, int]]:
    """Of the days since Wednesday: settlement rows in, matched, accounted for, come again."""
    rows = world.query(
        "select cast(runs.ledger_window as varchar), rows_in, matched, accounted, duplicates from conservation "
        f"inner join runs using (run_id) where side = 'settlement' and runs.ledger_window >= date '{WED}'"
    )
    return {tuple(row.values()) for row in rows}


@pytest.mark.on_postgresql
def test_nothing_that_a_seal_rests_on_is_taken_back(world: World) -> None:
    for actor, step in (("ana", closing.prepare), ("ben", closing.approve)):
        with candidates.of_run(world.tenant, run_id(world, TUE)) as candidate:
            outcome = step(candidate, actor, NOW)
    assert outcome.status == "sealed"
    for window in (MON, TUE):
        with pytest.raises(NotPossibleError, match="rests on run"):
            voiding.void(world.tenant, run_id(world, window), "ben", "wrong window", NOW)
    assert voiding.void(world.tenant, run_id(world, WED), "ben", "wrong window", NOW).status == "void"


NAMES = {
    "rail_primry": "rail_primary",
    "rail_primaryy": "rail_primary",
    "rail_prinary": "rail_primary",
    "Rail-Primary": "rail_primary",
    "rail_secondary": None,
    "rail_prmry": None,
    "rail_primary": None,
}


def test_a_new_provider_one_letter_from_a_known_one_is_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path)

    def check(name: str) -> None:
        if (nearest := NAMES[name]) is None:
            mistakes.check_provider(world.tenant, name)
        else:
            with pytest.raises(UnconfirmedError, match=f"do you mean {nearest}"):
                mistakes.check_provider(world.tenant, name)

    check_every(NAMES, check)


def test_a_window_that_begins_after_tomorrow_is_asked_about_by_the_clock_of_the_ledger(tmp_path: Path) -> None:
    world = World(tmp_path, {"timezone": "Asia/Tokyo"})
    evening = datetime(2026, 4, 20, 16, tzinfo=UTC)  # in Tokyo the 21st has begun
    mistakes.check_window(world.paths, world.provider, date(2026, 4, 22), evening)
    with pytest.raises(UnconfirmedError, match="window 2026-04-23 begins after tomorrow; today's is 2026-04-21"):
        mistakes.check_window(world.paths, world.provider, date(2026, 4, 23), evening)


def test_what_a_run_taken_back_resolved_blocks_the_closing_of_those_before_it(world: World) -> None:
    """A closeout once took the newest word about an exception, also where it was that of a run that nobody reads."""
    world.add(settle("L1", "R1", 500, on=TUE), settle("L9", "R9", 90, on=TUE))
    world.make(TUE)
    world.add(post("T9", "R9", 90, on=WED))
    world.make(WED)
    (found,) = world.query("select exception_id, status from exceptions where subject_id = 'L9'")
    assert found["status"] == "resolved"
    voiding.void(world.tenant, run_id(world, WED), "ben", "wrong window", NOW)
    with candidates.of_run(world.tenant, run_id(world, TUE)) as candidate:
        blocked = closing.prepare(candidate, "ana", NOW)
    assert [(each.kind, each.subject) for each in blocked.blockers] == [("open_exception", found["exception_id"])]


@pytest.mark.on_postgresql
def test_a_run_taken_back_is_executed_again_once_it_is_asked_for_on_purpose(world: World) -> None:
    """Over HTTP the confirmed request was accepted, and nobody executed it."""
    wednesday = run_id(world, WED)
    voiding.void(world.tenant, wednesday, "ben", "wrong window", NOW)
    request = run_requests.RunRequest(
        world.provider, settlement_file(WED), date.fromisoformat(WED), "finance_ops", None, "ana"
    )
    with pytest.raises(UnconfirmedError, match="was taken back"):
        run_requests.submit(world.tenant, request, NOW)
    confirmed = replace(request, is_confirmed=True)
    assert run_requests.submit(world.tenant, confirmed, NOW).is_queued
    assert not run_requests.submit(world.tenant, confirmed, NOW).is_queued
    with world.tenant.writing() as connection:
        launched = request_store.launch(connection, wednesday, request_store.WORKER, datetime.now(UTC))
        run = run_store.get(connection, wednesday)
    asked = run_requests.as_request(run, launched.actor)
    assert window_run.run_window(world.tenant, asked).run.is_published
    assert [row["status"] for row in world.query(f"select status from runs where run_id = '{wednesday}'")] == [
        "in_review"
    ]


def test_what_a_run_taken_back_outlived_or_showed_is_as_before_it(world: World) -> None:
    """A suggestion was gone for good, and the history of an exception went on, with a run that nobody reads."""
    world.add(settle("L1", "R1", 500, on=TUE), settle("L8", "A8", 80, on=TUE), post("T8", "B8", 80, on=TUE))
    world.add(settle("L9", "R9", 90, on=TUE), post("T9", "R9", 95, on=TUE))
    world.make(TUE)
    world.make(WED)
    suggested = "select run_id from matches where rule = 'amount_date' and status = 'suggested'"
    assert [row["run_id"] for row in world.query(suggested)] == [run_id(world, WED)]
    world.add(settle("M9", "R9", 3, on=THU))
    world.make(THU)
    (found,) = world.query("select exception_id, run_id from exceptions where exception_type = 'amount_mismatch'")
    shown = history.of_exception(world.tenant, found["exception_id"])
    assert [(each.run_id, each.difference_minor) for each in shown] == [
        (run_id(world, TUE), -5),
        (run_id(world, THU), -2),
    ]
    for window in (THU, WED):
        voiding.void(world.tenant, run_id(world, window), "ben", "wrong window", NOW)
    assert [row["run_id"] for row in world.query(suggested)] == [run_id(world, TUE)]
    assert history.of_exception(world.tenant, found["exception_id"]) == shown[:1]
