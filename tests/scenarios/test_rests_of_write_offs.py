"""What is left of an item that was written off: it is compared as what it is, and its exceptions stay in the tables."""

from typing import Any

import pytest

from tests.scenarios import invariants
from tests.scenarios.rows import MON, THU, TUE, WED, entry, post, settle, settlement_file
from tests.scenarios.world import NOW, World
from zentra_pipeline.desk import deciding
from zentra_pipeline.review.record import DecisionRequest

pytestmark = pytest.mark.ci

PROFILE = {"expects_callbacks": False, "settlement_lag_days": 0}
EUROS = (10_000, "EUR")


def decide(world: World, subject: str, action: str, actor: str, **given: Any) -> None:
    """Decide about the exception of a subject that is not resolved."""
    (row,) = world.query(f"select exception_id from exceptions where subject_id = '{subject}' and status <> 'resolved'")
    deciding.decide(world.tenant, DecisionRequest(row["exception_id"], action, actor, **given), NOW)


def write_off(world: World, subject: str) -> None:
    decide(world, subject, "write_off", "ann", reason="not worth a letter")
    decide(world, subject, "approve", "bob")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("rests"), PROFILE)
    world.add(settle("L1", "R1", 10_832, paid=EUROS), post("T5", "R5", 100))
    world.run(MON)
    write_off(world, "L1")
    # The file is restated: 11.68 USD of L1 stay open, and a movement of just that is posted.
    world.add(settle("L1", "R1", 12_000, paid=EUROS, file=settlement_file(MON)), post("T1", "Q1", 1_168))
    world.run(MON)
    world.run(TUE)
    write_off(world, "T5")
    named = {"settlement_lines": ("L1",), "ledger_transactions": ("T1",)}
    decide(world, "L1", "match", "ann", reason="the rest of it", **named)
    # T1 changes, so that the match is undone; then what the customer paid is posted. T5 grows by 0.50 USD.
    for number, account, side in ((3, "settlement_account", "credit"), (4, "reserved", "debit")):
        world.add(entry(f"T1.{number}", "T1", "Q1", account, side, 5, on=WED))
        world.add(entry(f"T5.{number}", "T5", "R5", account, side, 50, on=WED))
    world.add(post("T2", "R1", 10_000, "EUR", on=WED))
    for window in (WED, THU):
        world.run(window)
    write_off(world, "T5")
    return world


def test_the_rest_of_a_line_is_not_matched_with_all_that_the_customer_paid(world: World) -> None:
    """108.32 USD of the line are written off: the 100.00 EUR that are posted are not its rest of 11.68 USD."""
    open_now = world.query("select item_id, currency, amount_minor from open_items_now order by item_id")
    assert {tuple(row.values()) for row in open_now} >= {("L1", "USD", 1_168), ("T2", "EUR", 10_000)}


def test_each_write_off_of_a_movement_that_grew_keeps_its_exception(world: World) -> None:
    """The run that wrote the growth off was made again by that decision, and its exception was in no table."""
    rows = world.query(
        "select ledger_window, amount_minor, status, resolution from exceptions where subject_id = 'T5' order by 1"
    )
    assert [(str(row["ledger_window"]), *list(row.values())[1:]) for row in rows] == [
        (TUE, 100, "resolved", "written_off"),
        (THU, 50, "resolved", "written_off"),
    ]
    given_up = world.query("select amount_minor from write_offs where item_id = 'T5' order by amount_minor desc")
    assert [row["amount_minor"] for row in given_up] == [100, 50]


def test_nothing_is_unexplained(world: World) -> None:
    assert invariants.faults(world) == []
