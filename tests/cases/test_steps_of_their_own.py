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
from tests.scenarios.world import World
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.upkeep.reperform import reperform

pytestmark = pytest.mark.ci

PROVIDER = "acmepay"
NOW = datetime(2026, 3, 12, 9, tzinfo=UTC)
OUT_OF_ORDER = "a run does not open with what the one before closed with"


def world_in(folder: Path, **profile: Any) -> World:
    return World(folder, {"expects_callbacks": False, "amount_date_rule": "off", **profile}, PROVIDER)


def line(line_id: str, amount: int, reference: str, window: int = 1, currency: str = "EUR", **options: Any) -> Row:
    on = DAYS[window - 1]
    return settle(line_id, reference, amount, currency, on=on, at="12:00", file=f"sf{window}", **options)


def fee(window: int) -> Row:
    """A line that needs no movement, so that there is a settlement file."""
    return line(f"F{window}", -1, "", window, type="fee")


def txn(
    transaction_id: str,
    amount: int,
    reference: str,
    window: int = 1,
    currency: str = "EUR",
    provider: str = PROVIDER,
) -> tuple[Row, ...]:
    return post(transaction_id, reference, amount, currency, on=DAYS[window - 1], at="11:00", provider=provider)


def run(world: World, *windows: int) -> None:
    for window in windows:
        run_window(world, DAYS[window - 1])


def roll(world: World, window: int, currency: str = "EUR") -> list[int]:
    """Opening, posted, settled, written off and closing of a window; zeros where it has no row."""
    rows = world.query(
        "select opening_minor, posted_minor, settled_minor, written_off_minor, closing_minor from rollforward "
        f"inner join runs using (run_id) where runs.ledger_window = date '{DAYS[window - 1]}' "
        f"and currency = '{currency}'"
    )
    return list(rows[0].values()) if rows else [0] * 5


def matches(world: World, currency: str = "EUR") -> list[tuple[str, str, int]]:
    rows = world.query(
        "select rule, string_agg(distinct leg_id, ' ' order by leg_id) as legs, any_value(difference_minor) as off "
        "from matches inner join match_legs using (match_id) where status = 'confirmed' and leg_type <> 'callback' "
        f"and matches.currency = '{currency}' group by match_id, rule order by legs"
    )
    return [(row["rule"], row["legs"], row["off"]) for row in rows]


def exceptions(world: World, currency: str = "EUR") -> list[tuple[str, str, int, str]]:
    rows = world.query(
        "select exception_type, subject_id, runs.ledger_window, coalesce(resolution, exceptions.status) as state "
        f"from exceptions inner join runs using (run_id) where currency = '{currency}' order by all"
    )
    return [
        (row["exception_type"], row["subject_id"], DAYS.index(str(row["ledger_window"])) + 1, row["state"])
        for row in rows
    ]


def open_in(world: World, window: int, currency: str = "EUR") -> list[tuple[str, int]]:
    rows = world.query(
        "select item_id, amount_minor from open_items inner join runs using (run_id) "
        f"where runs.ledger_window = date '{DAYS[window - 1]}' and currency = '{currency}' order by all"
    )
    return [(row["item_id"], row["amount_minor"]) for row in rows]


def decide(world: World, subject: str, action: str, actor: str = "ann", **given: Any) -> DecisionResult:
    """Decide about the newest exception of a subject that is not resolved; it is run again by the next `run`."""
    (row,) = world.query(f"select exception_id from exceptions where subject_id = '{subject}' and status <> 'resolved'")
    with recorded_alone():
        return deciding.decide(world.tenant, DecisionRequest(row["exception_id"], action, actor, **given), NOW)


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
    with candidates.of_run(world.tenant, run_id) as candidate:
        return closing.prepare(candidate, "preparer", NOW, **options)


def approve(world: World, run_id: str) -> CloseoutResult:
    with candidates.of_run(world.tenant, run_id) as candidate:
        return closing.approve(candidate, "approver", NOW)


# Cases that share their runs: a currency is a case ----------------------------------------------------------------

TWICE, GIVEN_UP, FORCED, SPLIT = "SEK", "USD", "GBP", "CHF"


def write_off(world: World, *subjects: str) -> None:
    for subject in subjects:
        decide(world, subject, "write_off", reason="small")
        decide(world, subject, "approve", "bob")


