"""The ledger cases whose steps are more than runs: windows out of order, restated files, decisions, seals.

Each is the case of `shared/cases/ledger_cases.md` of the same name, written out.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cases.ledger import run_window
from tests.cases.shared import DAYS
from tests.closeout.closed_world import copied
from tests.scenarios import invariants
from tests.scenarios.rows import Row, call, entry, post, settle
from tests.scenarios.test_manual_matches import recorded_alone
from tests.scenarios.world import TENANT, World
from zentra_pipeline.closeout import case as cases
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.upkeep.reperform import reperform

PROVIDER = "acmepay"
NOW = datetime(2026, 3, 12, 9, tzinfo=UTC)
OUT_OF_ORDER = "a run does not open with what the one before closed with"


def world_in(folder: Path, **profile: Any) -> World:
    return World(folder, {"expects_callbacks": False, "amount_date_rule": "off", **profile}, PROVIDER)


def line(line_id: str, amount: int, reference: str, window: int = 1, **options: Any) -> Row:
    return settle(line_id, reference, amount, "EUR", on=DAYS[window - 1], at="12:00", file=f"sf{window}", **options)


def fee(window: int) -> Row:
    """A line that needs no movement, so that there is a settlement file."""
    return line(f"F{window}", -1, "", window, type="fee")


def txn(transaction_id: str, amount: int, reference: str, window: int = 1, provider: str = PROVIDER) -> tuple[Row, ...]:
    return post(transaction_id, reference, amount, "EUR", on=DAYS[window - 1], at="11:00", provider=provider)


def run(world: World, *windows: int) -> None:
    for window in windows:
        run_window(world, DAYS[window - 1])


def roll(world: World, window: int) -> list[int]:
    """Opening, posted, settled, written off and closing of a window; zeros where it has no row."""
    rows = world.query(
        "select opening_minor, posted_minor, settled_minor, written_off_minor, closing_minor from rollforward "
        f"inner join runs using (run_id) where runs.ledger_window = date '{DAYS[window - 1]}'"
    )
    return list(rows[0].values()) if rows else [0] * 5


def matches(world: World) -> list[tuple[str, str, int]]:
    rows = world.query(
        "select rule, string_agg(distinct leg_id, ' ' order by leg_id) as legs, any_value(difference_minor) as off "
        "from matches inner join match_legs using (match_id) where status = 'confirmed' and leg_type <> 'callback' "
        "group by match_id, rule order by legs"
    )
    return [(row["rule"], row["legs"], row["off"]) for row in rows]


def exceptions(world: World) -> list[tuple[str, str, int, str]]:
    rows = world.query(
        "select exception_type, subject_id, runs.ledger_window, coalesce(resolution, exceptions.status) as state "
        "from exceptions inner join runs using (run_id) order by all"
    )
    return [
        (row["exception_type"], row["subject_id"], DAYS.index(str(row["ledger_window"])) + 1, row["state"])
        for row in rows
    ]


def open_in(world: World, window: int) -> list[tuple[str, int]]:
    rows = world.query(
        "select item_id, amount_minor from open_items inner join runs using (run_id) "
        f"where runs.ledger_window = date '{DAYS[window - 1]}' order by all"
    )
    return [(row["item_id"], row["amount_minor"]) for row in rows]


def decide(world: World, subject: str, action: str, actor: str = "ann", **given: Any) -> DecisionResult:
    """Decide about the newest exception of a subject that is not resolved; its run is made anew by the next `run`."""
    (row,) = world.query(f"select exception_id from exceptions where subject_id = '{subject}' and status <> 'resolved'")
    with recorded_alone():
        return deciding.decide(world.home, TENANT, row["exception_id"], action, actor, now=NOW, **given)


def test_wednesday_before_tuesday(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(line("L1", 100, "X"), txn("T1", 100, "X"), line("L2", 50, "Y", 2), txn("T2", 50, "Y"))
    world.add(txn("T3", 7, "Z", 2), line("L3", 100, "X", 2), fee(3))
    run(world, 2, 1, 3)
    assert matches(world) == [("exact_reference", "L2 T2", 0), ("exact_reference", "L3 T1", 0)]
    assert exceptions(world) == [("duplicate_settlement_line", "L1", 1, "open")]
    assert roll(world, 2) == [0, 157, 150, 0, 7]
    # Tuesday does not see Wednesday's T3.
    assert roll(world, 1) in ([0, 0, 0, 0, 0], [7, 0, 0, 0, 7])
    assert roll(world, 3) == [7, 0, 0, 0, 7]
    assert [fault for fault in invariants.faults(world) if not fault.startswith(OUT_OF_ORDER)] == []


def test_a_window_is_left_out(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(txn("T1", 100, "X"), fee(1), txn("T2", 50, "Y", 2), line("L1", 100, "X", 3), line("L2", 50, "Y", 3))
    world.add(txn("T9", 9, "Q", 4))
    run(world, 1, 3)
    assert matches(world) == [("exact_reference", "L1 T1", 0), ("exact_reference", "L2 T2", 0)]
    assert exceptions(world) == []
    assert roll(world, 3) == [100, 50, 150, 0, 0]
    assert invariants.faults(world) == []


def test_two_providers_of_one_tenant(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    (world.paths.providers / "otherpay.yml").write_text("expects_callbacks: false\n", encoding="utf-8")
    other = world.beside("otherpay")
    world.add(line("L1", 100, "X"), txn("T2", 55, "Y"), line("L2", 50, "Y"))
    other.add(line("L1", 100, "X"), txn("T1", 100, "X", provider="otherpay"), line("L2", 55, "Y"))
    for each in (world, other):
        each.deliver()
    run(world, 1)
    run(other, 1)
    rows = world.query(
        "select runs.provider, first_line_id, difference_minor from matches join runs using (run_id) order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [("acmepay", "L2", -5), ("otherpay", "L1", 0)]
    rows = world.query(
        "select runs.provider, exception_type, subject_id, exception_id "
        "from exceptions join runs using (run_id) order by all"
    )
    assert [tuple(row.values())[:3] for row in rows] == [
        ("acmepay", "amount_mismatch", "L2"),
        ("acmepay", "unmatched_provider_row", "L1"),
        ("otherpay", "unmatched_provider_row", "L2"),
    ]
    assert len({row["exception_id"] for row in rows}) == 3
    assert invariants.faults(world) == []


def test_a_restated_file_after_two_runs(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(line("L1", 100, "X"), txn("T1", 120, "X"), line("L2", 30, "Y"), txn("T2", 30, "Y"))
    world.add(line("L3", 40, "Z", 2), txn("T3", 40, "Z", 2))
    run(world, 1, 2)
    world.add(line("L1", 120, "X"), line("L2", 31, "Y"))  # corrected, and made wrong
    world.deliver()
    run(world, 1)
    exact = "exact_reference"
    assert matches(world) == [(exact, "L1 T1", 0), (exact, "L2 T2", 1), (exact, "L3 T3", 0)]
    rows = world.query("select revision from runs order by ledger_window")
    assert rows[0]["revision"] == 2
    assert [each for each in exceptions(world) if each[3] != "resolved"] == [("amount_mismatch", "L2", 1, "open")]
    assert invariants.faults(world) == []


def test_a_restated_file_after_a_close(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(line("L1", 100, "X"), txn("T1", 100, "X"))
    run(world, 1)
    (first,) = (row["run_id"] for row in world.query("select run_id from runs"))
    prepare(world, first)
    approve(world, first)
    world.add(line("L1", 90, "X"))
    world.deliver()
    run(world, 1)
    assert matches(world) == [("exact_reference", "L1 T1", -10)]
    assert exceptions(world) == [("amount_mismatch", "L1", 1, "open")]
    assert world.query("select difference_minor from matches_as_closed") == [{"difference_minor": 0}]
    assert prepare(world, first, reason="restated").status == "blocked"
    decide(world, "L1", "resolve", resolution="provider_error_confirmed", reason="mail of the 5th")
    assert prepare(world, first, reason="restated").status == "prepared"
    assert approve(world, first).status == "sealed"
    rows = world.query("select revision, coalesce(amends, '') <> '' as is_amendment from closeouts order by revision")
    assert [tuple(row.values()) for row in rows] == [(1, False), (2, True)]
    report = verify.verify(world.paths.closeouts, world.home.trust, world.paths.heads / f"{PROVIDER}.json")
    assert report.holds


def test_a_late_callback_after_a_close(tmp_path: Path) -> None:
    world = world_in(tmp_path, expects_callbacks=True)
    about: dict[str, Any] = {"currency": "EUR", "at": "11:05"}
    world.add(line("L1", 100, "X"), txn("T1", 100, "X"), call("E1", "X", 100, on=DAYS[0], **about), fee(2))
    run(world, 1)
    (first,) = (row["run_id"] for row in world.query("select run_id from runs"))
    prepare(world, first)
    approve(world, first)
    world.add(call("E2", "X", 100, status="reversed", on=DAYS[1], **about))
    run(world, 2)
    # The reversal is a break of Tuesday's run; what was closed stays as it was.
    assert exceptions(world) == [("status_conflict", "T1", 2, "open")]
    assert world.query("select exception_type from exceptions_as_closed") == []
    assert world.revision(DAYS[0], "sf1").revision == 1
    rows = world.query("select run_id, status, amends from closeouts")
    assert rows == [{"run_id": first, "status": "sealed", "amends": None}]
    report = verify.verify(world.paths.closeouts, world.home.trust, world.paths.heads / f"{PROVIDER}.json")
    assert report.holds
    assert invariants.faults(world) == []


def prepare(world: World, run_id: str, **options: Any) -> CloseoutResult:
    with cases.of_run(world.home, TENANT, run_id) as case:
        return closing.prepare(case, "preparer", NOW, **options)


def approve(world: World, run_id: str) -> CloseoutResult:
    with cases.of_run(world.home, TENANT, run_id) as case:
        return closing.approve(case, "approver", NOW)


def test_written_off_then_settled(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(txn("T1", 100, "X"), txn("T2", 5, "Q", 4), *(fee(window) for window in (1, 2, 3, 4)))
    world.add(line("L1", 100, "X", 5))
    run(world, 1, 2, 3, 4)
    decide(world, "T1", "resolve", resolution="written_off", reason="small")
    with pytest.raises(RefusedError):
        decide(world, "T1", "approve")
    decide(world, "T1", "approve", "bob")
    run(world, 4)
    assert roll(world, 4) == [100, 5, 0, 100, 5]
    run(world, 5)
    assert matches(world) == []
    assert exceptions(world) == [
        ("unmatched_ledger_entry", "T1", 4, "written_off"),
        ("unmatched_provider_row", "L1", 5, "open"),
    ]
    assert roll(world, 5) == [5, 0, 0, 0, 5]
    assert invariants.faults(world) == []


def test_forced_then_its_missing_part(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(line("L1", 100, "X"), txn("T1", 90, "Y"), txn("T2", 10, "X", 2), fee(2))
    run(world, 1)
    named = {"settlement_lines": ["L1"], "ledger_transactions": ["T1"]}
    assert decide(world, "L1", "match", reason="remittance", **named).state.status == "pending_approval"
    decide(world, "L1", "approve", "bob")
    run(world, 1)
    assert matches(world) == [("manual", "L1 T1", 10)]
    run(world, 2)
    assert matches(world) == [("manual", "L1 T1", 10)]
    assert exceptions(world) == [
        ("amount_mismatch", "L1", 1, "open"),
        ("unmatched_provider_row", "L1", 1, "matched_manually"),
    ]
    assert open_in(world, 2) == [("T2", 10)]
    assert invariants.faults(world) == []


def test_split_and_dispute(tmp_path: Path) -> None:
    world = world_in(tmp_path)
    world.add(line("L1", 100, "X"), txn("T1", 60, "Y"), txn("T2", 40, "Z"), line("L2", 70, "V"))
    run(world, 1)
    named = {"settlement_lines": ["L1"], "ledger_transactions": ["T1", "T2"]}
    decide(world, "L1", "split", reason="two parts", **named)
    assert decide(world, "L2", "dispute", reason="asked").state.status == "investigating"
    run(world, 1)
    rows = world.query("select rule, method, cardinality from matches")
    assert [tuple(row.values()) for row in rows] == [("manual", "manual", "one_to_many")]
    assert roll(world, 1) == [0, 100, 100, 0, 0]
    assert invariants.faults(world) == []


# What comes on top of a write-off (§10.15) ----------------------------------------------------------------------------


def late(amount: int, window: int, name: str = "late") -> tuple[Row, ...]:
    """What the ledger adds to T1 in a window, on both sides."""
    one, other = ("credit", "debit") if amount > 0 else ("debit", "credit")
    about: dict[str, Any] = {"on": DAYS[window - 1], "provider": PROVIDER, "arrives": DAYS[window - 1]}
    return (
        entry(f"{name}.1", "T1", "X", "settlement_account", one, abs(amount), "EUR", **about),
        entry(f"{name}.2", "T1", "X", "customer_funds", other, abs(amount), "EUR", **about),
    )


@pytest.fixture(scope="module")
def first_two_windows(tmp_path_factory: pytest.TempPathFactory, sqlite_for_module: None) -> World:
    """T1 of 100 is overdue at once, and written off in the second window's books."""
    world = world_in(tmp_path_factory.mktemp("written_off"), settlement_lag_days=0)
    world.add(txn("T1", 100, "X"), *(fee(window) for window in (1, 2, 3, 4, 5)))
    run(world, 1, 2)
    decide(world, "T1", "write_off", reason="small")
    decide(world, "T1", "approve", "bob")
    run(world, 2)
    return world


