"""A provider's payouts beside our ledger: a file in part, the same one whole, and a later one that overlaps.

Does not belong here: how one entry reads (tests/sources).
"""

import json
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE
from tests.scenarios.test_bank_stories import ingest
from tests.scenarios.world import World
from tests.sources.test_square import entry, money
from zentra_pipeline.errors import InputRejectedError


def pages(*entries: object, payout: tuple[str, int] | None = None) -> bytes:
    found: list[object] = [{"payout_entries": [each]} for each in entries]
    if payout is not None:
        id, amount = payout
        stated = {"id": id, "status": "PAID", "amount_money": money(amount), "created_at": "2026-04-27T20:00:00Z"}
        found.append({"payout": stated})
    return "\n".join(map(json.dumps, found)).encode()


def test_a_payout_in_part_then_whole_then_again_counts_every_entry_once(tmp_path: Path) -> None:
    world = World(tmp_path, {"settlement_format": "square", "expects_callbacks": False}, "square_shop")
    first = entry(1, "CHARGE", 10_000, 290, payment_id="pay_1")
    second = entry(2, "CHARGE", 4_000, 134, payment_id="pay_2")
    third = entry(3, "CHARGE", 700, 30, payment_id="pay_3") | {"payout_id": "po_2"}

    part = ingest(world, "monday.jsonl", pages(first), "square")
    assert (part.staged, part.quarantined) == (1, 0)
    with pytest.raises(
        InputRejectedError, match=r"payout po_1: its amount is 135\.76 USD, and its 1 items come to 97\.10"
    ):
        ingest(world, "monday.jsonl", pages(first, payout=("po_1", 13_576)), "square")
    ingest(world, "monday.jsonl", pages(second, first, payout=("po_1", 13_576)), "square")
    ingest(world, "overlapping.jsonl", pages(second, third, payout=("po_2", 670)), "square")

    for number, minor in ((1, 10_000), (2, 4_000), (3, 700)):
        day = TUE if number == 3 else MON
        world.post(f"t{number}", f"pay_{number}", minor, "USD", on=day, provider="square_shop")
    assert [said.text for said in world.run(MON, file="monday")] == [
        "exact_reference one_to_one exact: poe_1 = t1, 10000 USD",
        "exact_reference one_to_one exact: poe_2 = t2, 4000 USD",
    ]
    assert [said.text for said in world.run(TUE, file="overlapping")] == [
        "exact_reference one_to_one exact: poe_3 = t3, 700 USD",
    ]
    counted = world.query(
        "select settlement_file, rows_in, matched, accounted, duplicates from conservation join runs using (run_id) "
        "where side = 'settlement' order by 1"
    )
    assert [tuple(row.values()) for row in counted] == [("monday", 4, 2, 1, 1), ("overlapping", 3, 1, 1, 1)]