Steps = dict[str, World]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory, sqlite_for_module: None) -> Steps:
    """The tables after each step: decisions about the first window, its file restated, a write-off."""
    steps: Steps = {}
    world = world_in(tmp_path_factory.mktemp("five_windows"))

    def keep(step: str) -> None:
        assert invariants.faults(world) == []
        steps[step] = copied(world, tmp_path_factory.mktemp("step"))

    others = [
        *(line("L1.forced", 100, "X.forced", 1, FORCED), line("L1.split", 100, "X.split", 1, SPLIT)),
        *(line("L2.split", 70, "V.split", 1, SPLIT), fee(1)),
    ]
    world.add(line("L1.twice", 100, "X.twice", 1, TWICE), line("L2.twice", 30, "Y.twice", 1, TWICE), *others)
    world.add(txn("T1.twice", 120, "X.twice", 1, TWICE), txn("T2.twice", 30, "Y.twice", 1, TWICE))
    world.add(line("L3.twice", 40, "Z.twice", 2, TWICE), txn("T3.twice", 40, "Z.twice", 2, TWICE))
    world.add(txn("T1.forced", 90, "Y.forced", 1, FORCED), txn("T2.forced", 10, "X.forced", 2, FORCED))
    world.add(txn("T1.split", 60, "Y.split", 1, SPLIT), txn("T2.split", 40, "Z.split", 1, SPLIT))
    world.add(txn("T1.lost", 100, "X.lost", 1, GIVEN_UP), txn("T2.lost", 5, "Q.lost", 4, GIVEN_UP))
    world.add(line("L1.lost", 100, "X.lost", 5, GIVEN_UP), *(fee(window) for window in (2, 3, 4)))
    run(world, 1)
    parts = {"settlement_lines": ["L1.split"], "ledger_transactions": ["T1.split", "T2.split"]}
    decide(world, "L1.split", "split", reason="two parts", **parts)
    assert decide(world, "L2.split", "dispute", reason="asked").state.status == "investigating"
    named = {"settlement_lines": ["L1.forced"], "ledger_transactions": ["T1.forced"]}
    forced = decide(world, "L1.forced", "match", reason="remittance", **named)
    assert forced.state.status == "pending_approval"
    decide(world, "L1.forced", "approve", "bob")
    run(world, 1)
    keep("the decisions")
    run(world, 2)
    keep("the second window")

    # Corrected, and made wrong.
    world.add(line("L1.twice", 120, "X.twice", 1, TWICE), line("L2.twice", 31, "Y.twice", 1, TWICE), *others)
    world.deliver(DAYS[1])
    run(world, 1)
    keep("the restated file")

    run(world, 3, 4)
    decide(world, "T1.lost", "resolve", resolution="written_off", reason="small")
    with pytest.raises(RefusedError):
        decide(world, "T1.lost", "approve")
    decide(world, "T1.lost", "approve", "bob")
    run(world, 4)
    keep("the write-off")
    run(world, 5)
    keep("the fifth window")
    return steps


def test_a_restated_file_after_two_runs(after: Steps) -> None:
    exact = "exact_reference"
    assert matches(after["the restated file"], TWICE) == [
        (exact, "L1.twice T1.twice", 0),
        (exact, "L2.twice T2.twice", 1),
        (exact, "L3.twice T3.twice", 0),
    ]
    before, restated = (after[step].revision(DAYS[0], "sf1") for step in ("the second window", "the restated file"))
    assert restated.revision == before.revision + 1
    found = [each for each in exceptions(after["the restated file"], TWICE) if each[3] != "resolved"]
    assert found == [("amount_mismatch", "L2.twice", 1, "open")]


def test_written_off_then_settled(after: Steps) -> None:
    assert roll(after["the write-off"], 4, GIVEN_UP) == [100, 5, 0, 100, 5]
    world = after["the fifth window"]
    assert matches(world, GIVEN_UP) == []
    assert exceptions(world, GIVEN_UP) == [
        ("unmatched_ledger_entry", "T1.lost", 4, "written_off"),
        ("unmatched_provider_row", "L1.lost", 5, "open"),
    ]
    assert roll(world, 5, GIVEN_UP) == [5, 0, 0, 0, 5]


def test_forced_then_its_missing_part(after: Steps) -> None:
    for step in ("the decisions", "the second window"):
        assert matches(after[step], FORCED) == [("manual", "L1.forced T1.forced", 10)]
    world = after["the second window"]
    assert exceptions(world, FORCED) == [
        ("amount_mismatch", "L1.forced", 1, "open"),
        ("unmatched_provider_row", "L1.forced", 1, "matched_manually"),
    ]
    assert open_in(world, 2, FORCED) == [("T2.forced", 10)]


def test_split_and_dispute(after: Steps) -> None:
    world = after["the decisions"]
    rows = world.query(f"select rule, method, cardinality from matches where currency = '{SPLIT}'")
    assert [tuple(row.values()) for row in rows] == [("manual", "manual", "one_to_many")]
    assert roll(world, 1, SPLIT) == [0, 100, 100, 0, 0]


# What comes on top of a write-off (§10.15), again a currency a case --------------------

GROWS, LOSES, ON_TOP, RESTATED = "USD", "GBP", "CHF", "SEK"
# What a late file brings, by currency: into which window, and how much.
LATE_FILES = {"NOK": (1, 50), "DKK": (2, 50), "PLN": (2, -30)}


