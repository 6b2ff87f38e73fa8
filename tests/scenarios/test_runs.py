"""Claims about runs themselves: revisions, ids, digests, refusals, sums beyond 64 bits (contract §2, §4, §6, §10)."""

from datetime import date
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE, WED, call, entry, post, settle, settlement_file
from tests.scenarios.world import World, as_csv
from zentra_pipeline.errors import InputRejectedError, RunFailedError, UsageError

QUIET = {"expects_callbacks": False}


def test_the_same_facts_publish_nothing_new_and_repeats_and_later_rows_are_no_inputs(tmp_path: Path) -> None:
    world = World(tmp_path, QUIET)
    line, posting = settle("L1", "R", 500), post("T1", "R", 500)
    world.add(line, posting)
    world.deliver()
    first, again = world.reconcile(MON), world.reconcile(MON)
    assert (first.is_new_revision, again.is_new_revision) == (True, False)
    assert (first.run.revision, again.run.revision) == (1, 1)
    world.add(line.again(file="set_again"), *posting, settle("L2", "Q", 600, on=TUE), post("T2", "Q", 600, on=TUE))
    world.add(call("E1", "R", 500, received="2026-04-21T01:00:01Z"))
    world.deliver()
    assert world.reconcile(MON).run.inputs_digest == first.run.inputs_digest == again.run.inputs_digest


def test_files_of_other_providers_and_other_days_change_nothing_that_a_run_says(tmp_path: Path) -> None:
    """Also not how far back a match by amount and date would have reached: the settlement lag, to 16 April."""
    world = World(tmp_path, QUIET)
    world.add(settle("L1", "R", 500))
    world.make(MON)
    looked = "select windows_from, windows_to from ledger_search where rule = 'amount_date'"
    assert world.query(looked) == [{"windows_from": date(2026, 4, 16), "windows_to": date(2026, 4, 20)}]
    world.add(post("T8", "Q", 700, on=TUE), post("T9", "Q", 700, on="2026-04-09", provider="another"))
    world.deliver()
    assert not world.reconcile(MON).is_new_revision
    other = world.beside("another")
    other.add(settle("L1", "R", 500, on="2026-04-08"))
    other.deliver()
    again = world.reconcile(MON)
    assert (again.is_new_revision, again.run.revision) == (False, 1)


def test_an_entry_that_does_not_touch_the_clearing_account_is_an_input_too(tmp_path: Path) -> None:
    """A restated counter-entry leaves the movement as it was, but its transaction unbalanced: a new revision."""
    world = World(tmp_path, QUIET)
    clearing = entry("E1", "T1", "R", "settlement_account", "credit", 500, file="ledger")
    counter = entry("E2", "T1", "R", "reserved", "debit", 500, file="ledger")
    world.add(settle("L1", "R", 500), clearing, counter)
    world.deliver()
    first = world.reconcile(MON)
    assert world.query("select * from exceptions") == []
    world.add(clearing, counter.again(amount_minor=450))
    world.deliver()
    second = world.reconcile(MON)
    assert second.run.inputs_digest != first.run.inputs_digest
    assert second.run.revision == 2
    assert [row["exception_type"] for row in world.query("select * from exceptions")] == ["unbalanced_transaction"]


def test_a_new_fact_in_an_earlier_window_reaches_the_later_one_and_other_exceptions_keep_their_ids(
    tmp_path: Path,
) -> None:
    """Monday is run again with a line that takes the movement Tuesday had matched: no movement is matched twice."""
    world = World(tmp_path, QUIET)
    world.post("T1", "R", 500)
    world.settle("L0", "Q", 900)
    world.settle("L2", "R", 500, on=TUE)
    world.run(MON)
    of_monday = "select exception_id, run_id, status from exceptions where subject_id = 'L0'"
    opened = world.query(of_monday)
    monday = world.query("select run_id from runs")
    assert [row["run_id"] for row in opened] == [row["run_id"] for row in monday]
    world.run(TUE)
    assert world.query(of_monday) == opened
    assert [row["first_line_id"] for row in world.query("select * from matches")] == ["L2"]
    world.settle("L1", "R", 500)
    world.deliver()
    assert world.reconcile(MON).run.revision == 2
    assert world.query(of_monday) == opened
    assert [row["first_line_id"] for row in world.query("select * from matches")] == ["L1"]
    others = world.query("select exception_type, subject_id, status from exceptions where subject_id <> 'L0'")
    assert others == [{"exception_type": "duplicate_settlement_line", "subject_id": "L2", "status": "open"}]


