"""Callbacks of later days are in no earlier window, unless they speak for what the run sees (contract §10.14)."""

from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE, WED
from tests.scenarios.world import World

FRIDAY_NOON = "2026-04-24T12:00:00+00:00"
PAIR = "exact_reference one_to_one exact: L1 = T1, 500 USD"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, {"amount_date_rule": "off"})
    made.settle("L1", "R", 500)
    made.post("T1", "R", 500, intent="O")
    return made


def texts(world: World, window: str, as_of: str | None = None) -> list[str]:
    return [statement.text for statement in world.run(window, as_of)]


def test_monday_made_on_friday_sees_of_tuesdays_callbacks_those_that_speak_for_mondays_money(world: World) -> None:
    world.call("E1", "R", 500, on=TUE)
    world.call("E2", "Z", 900, on=TUE)
    world.call("E3", "Q", 700, on=TUE)
    world.call("E3", "Q", 701, on=TUE)
    world.call("E4", "RF", -500, merchant="O", on=TUE)
    world.call("E5", "", 500, merchant="O", status="pending", on=TUE)
    world.call("E6", "R", 500, status="reversed", on=WED)
    assert texts(world, MON, FRIDAY_NOON) == [
        "callback E1 of L1 = T1",
        "callback E5 of L1 = T1",
        "callback E6 of L1 = T1",
        PAIR,
        "late_callback E1, 500 USD",
        "status_conflict T1, 500 USD",
    ]
    assert texts(world, TUE, FRIDAY_NOON) == ["conflicting_callback E3, 700 USD"]
    counted = world.query(
        "select ledger_window, rows_in, matched, in_transit, excepted from conservation "
        "where side = 'callback' order by all"
    )
    assert [[str(value) for value in row.values()] for row in counted] == [
        [MON, "3", "3", "0", "0"],
        [TUE, "4", "0", "2", "2"],
    ]


def test_a_success_of_wednesday_for_a_match_of_monday_waits_for_wednesdays_run(world: World) -> None:
    world.call("E1", "R", 500, on=WED)
    assert texts(world, MON) == [PAIR, "missing_callback T1, 500 USD"]
    assert texts(world, TUE, FRIDAY_NOON) == []
    assert texts(world, WED) == [
        "callback E1 of L1 = T1",
        "late_callback E1, 500 USD",
        "resolved as matched_late: missing_callback T1, 500 USD",
    ]