@pytest.fixture
def written_off(first_two_windows: World, tmp_path: Path) -> World:
    """Its own copy for each test."""
    return copied(first_two_windows, tmp_path)


def test_a_written_off_movement_grows(written_off: World) -> None:
    world = written_off
    world.add(late(50, 3), late(25, 4, "later"), line("L1", 75, "X", 5))
    run(world, 3)
    assert roll(world, 2) == [100, 0, 0, 100, 0]
    assert roll(world, 3) == [0, 50, 0, 0, 50]
    assert open_in(world, 3) == [("T1", 50)]
    assert exceptions(world) == [("unmatched_ledger_entry", "T1", 2, "written_off")]
    run(world, 4)
    # What was added is overdue by its own window: a new exception, which names the one that was written off.
    assert roll(world, 4) == [50, 25, 0, 0, 75]
    assert exceptions(world)[1] == ("unmatched_ledger_entry", "T1", 4, "open")
    (row,) = world.query("select amount_minor, previous_exception_id from exceptions where status <> 'resolved'")
    assert row["amount_minor"] == 75
    assert row["previous_exception_id"] is not None
    run(world, 5)
    assert matches(world) == [("exact_reference", "L1 T1", 0)]
    assert exceptions(world)[1] == ("unmatched_ledger_entry", "T1", 4, "matched_late")
    assert roll(world, 5) == [75, 0, 75, 0, 0]
    assert invariants.faults(world) == []


