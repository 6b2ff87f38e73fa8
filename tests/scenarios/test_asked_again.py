"""A window asked for again says what it would have said at once: late facts about what earlier runs disposed of.

What an earlier run matched or counted is no input row of a later one, and yet a late entry, a second payload of an
event or the last word on a batch changes what the later one says. Does not belong here: facts that are input rows
(test_runs).
"""

import pytest

from tests.scenarios import invariants
from tests.scenarios.rows import MON, TUE, call, entry, post, settle, settlement_file
from tests.scenarios.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Monday is matched, and Tuesday, which has nothing of its own, made after it."""
    world = World(tmp_path_factory.mktemp("asked_again"), {"amount_date_rule": "off"})
    world.add(post("T1", "R1", 500), settle("L1", "R1", 500, batch="B1"), call("E1", "R1", 500))
    world.add(settle("PO", "PO", -500, type="payout", batch="B1"))
    for window in (MON, TUE):
        world.run(window)
    return world


def test_late_facts_about_what_an_earlier_run_matched_are_in_the_window_that_is_asked_for_again(world: World) -> None:
    world.add(
        entry("T1.3", "T1", "R1", "settlement_account", "credit", 20, on=TUE),
        entry("T1.4", "T1", "R1", "reserved", "debit", 20, on=TUE),
    )
    assert [statement.text for statement in world.run(TUE)] == [
        "amount_mismatch L1, 500 USD, off by -20",
        "callback E1 of L1 = T1",
        "exact_reference one_to_one exact: L1 = T1, 500 against 520 USD, off by -20",
        "reversed exact_reference one_to_one exact: L1 = T1, 500 USD",
    ]
    amounts = "opening_minor, posted_minor, settled_minor, closing_minor"
    (reported,) = world.query(f"select {amounts} from rollforward where ledger_window = date '{TUE}'")
    assert tuple(reported.values()) == (0, 20, 20, 0)
    world.add(call("E1", "R1", 501, received=f"{TUE}T09:00:00Z"))
    assert "conflicting_callback E1, 500 USD" in [statement.text for statement in world.run(TUE)]
    world.add(settle("L1", "R1", 500, batch="B2", file=settlement_file(TUE)))
    assert [statement.text for statement in world.run(TUE)] == ["control_total_mismatch PO, -500 USD, off by -500"]
    assert invariants.faults(world) == []


def test_what_comes_again_publishes_nothing(world: World) -> None:
    revision = world.revision(TUE).revision
    world.add(settle("L1", "R1", 500, batch="B2", file=settlement_file(TUE)), call("E1", "R1", 500))
    world.add(entry("T1.3", "T1", "R1", "settlement_account", "credit", 20, on=TUE))
    assert not world.make(TUE).is_new_revision
    assert world.revision(TUE).revision == revision