def late(amount: int, window: int, currency: str, name: str = "late") -> tuple[Row, ...]:
    """What the ledger adds to the movement of a currency in a window, on both sides."""
    one, other = ("credit", "debit") if amount > 0 else ("debit", "credit")
    about: dict[str, Any] = {"on": DAYS[window - 1], "provider": PROVIDER, "arrives": DAYS[window - 1]}
    of = (f"T1.{currency}", f"X.{currency}")
    return (
        entry(f"{name}.1.{currency}", *of, "settlement_account", one, abs(amount), currency, **about),
        entry(f"{name}.2.{currency}", *of, "customer_funds", other, abs(amount), currency, **about),
    )


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, sqlite_for_module: None) -> Steps:
    """The tables at each step: written off in the second window, then what came on top of it.

    A movement T1 of 100 is overdue at once; so are two lines in one currency, of which one failed.
    """
    steps: Steps = {}
    world = world_in(tmp_path_factory.mktemp("written_off"), settlement_lag_days=0)

    def keep(step: str) -> None:
        assert invariants.faults(world) == []
        steps[step] = copied(world, tmp_path_factory.mktemp("step"))

    movements = [GROWS, LOSES, ON_TOP, *LATE_FILES]
    world.add(*(txn(f"T1.{currency}", 100, f"X.{currency}", 1, currency) for currency in movements))
    world.add(line("L1", 300, "X", 1, RESTATED), line("L2", 80, "Y", 1, RESTATED, status="failed"))
    world.add(*(fee(window) for window in (1, 2, 3, 4, 5)))
    run(world, 1, 2)
    write_off(world, *(f"T1.{currency}" for currency in movements), "L1", "L2")
    run(world, 2)

    world.add(late(50, 3, GROWS), late(25, 4, GROWS, "later"), line(f"L1.{GROWS}", 75, f"X.{GROWS}", 5, GROWS))
    world.add(late(-30, 3, LOSES), late(30, 5, LOSES, "back"), late(50, 3, ON_TOP), late(5, 5, ON_TOP, "later"))
    run(world, 3)
    keep("the third window")

    for currency, (window, change) in LATE_FILES.items():
        world.add(txn(f"T2.{currency}", 7, f"Q.{currency}", 2, currency), late(change, window, currency))
    world.add(line("L1", 350, "X", 1, RESTATED), line("L2", 70, "Y", 1, RESTATED, status="failed"), fee(1))
    world.add(txn(f"T1.{RESTATED}", 50, "X", 3, RESTATED))
    world.deliver(DAYS[2])
    run(world, 1)
    keep("late files")

    run(world, 3, 4)
    keep("the fourth window")
    write_off(world, f"T1.{ON_TOP}")
    run(world, 4)
    keep("written off again")
    run(world, 5)
    keep("the fifth window")
    return steps


def overdue(currency: str, window: int, state: str) -> tuple[str, str, int, str]:
    return ("unmatched_ledger_entry", f"T1.{currency}", window, state)


def test_a_written_off_movement_grows(at: Steps) -> None:
    world = at["the third window"]
    assert roll(world, 2, GROWS) == [100, 0, 0, 100, 0]
    assert roll(world, 3, GROWS) == [0, 50, 0, 0, 50]
    assert open_in(world, 3, GROWS) == [(f"T1.{GROWS}", 50)]
    assert exceptions(world, GROWS)[0] == overdue(GROWS, 2, "written_off")
    world = at["the fourth window"]
    # What was added is overdue by its own window: a new exception, which names the one that was written off.
    assert roll(world, 4, GROWS) == [50, 25, 0, 0, 75]
    assert exceptions(world, GROWS) == [overdue(GROWS, 2, "written_off"), overdue(GROWS, 4, "open")]
    (row,) = world.query(
        "select amount_minor, previous_exception_id from exceptions "
        f"where status <> 'resolved' and currency = '{GROWS}'"
    )
    assert row["amount_minor"] == 75
    assert row["previous_exception_id"] is not None
    world = at["the fifth window"]
    assert matches(world, GROWS) == [("exact_reference", f"L1.{GROWS} T1.{GROWS}", 0)]
    assert exceptions(world, GROWS)[1] == overdue(GROWS, 4, "matched_late")
    assert roll(world, 5, GROWS) == [75, 0, 75, 0, 0]


def test_what_a_written_off_movement_loses_is_open_until_it_comes_back(at: Steps) -> None:
    assert roll(at["the third window"], 3, LOSES) == [0, -30, 0, 0, -30]
    assert exceptions(at["the fourth window"], LOSES)[1] == overdue(LOSES, 4, "open")
    world = at["the fifth window"]
    # Nothing of it is left: the exception ends, and no other replaces it.
    assert roll(world, 5, LOSES) == [-30, 30, 0, 0, 0]
    assert open_in(world, 5, LOSES) == []
    assert exceptions(world, LOSES)[1:] == [overdue(LOSES, 4, "superseded")]


