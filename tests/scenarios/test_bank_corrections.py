"""What a bank corrects of its own, and what it returns: how much of a payout is in the account in the end."""

from pathlib import Path

from tests.scenarios.bank_rows import Line
from tests.scenarios.bank_world import BankWorld
from tests.scenarios.rows import MON, TUE, WED

PATTERN = {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"}


def test_a_bank_that_corrects_its_own_mistake_takes_no_payout_back(tmp_path: Path) -> None:
    """Booked twice and one taken back; too much booked and the rest taken back: the payout is credited, no more."""
    world = BankWorld(tmp_path, PATTERN)
    for name, amount in (("po_1", 1000), ("po_2", 3000), ("po_3", 5000)):
        world.pay(name, amount, on=MON, batch=f"B{name[-1]}")
    world.run(MON)
    world.state(TUE, Line("a", 1000, "BATCH B1"), Line("b", 4500, "BATCH B2"), Line("c", 5000, "BATCH B3"))
    world.bank_day(TUE)
    world.state(
        WED,
        Line("a2", 1000, "BATCH B1"),
        Line("a3", -1000, "CORRECTION BATCH B1", is_reversal=True),
        Line("b2", -1500, "CORRECTION BATCH B2"),
        # taken back and booked again by the bank on one day, under the same name
        Line("c2", -5000, "RETURN BATCH B3"),
        Line("c3", 5000, "BATCH B3"),
    )
    world.bank_day(WED)
    said = world.bank_says()
    assert [line for line in said if line.startswith("payout")] == [
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: credited",
    ]
    assert [line for line in said if "mismatch" in line and not line.endswith("(matched_late)")] == []
    assert "bank_group: b + b2 = po_2, 3000 USD" in said
