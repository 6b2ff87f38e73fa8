"""A month is not signed off while a file with rows of it waits that no run has read, of whichever provider."""

from datetime import UTC, datetime
from pathlib import Path

from tests.scenarios.rows import MON, NEXT_MON, NEXT_TUE, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.closeout import period

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
