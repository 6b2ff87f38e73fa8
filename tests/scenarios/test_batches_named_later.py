"""A batch that a later file names or changes: the line stays the same, the change is shown, the payout is added up."""

from pathlib import Path

import pytest

from tests.scenarios.rows import MON, THU, WED, post, settle
from tests.scenarios.world import World

pytestmark = pytest.mark.ci

CHANGES = "select line_id, change_type, batch_before, batch_after, gross_after_minor from restatements order by line_id"


def test_a_payout_report_names_the_payout_of_lines_that_an_activity_report_brought(tmp_path: Path) -> None:
    """Its rows went to quarantine, and the payout was tied to no row."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.settle("L1", "R1", 1000, fee=59, merchant="")
    world.settle("L2", "R2", 2000, fee=88)
    world.post("T1", "R1", 1000)
    world.post("T2", "R2", 2000)
    world.run(MON)
    report = [
        settle("L1", "R1", 1000, fee=59, merchant="order 1", batch="po_1"),
        settle("L2", "R2", 2000, fee=88, batch="po_1"),
        settle("P1", "po_1", -2850, on=WED, type="payout", batch="po_1"),
    ]
    (outcome,) = world.ingest("settlement", "po_1", report).files
    assert (outcome.staged, outcome.quarantined) == (3, 0)
    world.run(WED, file="po_1")
    changed = [tuple(row.values()) for row in world.query(CHANGES)]
    assert changed == [("L1", "batch_changed", None, "po_1", 1000), ("L2", "batch_changed", None, "po_1", 2000)]
    broken = world.query("select exception_type, subject_id, difference_minor from exceptions")
    assert broken == [{"exception_type": "control_total_mismatch", "subject_id": "P1", "difference_minor": 3}]
    counted = world.query(
        "select rows_in, duplicates, accounted from conservation join runs using (run_id) "
        "where side = 'settlement' and settlement_file = 'po_1'"
    )
    assert counted == [{"rows_in": 3, "duplicates": 2, "accounted": 1}]


def test_a_payout_that_was_sent_again_takes_its_lines_along(tmp_path: Path) -> None:
    world = World(tmp_path, {"expects_callbacks": False})
    line = settle("L1", "R1", 1000, batch="po_1")
    world.ingest(
        "settlement", "first", [line, settle("P1", "po_1", -1000, type="payout", batch="po_1", status="failed")]
    )
    world.post("T1", "R1", 1000)
    world.run(MON, file="first")
    again = [line.again(batch_id="po_2"), settle("P2", "po_2", -1000, on=THU, type="payout", batch="po_2")]
    world.ingest("settlement", "second", again)
    world.run(THU, file="second")
    assert [tuple(row.values()) for row in world.query(CHANGES)] == [("L1", "batch_changed", "po_1", "po_2", 1000)]
    broken = world.query("select exception_type, subject_id from exceptions where status <> 'resolved'")
    assert broken == [{"exception_type": "failed_settlement", "subject_id": "P1"}]


def test_a_line_that_moved_to_another_batch_is_no_part_of_the_one_it_left(tmp_path: Path) -> None:
    """The movement of 1000 names po_1, of which the fee is no part any more."""
    world = World(tmp_path, {"expects_callbacks": False})
    fee = settle("F1", "", -20, type="fee", batch="po_1")
    world.ingest("settlement", "first", [settle("L1", "R1", 1000, batch="po_1"), fee])
    world.run(MON, file="first")
    world.ingest("settlement", "second", [fee.again(batch_id="po_2"), settle("L2", "R2", 70, on=THU)])
    world.post("T1", "po_1", 1000, on=THU, type="payout")
    world.run(THU, file="second")
    matched = world.query("select rule, settlement_minor, ledger_minor from matches where status = 'confirmed'")
    assert matched == [{"rule": "batch_total", "settlement_minor": 1000, "ledger_minor": 1000}]


def test_a_payout_is_added_up_again_when_a_line_leaves_its_batch(tmp_path: Path) -> None:
    """Only the batch that a line came to was judged: the one it left was silent, or showed yesterday's difference."""
    world = World(tmp_path, {"expects_callbacks": False})
    one, two, three = (settle(f"L{n}", f"R{n}", 100 * n, batch=f"po_{n if n == 3 else 1}") for n in (1, 2, 3))
    world.add(one, two, three, *(post(f"T{n}", f"R{n}", 100 * n) for n in (1, 2, 3)))
    world.add(settle("P1", "", -300, type="payout", batch="po_1"), settle("P3", "", -250, type="payout", batch="po_3"))
    broken = "control_total_mismatch P3, -250 USD, off by "
    assert [text for text in said(world, MON) if "mismatch" in text] == [f"{broken}50"]
    # The second line is paid with another payout, and so is the third, which leaves its own payout of nothing.
    world.add(two.again(file="set_wed", batch_id="po_2", arrives=WED), three.again(file="set_wed", batch_id="po_2"))
    world.add(settle("P2", "", -500, on=WED, type="payout", batch="po_2", file="set_wed"))
    assert said(world, WED, "set_wed") == ["control_total_mismatch P1, -300 USD, off by -200", f"{broken}-250"]
    # The second line goes back to where it was.
    world.add(two.again(file="set_thu", batch_id="po_1"))
    assert said(world, THU, "set_thu") == [
        "control_total_mismatch P2, -500 USD, off by -200",
        "resolved as matched_late: control_total_mismatch P1, -300 USD, off by -200",
    ]
    assert world.revision(THU, "set_thu").revision == 1


def said(world: World, window: str, file: str | None = None) -> list[str]:
    """What a window's run newly says of exceptions."""
    return [each.text for each in world.run(window, file=file) if each.key.startswith("exc_")]


def test_a_line_whose_blank_reference_is_filled_in_by_its_own_file_is_no_restatement(tmp_path: Path) -> None:
    digests = set()
    for name, merchants in (("blank_first", ("", "order 1")), ("blank_last", ("order 1", ""))):
        world = World(tmp_path / name, {"expects_callbacks": False})
        for merchant in merchants:
            rows = [settle("L1", "R1", 1000, merchant=merchant, batch=merchant and "po_1"), settle("L2", "R2", 5)]
            world.ingest("settlement", "set", rows[:1] if merchant else rows)
        world.run(MON, file="set")
        counted = world.query("select rows_in, duplicates from conservation where side = 'settlement'")
        assert counted == [{"rows_in": 3, "duplicates": 1}]
        assert world.query("select count(*) as n from restatements where change_type <> 'batch_changed'") == [{"n": 0}]
        digests.add(world.revision(MON, "set").inputs_digest)
    assert len(digests) == 1