def test_windows_may_run_in_any_order_and_see_no_rows_of_later_ones(tmp_path: Path) -> None:
    world = World(tmp_path, QUIET)
    world.add(settle("L1", "A", 100, on=MON), post("T1", "A", 100, on=MON), settle("L3", "C", 300, on=WED))
    world.add(post("T3", "D", 400, on=WED))
    assert [said.text for said in world.run(WED)] == [
        "open L3, 300 USD, aged 0",
        "open T1, 100 USD, aged 2",
        "open T3, 400 USD, aged 0",
        "unmatched_provider_row L3, 300 USD",
    ]
    assert [said.text for said in world.run(MON)] == ["exact_reference one_to_one exact: L1 = T1, 100 USD"]


def test_a_sum_beyond_64_bits_fails_the_run_loudly_and_publishes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, QUIET)
    world.add(*(settle(f"L{number}", "R", 10**15 - 1) for number in range(9_300)))
    world.deliver()
    with pytest.raises(RunFailedError, match="more than the 64 bits of an amount hold"):
        world.reconcile(MON)
    run = world.query("select status, revision, failure from runs")[0]
    assert (run["status"], run["revision"]) == ("failed", 0)
    assert run["failure"]
    assert world.query("select * from exceptions") == []


def test_what_each_side_says_of_a_movement_its_differences_and_the_legs_of_its_match(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(settle("000L", "R1", 490), post("T1", "R1", 500), call("E1", "R1", 495))
    world.add(settle("L2", "R2", -70, type="refund"), post("T2", "R2", -70, type="refund"), call("E2", "R2", -70))
    world.add(settle("L3", "R3", 30), post("T4", "R4", 40), call("E5", "R5", 50))
    world.run(MON)
    rows = world.query(
        """select provider_reference, transaction_id, has_callback, has_settlement, has_ledger, callback_minor,
                  settlement_minor, ledger_minor, settlement_vs_ledger_minor, callback_vs_ledger_minor,
                  settlement_vs_callback_minor
           from three_way order by provider_reference"""
    )
    assert [tuple(row.values()) for row in rows] == [
        ("R1", "T1", True, True, True, 495, 490, 500, -10, -5, -5),
        ("R2", "T2", True, True, True, -70, -70, -70, 0, 0, 0),
        ("R3", None, False, True, False, None, 30, None, None, None, None),
        ("R4", "T4", False, False, True, None, None, 40, None, None, None),
        ("R5", None, True, False, False, 50, None, None, None, None, None),
    ]
    legs = world.query(
        """select leg_type, leg_id, match_legs.amount_minor from match_legs inner join matches using (match_id)
           where provider_reference = 'R1' order by leg_type"""
    )
    assert [tuple(leg.values()) for leg in legs] == [
        ("callback", "E1", 495),
        ("ledger_transaction", "T1", 500),
        ("settlement_line", "000L", 490),
    ]


def test_a_settlement_file_never_ingested_is_refused_and_no_run_is_made(tmp_path: Path) -> None:
    world = World(tmp_path, QUIET)
    with pytest.raises(InputRejectedError, match="set_2026_04_20"):
        world.request(MON, settlement_file(MON))
    assert world.query("select * from runs") == []


@pytest.mark.parametrize("name", ["../up", ".hidden", "a b", "a/b", " ", "x" * 129, "set*"])
def test_a_settlement_file_id_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        World(tmp_path, QUIET).request(MON, name)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    world = World(tmp_path, QUIET)
    content = as_csv("settlement", [settle("L1", "R", 500)])
    outcome = world.ingest_bytes("settlement", settlement_file(MON), b"\xef\xbb\xbf" + content)
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (1, 0)