def test_what_comes_on_top_of_a_write_off_is_written_off_as_well(at: Steps) -> None:
    assert roll(at["written off again"], 4, ON_TOP) == [50, 0, 0, 50, 0]
    world = at["the fifth window"]
    assert roll(world, 5, ON_TOP) == [0, 5, 0, 0, 5]
    assert open_in(world, 5, ON_TOP) == [(f"T1.{ON_TOP}", 5)]


def amounts(world: World, currency: str) -> list[tuple[int, str]]:
    rows = world.query(
        "select amount_minor, coalesce(resolution, exceptions.status) as state from exceptions "
        f"inner join runs using (run_id) where currency = '{currency}' order by runs.ledger_window, amount_minor"
    )
    return [(row["amount_minor"], row["state"]) for row in rows]


def given_up(world: World, currency: str) -> list[tuple[str, int]]:
    rows = world.query(f"select item_id, amount_minor from write_offs where currency = '{currency}' order by all")
    return [(row["item_id"], row["amount_minor"]) for row in rows]


def counted(world: World, window: int, side: str, currency: str) -> dict[str, tuple[int, int]]:
    """Rows and amounts of the buckets of a side that have any."""
    (row,) = world.query(
        "select conservation.* from conservation inner join runs using (run_id) "
        f"where side = '{side}' and currency = '{currency}' and runs.ledger_window = date '{DAYS[window - 1]}'"
    )
    buckets = ("matched", "in_transit", "excepted", "accounted", "duplicates")
    found = {bucket: (row[bucket], row[f"{bucket}_minor"]) for bucket in buckets}
    return {bucket: each for bucket, each in found.items() if each != (0, 0)}


@pytest.mark.parametrize(
    ("currency", "second"),
    [
        ("NOK", [150, 0, 0, 100, 50]),
        ("DKK", [100, 50, 0, 100, 50]),
        ("PLN", [100, -30, 0, 100, -30]),
    ],
)
def test_what_changes_in_the_run_that_wrote_it_off_is_open_by_the_change(
    at: Steps, currency: str, second: list[int]
) -> None:
    """A late file of a window that ran: the write-off once gave up the 50 as well, which nobody had approved."""
    world, (_, change) = at["late files"], LATE_FILES[currency]
    opening, posted, settled, gone, left = second
    assert roll(world, 2, currency) == [opening, posted + 7, settled, gone, left + 7]
    assert roll(world, 3, currency) == [change + 7, 0, 0, 0, change + 7]
    for each in (2, 3):
        assert open_in(world, each, currency) == [(f"T1.{currency}", change), (f"T2.{currency}", 7)]
    assert given_up(world, currency) == [(f"T1.{currency}", 100)]
    assert counted(world, 2, "ledger", currency) == {"in_transit": (2, change + 7), "accounted": (0, 100)}
    assert amounts(world, currency) == [(100, "written_off"), *sorted([(7, "open"), (change, "open")])]


def test_a_line_restated_after_its_write_off_is_open_by_the_change(at: Steps) -> None:
    """Of L1 and the failed L2 what was approved is given up; the exceptions that Monday opened show that much."""
    world = at["the third window"]
    assert [open_in(world, window, RESTATED) for window in (1, 2, 3)] == [[("L1", 300), ("L2", 80)], [], []]
    world = at["late files"]
    assert given_up(world, RESTATED) == [("L1", 300), ("L2", 80)]
    assert open_in(world, 1, RESTATED) == [("L1", 350), ("L2", 70)]
    assert open_in(world, 2, RESTATED) == [("L1", 50), ("L2", -10)]
    assert counted(world, 2, "settlement", RESTATED) == {"excepted": (2, 40), "accounted": (0, 380)}
    assert amounts(world, RESTATED)[:2] == [(80, "written_off"), (300, "written_off")]
    world = at["the fourth window"]
    # The rest is an item like any other: a movement of that amount settles it.
    assert matches(world, RESTATED) == [("exact_reference", f"L1 T1.{RESTATED}", 0)]
    assert open_in(world, 3, RESTATED) == [("L2", -10)]
    assert amounts(world, RESTATED)[2:] == [(-10, "open")]


def test_the_seal_of_such_a_run_names_what_was_approved_and_what_is_open(tmp_path: Path) -> None:
    world = world_in(tmp_path, settlement_lag_days=0)
    world.add(txn("T1.EUR", 100, "X.EUR"), fee(1), fee(2))
    run(world, 1, 2)
    write_off(world, "T1.EUR")
    run(world, 2)
    world.add(late(50, 2, "EUR"))
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
    assert reperform(world.tenant, run_id).holds