def test_what_a_written_off_movement_loses_is_open_until_it_comes_back(written_off: World) -> None:
    world = written_off
    world.add(late(-30, 3), late(30, 5, "back"))
    run(world, 3, 4)
    assert roll(world, 3) == [0, -30, 0, 0, -30]
    assert exceptions(world)[1] == ("unmatched_ledger_entry", "T1", 4, "open")
    run(world, 5)
    # Nothing of it is left: the exception ends, and no other replaces it.
    assert roll(world, 5) == [-30, 30, 0, 0, 0]
    assert open_in(world, 5) == []
    assert exceptions(world)[1] == ("unmatched_ledger_entry", "T1", 4, "superseded")
    assert invariants.faults(world) == []


def test_what_comes_on_top_of_a_write_off_is_written_off_as_well(written_off: World) -> None:
    world = written_off
    world.add(late(50, 3), late(5, 5, "later"))
    run(world, 3, 4)
    decide(world, "T1", "write_off", reason="small")
    decide(world, "T1", "approve", "bob")
    run(world, 4)
    assert roll(world, 4) == [50, 0, 0, 50, 0]
    run(world, 5)
    assert roll(world, 5) == [0, 5, 0, 0, 5]
    assert open_in(world, 5) == [("T1", 5)]
    assert invariants.faults(world) == []


