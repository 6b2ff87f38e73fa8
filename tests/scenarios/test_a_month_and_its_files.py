"""A month is not signed off while a file with rows of it waits that no run has read, of whichever provider."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, NEXT_MON, NEXT_TUE, call, post, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline import remedies
from zentra_pipeline.closeout import candidate, closing, period
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window

pytestmark = pytest.mark.ci

MAY_4 = datetime(2026, 5, 4, 8, tzinfo=UTC)
MAY_1 = "2026-05-01"


def unread(world: World) -> list[str]:
    month = period.seen(world.tenant, "2026-04", MAY_4)
    return [each.subject for each in month.blockers() if each.kind == "newer_facts"]


def test_files_that_no_run_has_read_keep_a_month_from_being_signed_off(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(settle("L1", "R1", 500, on=NEXT_MON), post("T1", "R1", 500, on=NEXT_MON), call("E1", "R1", 500, on=MON))
    world.make(NEXT_MON)
    assert unread(world) == []
    silent = world.beside("silent_rail")
    silent.add(settle("C1", "K1", 300, on=NEXT_TUE), post("U1", "K1", 300, on=NEXT_TUE, provider="silent_rail"))
    silent.deliver()
    assert [subject.split()[0] for subject in unread(world)] == ["silent_rail", "silent_rail"]
    world.add(settle("L1", "R1", 600, on=NEXT_MON), post("T2", "R2", 70, on="2026-04-30"))
    world.deliver()
    assert unread(world)[:2] == ["rail_primary set_2026_04_27", "rail_primary ledger_2"]
    world.make(NEXT_MON)
    assert unread(world)[0].startswith("silent_rail")
    world.make("2026-04-30")
    silent.make(NEXT_TUE)
    assert unread(world) == []
    world.add(settle("L3", "R3", 40, on=MAY_1, at="00:30"), post("T3", "R3", 40, on=MAY_1))
    world.deliver()
    assert unread(world) == [], "they are May's"


def test_a_window_closed_as_idle_is_run_and_amended_where_a_file_comes_after_all(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False, "settlement_lag_days": 0})
    world.add(settle("L1", "R1", 500, on=NEXT_MON), post("T1", "R1", 500, on=NEXT_MON))
    world.make(NEXT_MON)
    day = date.fromisoformat(NEXT_TUE)

    def idle(step: Callable[..., CloseoutResult], actor: str) -> CloseoutResult:
        with candidate.of_idle_window(world.tenant, world.provider, day, actor, MAY_4) as case:
            return step(case, actor, MAY_4)

    idle(closing.prepare, "ann")
    assert idle(closing.approve, "bob").status == "sealed"
    world.add(post("T2", "R2", 70, on=NEXT_TUE))
    world.deliver()
    found = [each for each in period.seen(world.tenant, "2026-04", MAY_4).blockers() if each.kind == "newer_facts"]
    assert {remedies.command(each.remedy, TENANT) for each in found} >= {
        "zentra run --tenant acme --provider rail_primary --settlement-file set_2026_04_28 --ledger-window 2026-04-28 "
        "--owner OWNER --actor ACTOR --no-settlement"
    }
    assert remedies.request(found[0].remedy)["body"]["no_settlement"] is True
    request = RunRequest(world.provider, "set_2026_04_28", day, "ops", MAY_4, "ann")
    with pytest.raises(InputRejectedError, match="was never ingested"):
        run_window(world.tenant, request)
    run = run_window(world.tenant, replace(request, is_nothing_settled=True)).run
    (state,) = period.seen(world.tenant, "2026-04", MAY_4).windows[world.provider][1:2]
    assert (state.ledger_window, state.state, state.run_id) == (NEXT_TUE, "reopened", run.run_id)
    files = world.query("select rows, received_by from files where settlement_file = 'set_2026_04_28'")
    assert files == [{"rows": 0, "received_by": "ann"}]
    with candidate.of_run(world.tenant, run.run_id) as case:
        assert closing.prepare(case, "ann", MAY_4).blockers == ()
    with candidate.of_run(world.tenant, run.run_id) as case:
        assert closing.approve(case, "bob", MAY_4).status == "sealed"
    rows = world.query(
        f"select revision, status, run_revision from closeouts where run_id = '{run.run_id}' order by all"
    )
    assert [tuple(row.values()) for row in rows] == [(1, "amended", 0), (2, "sealed", run.revision)]


def test_entries_after_the_last_run_keep_a_month_from_being_signed_off(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.add(settle("L1", "R1", 500, on=NEXT_MON), post("T1", "R1", 500, on=NEXT_MON))
    world.add(post("T2", "R2", 70, on="2026-04-30"))
    world.make(NEXT_MON)
    month = period.seen(world.tenant, "2026-04", MAY_4)
    assert [each.explanation for each in month.blockers() if each.kind == "newer_facts"] == [
        "2 ledger entries of rail_primary are of windows after its last run, 2026-04-27"
    ]
    world.make(MAY_1)
    assert unread(world) == []
