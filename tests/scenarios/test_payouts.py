"""What runs publish of payouts: what the bank should book, where and by when; a batch, a retry, a late trace id."""

from pathlib import Path
from typing import Any

from tests.scenarios.rows import FRI, MON, SAT, THU, TUE, settle
from tests.scenarios.world import World

PAYOUTS = "select batch_id, currency, amount_minor, payout_account, status, line_id from payouts order by batch_id"
DUE = """select batch_id, cast(paid_on as varchar) as paid, cast(expected_from as varchar) as early,
    cast(expected_to as varchar) as late from payouts order by batch_id"""


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in world.query(sql)]


def test_a_payout_is_what_the_bank_should_book_where_and_by_when(tmp_path: Path) -> None:
    terms = {"expects_callbacks": False, "payout_account": {"USD": "ACC 1"}, "bank_lag_days": 1}
    world = World(tmp_path, terms)
    world.add(
        settle("L1", "R1", 1000, fee=30, batch="B1", on=FRI),
        settle("P1", "po_1", -970, type="payout", batch="B1", on=FRI),
        settle("L2", "R2", 700, fee=20, batch="B2", on=FRI),
        settle("L3", "R3", 300, batch="B2", on=FRI, status="failed"),
        settle("L4", "R4", 500, "EUR", batch="B3", on=FRI),
        settle("L5", "R5", 200, batch="B4", on=FRI),
        settle("P5", "po_5", 200, type="payout", batch="B4", on=FRI),
        settle("P6", "po_6", -40, "EUR", type="payout", on=FRI),
        settle("L7", "R7", 9, on=FRI),
    )
    world.make(FRI)
    assert rows(world, PAYOUTS) == [
        ("B1", "USD", 970, "ACC1", "in_transit", "P1"),
        ("B2", "USD", 680, "ACC1", "expected", None),  # the sum of its settled lines
        ("B4", "USD", 200, "ACC1", "in_transit", "P5"),  # its provider writes what arrives
        ("po_6", "EUR", 40, None, "in_transit", "P6"),  # no batch, and no account is known of its currency
    ]
    assert rows(world, DUE)[0] == ("B1", FRI, FRI, "2026-04-27"), "one business day after Friday"
    (known,) = rows(world, "select payout_id from payouts where batch_id = 'B2'")

    world.settle("P2", "po_2", -680, type="payout", batch="B2", on=SAT)
    traced = settle("P1", "po_1", -970, type="payout", batch="B1", on=FRI, file="set_2026_04_25")
    world.add(traced.again(trace_id="TR1", statement_text="RAIL B1"))
    world.make(SAT)
    assert rows(world, PAYOUTS)[1] == ("B2", "USD", 680, "ACC1", "in_transit", "P2")
    assert rows(world, "select payout_id from payouts where batch_id = 'B2'") == [known], "known again"
    assert rows(world, "select trace_id, statement_text, amount_minor from payouts where batch_id = 'B1'") == [
        ("TR1", "RAIL B1", 970)
    ], "said later, and no other content of the line"
    assert rows(world, "select count(*) from quarantine") == [(0,)]
    assert rows(world, DUE)[1][1:] == (SAT, SAT, "2026-04-27"), "a Saturday's is due on Monday"


def test_a_payout_that_failed_is_named_by_the_one_that_sends_it_again(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    line = settle("L1", "R1", 1000, batch="po_1")
    failed = settle("P1", "po_1", -1000, type="payout", batch="po_1", status="failed")
    returned = settle("P3", "po_3", -50, type="payout", batch="po_3", status="returned")
    world.ingest("settlement", "first", [line, failed, returned])
    world.make(MON, file="first")
    again = [line.again(batch_id="po_2"), settle("P2", "po_2", -1000, on=THU, type="payout", batch="po_2")]
    named = settle("P4", "po_4", -50, on=THU, type="payout", batch="po_4", original="po_3")
    world.ingest("settlement", "second", [*again, named])
    world.make(THU, file="second")
    assert rows(world, "select batch_id, status, amount_minor from payouts order by batch_id") == [
        ("po_1", "failed", 1000),
        ("po_2", "in_transit", 1000),
        ("po_3", "returned", 50),
        ("po_4", "in_transit", 50),
    ]
    retries = """select later.batch_id, earlier.batch_id from payouts as later
        join payouts as earlier on later.retries_payout_id = earlier.payout_id order by 1"""
    assert [
        tuple(row.values()) for row in world.query(retries.replace("earlier.batch_id", "earlier.batch_id as b"))
    ] == [
        ("po_2", "po_1"),
        ("po_4", "po_3"),
    ]


def test_a_run_without_payouts_publishes_none(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    world.settle("L1", "R1", 1000, batch="B1", on=TUE)
    world.make(TUE)
    assert rows(world, PAYOUTS) == []