def amounts(world: World) -> list[tuple[int, str]]:
    rows = world.query(
        "select amount_minor, coalesce(resolution, exceptions.status) as state "
        "from exceptions inner join runs using (run_id) order by runs.ledger_window, amount_minor"
    )
    return [(row["amount_minor"], row["state"]) for row in rows]


def given_up(world: World) -> list[tuple[str, int]]:
    rows = world.query("select item_id, amount_minor from write_offs order by all")
    return [(row["item_id"], row["amount_minor"]) for row in rows]


def counted(world: World, window: int, side: str) -> dict[str, tuple[int, int]]:
    """Rows and amounts of the buckets of a side that have any."""
    (row,) = world.query(
        "select conservation.* from conservation inner join runs using (run_id) "
        f"where side = '{side}' and currency = 'EUR' and runs.ledger_window = date '{DAYS[window - 1]}'"
    )
    buckets = ("matched", "in_transit", "excepted", "accounted", "duplicates")
    found = {bucket: (row[bucket], row[f"{bucket}_minor"]) for bucket in buckets}
    return {bucket: each for bucket, each in found.items() if each != (0, 0)}


@pytest.mark.parametrize(
    ("window", "change", "second"),
    [
        (1, 50, [150, 0, 0, 100, 50]),
        (2, 50, [100, 50, 0, 100, 50]),
        (2, -30, [100, -30, 0, 100, -30]),
    ],
)
def test_what_changes_in_the_books_that_wrote_it_off_is_open_by_the_change(
    written_off: World, window: int, change: int, second: list[int]
) -> None:
    """A late file of a window that ran: the write-off once gave up the 50 as well, which nobody had approved."""
    world = written_off
    run(world, 3)
    world.add(txn("T2", 7, "Q", 2), late(change, window))
    world.deliver()
    run(world, window)
    opening, posted, settled, gone, left = second
    assert roll(world, 2) == [opening, posted + 7, settled, gone, left + 7]
    assert roll(world, 3) == [change + 7, 0, 0, 0, change + 7]
    for each in (2, 3):
        assert open_in(world, each) == [("T1", change), ("T2", 7)]
    assert given_up(world) == [("T1", 100)]
    assert counted(world, 2, "ledger") == {"in_transit": (2, change + 7), "accounted": (0, 100)}
    assert amounts(world) == [(100, "written_off"), *sorted([(7, "open"), (change, "open")])]
    assert invariants.faults(world) == []


