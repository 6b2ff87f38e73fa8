"""A run judged again as of later: a missing callback that came since is resolved as matched late (contract §10.9)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.closeout.closed_world import close, monday, verified
from tests.scenarios.rows import MON, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.desk import deciding
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.upkeep.reperform import reperform

pytestmark = pytest.mark.ci

EVENING, NOON = "2026-04-20T21:00:00+00:00", "2026-04-21T12:00:00+00:00"
DECIDED = datetime(2026, 4, 21, 9, tzinfo=UTC)
RECEIVED = {
    "E0": "2026-04-20T20:00:00Z",  # before anybody looked
    "E1": "2026-04-20T22:00:00Z",  # after the first look, within the review cut-off
    "E2": "2026-04-21T08:00:00Z",  # after the cut-off
    "E3": "2026-04-21T08:00:00Z",  # after somebody accepted that it is missing
}


def delivered(folder: Path) -> World:
    world = World(folder)
    for number in range(len(RECEIVED)):
        world.add(settle(f"L{number}", f"R{number}", 500), post(f"T{number}", f"R{number}", 500))
    world.add(*(call(event, f"R{event[1:]}", 500, received=at) for event, at in RECEIVED.items()))
    return world


def exceptions(world: World) -> list[tuple[Any, ...]]:
    rows = world.query(
        "select exception_type, subject_id, status, resolution, resolved_by from exceptions order by all"
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture(scope="module")
def looked_twice(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Monday judged in the evening, one missing callback accepted, and judged again at noon, when all had come."""
    world = delivered(tmp_path_factory.mktemp("looked_twice"))
    world.make(MON, EVENING)
    assert [row[:3] for row in exceptions(world)] == [("missing_callback", f"T{n}", "open") for n in (1, 2, 3)]
    (accepted,) = world.query("select exception_id from exceptions where subject_id = 'T3'")
    reason = {"reason": "the provider's queue", "resolution": "accepted_timing"}
    deciding.decide(world.tenant, DecisionRequest(accepted["exception_id"], "resolve", "ann", **reason), DECIDED)
    assert world.reconcile(MON, NOON).is_new_revision
    return world


def test_what_came_since_resolves_it_and_what_a_person_resolved_stays(looked_twice: World) -> None:
    assert exceptions(looked_twice) == [
        ("late_callback", "E2", "open", None, None),
        ("late_callback", "E3", "open", None, None),
        ("missing_callback", "T1", "resolved", "matched_late", "system"),
        ("missing_callback", "T2", "resolved", "matched_late", "system"),
        ("missing_callback", "T3", "resolved", "accepted_timing", "ann"),
    ]
    (row,) = looked_twice.query("select * from exceptions where subject_id = 'T1'")
    assert (row["run_id"], row["resolved_run_id"], str(row["resolved_at"])) == (
        monday(looked_twice),
        monday(looked_twice),
        "2026-04-21 12:00:00",
    )
    assert row["explanation"].endswith("without a successful callback until E1 came at 2026-04-20T22:00:00Z")


def test_each_is_opened_once_and_resolved_once(looked_twice: World) -> None:
    told = looked_twice.query(
        "select event_type, subject_id, data ->> 'resolution' as resolution from events inner join exceptions "
        "on events.subject = exceptions.exception_id where exception_type = 'missing_callback' order by all"
    )
    assert [tuple(row.values()) for row in told] == [
        *(("reconciliation.exception.opened", f"T{number}", None) for number in (1, 2, 3)),
        ("reconciliation.exception.resolved", "T1", "matched_late"),
        ("reconciliation.exception.resolved", "T2", "matched_late"),
        ("reconciliation.exception.resolved", "T3", "accepted_timing"),
    ]


def test_a_movement_that_no_revision_missed_is_as_it_is_known(tmp_path: Path) -> None:
    """Its entries came after the first look, and so did its callback: it was never said to lack one."""
    world = World(tmp_path)
    world.add(settle("L1", "R1", 500), call("E1", "R1", 500, received=RECEIVED["E1"]))
    world.make(MON, EVENING)
    world.add(post("T1", "R1", 500))
    world.make(MON, NOON)
    assert exceptions(world) == []


def test_a_callback_that_had_come_and_whose_file_came_later_was_never_missing(tmp_path: Path) -> None:
    """What is known decides, whatever came first: rows that were received by the first look say so in the second."""
    world = World(tmp_path)
    for number in (0, 1):
        world.add(settle(f"L{number}", f"R{number}", 500), post(f"T{number}", f"R{number}", 500))
    world.make(MON, EVENING)
    assert [row[:3] for row in exceptions(world)] == [("missing_callback", f"T{n}", "open") for n in (0, 1)]
    world.add(*(call(event, f"R{event[1:]}", 500, received=RECEIVED[event]) for event in ("E0", "E1")))
    world.make(MON, NOON)
    came = [("missing_callback", "T1", "resolved", "matched_late", "system")]
    assert exceptions(world) == came
    world.reconcile(MON, "2026-04-21T13:00:00+00:00")
    assert exceptions(world) == came


def test_what_was_missed_stays_when_the_run_is_made_again_for_something_else(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    for as_of in (EVENING, NOON):
        world.make(MON, as_of)
    before = exceptions(world)
    world.add(settle("L9", "R9", 999, file="set_2026_04_20_again"), post("T9", "R9", 999))
    world.deliver()
    assert world.reconcile(MON, NOON).run.revision == 3
    assert [row for row in exceptions(world) if row[1] in {each[1] for each in before}] == before


def test_looking_again_says_nothing_new_and_what_is_sealed_can_be_made_again(looked_twice: World) -> None:
    assert not looked_twice.reconcile(MON, NOON).is_new_revision
    assert close(looked_twice).status == "sealed"
    assert verified(looked_twice).holds
    assert reperform(looked_twice.tenant, monday(looked_twice)).holds


def test_the_root_does_not_say_how_often_one_looked(tmp_path: Path) -> None:
    roots = set()
    for name, looks in (("once", [NOON]), ("twice", [EVENING, NOON])):
        world = delivered(tmp_path / name)
        world.deliver()
        for as_of in looks:
            world.reconcile(MON, as_of)
        assert ("missing_callback", "T1", "resolved", "matched_late", "system") in exceptions(world) or len(looks) == 1
        assert close(world).status == "sealed"
        (closeout,) = world.query("select evidence_root from closeouts")
        roots.add(closeout["evidence_root"])
    assert len(roots) == 1