def test_a_line_restated_after_its_write_off_is_open_by_the_change(tmp_path: Path) -> None:
    """Of L1 and the failed L2 what was approved is given up; the exceptions that Monday opened show that much."""
    world = world_in(tmp_path)
    world.add(line("L1", 300, "X"), line("L2", 80, "Y", status="failed"), fee(2), fee(3))
    run(world, 1, 2)
    for name in ("L1", "L2"):
        decide(world, name, "write_off", reason="small")
        decide(world, name, "approve", "bob")
    run(world, 2, 3)
    assert [open_in(world, window) for window in (1, 2, 3)] == [[("L1", 300), ("L2", 80)], [], []]
    world.add(line("L1", 350, "X"), line("L2", 70, "Y", status="failed"), txn("T1", 50, "X", 3))
    world.deliver()
    run(world, 1)
    assert given_up(world) == [("L1", 300), ("L2", 80)]
    assert open_in(world, 1) == [("L1", 350), ("L2", 70)]
    assert open_in(world, 2) == [("L1", 50), ("L2", -10)]
    assert counted(world, 2, "settlement") == {"excepted": (2, 40), "accounted": (1, 379)}
    assert amounts(world)[:2] == [(80, "written_off"), (300, "written_off")]
    run(world, 3)
    # The rest is an item like any other: a movement of that amount settles it.
    assert matches(world) == [("exact_reference", "L1 T1", 0)]
    assert open_in(world, 3) == [("L2", -10)]
    assert amounts(world)[2:] == [(-10, "open")]
    assert invariants.faults(world) == []


def test_the_seal_of_such_books_names_what_was_approved_and_what_is_open(written_off: World, tmp_path: Path) -> None:
    world = written_off
    world.add(late(50, 2))
    world.deliver()
    run(world, 2)
    run_id = world.revision(DAYS[1], "sf2").run_id
    assert prepare(world, run_id).status == "prepared"
    sealed = approve(world, run_id)
    assert (sealed.status, sealed.bundle is not None) == ("sealed", True)
    totals = json.loads((sealed.bundle or tmp_path).joinpath("files/control_totals.json").read_bytes())
    movements = {"item_type": "ledger_transaction", "currency": "EUR", "items": 1}
    assert totals["write_offs"] == [{**movements, "amount_minor": "100"}]
    assert totals["open_items"] == [{**movements, "amount_minor": "50"}]
    assert verify.verify(world.paths.closeouts, world.home.trust, world.paths.heads / f"{PROVIDER}.json").holds
    assert reperform(world.home, TENANT, run_id).holds
