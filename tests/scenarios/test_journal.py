"""Proposed journal entries of a window, line by line: fees, write-offs of both sides, adjustments, tolerance, FX.

A payment stands as a credit on the clearing account until the provider settles it. What is left of it there is what an
entry takes away: a fee kept by the provider, a movement given up, a line that nobody posted.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, TUE, post, settle
from tests.scenarios.test_write_offs import decide, write_off
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.desk import deciding, journal

pytestmark = pytest.mark.ci

PROFILE = {"settlement_lag_days": 0, "expects_callbacks": False, "amount_tolerance_minor": {"USD": 1}}
ACCOUNTS = """\
accounts:
  fee: provider_fees
  write_off: write_offs
  adjustment: adjustments
  fx: fx_conversion
  providers:
    rail_primary: {adjustment: "=suspense"}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Monday with a fee, a tolerated cent, a conversion, and four breaks that Tuesday's operators end."""
    made = World(tmp_path_factory.mktemp("journal"), PROFILE)
    made.add(
        *(settle("L1", "R1", 1000, fee=30), post("T1", "R1", 1000)),
        *(settle("L2", "R2", 501), post("T2", "R2", 500)),
        *(settle("L3", "R3", 10_832, paid=(10_000, "EUR")), post("T3", "R3", 10_000, "EUR")),
        *(settle("L4", "R4", 300), post("T5", "R5", 700)),
        *(settle("L6", "R6", 900), post("T6", "R6", 940)),
        settle("L7", "R7", 45),
        settle("L8", "R8", 2_000),
    )
    made.make(MON)
    made.make(TUE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "_rerun", lambda _tenant, _run, _actor: None)
        write_off(made, "L4")
        write_off(made, "T5")
        for subject in ("L6", "L7"):
            decide(made, subject, "resolve", "ann", resolution="adjustment_required", reason="booked wrongly")
    made.request(TUE, "set_2026_04_21")
    assert made.query("select * from journal_proposals") == [], "nothing is proposed without accounts"
    made.paths.policy.write_text(ACCOUNTS, encoding="utf-8")
    return made


def lines(world: World) -> list[tuple[Any, ...]]:
    rows = world.query("select * from journal_proposals")
    names = ("kind", "account", "direction", "amount_minor", "currency", "item_id", "decided_by", "reason")
    return sorted(tuple(row[name] or "" for name in names) for row in rows)


def test_each_entry_takes_from_the_clearing_account_what_is_left_there(world: World) -> None:
    wrong = ("ann", "booked wrongly")
    assert [row for row in lines(world) if row[0] != "write_off"] == [
        ("adjustment", "=suspense", "credit", 40, "USD", "L6", *wrong),
        ("adjustment", "=suspense", "debit", 45, "USD", "L7", *wrong),
        ("adjustment", "settlement_account", "credit", 45, "USD", "L7", *wrong),
        ("adjustment", "settlement_account", "debit", 40, "USD", "L6", *wrong),
        ("fee", "provider_fees", "credit", 30, "USD", "", "", ""),
        ("fee", "settlement_account", "debit", 30, "USD", "", "", ""),
        ("fx", "fx_conversion", "credit", 10_000, "EUR", "L3", "", ""),
        ("fx", "fx_conversion", "debit", 10_832, "USD", "L3", "", ""),
        ("fx", "settlement_account", "credit", 10_832, "USD", "L3", "", ""),
        ("fx", "settlement_account", "debit", 10_000, "EUR", "L3", "", ""),
        ("tolerance", "=suspense", "debit", 1, "USD", "L2", "", ""),
        ("tolerance", "settlement_account", "credit", 1, "USD", "L2", "", ""),
    ]
    assert [row[:6] for row in lines(world) if row[0] == "write_off"] == [
        ("write_off", "settlement_account", "credit", 300, "USD", "L4"),
        ("write_off", "settlement_account", "debit", 700, "USD", "T5"),
        ("write_off", "write_offs", "credit", 700, "USD", "T5"),
        ("write_off", "write_offs", "debit", 300, "USD", "L4"),
    ]


def test_debits_are_credits_in_every_entry_and_currency(world: World) -> None:
    sums = world.query(
        "select entry_id, currency, sum(case direction when 'debit' then amount_minor else -amount_minor end) as rest, "
        "count(*) as lines from journal_proposals group by all"
    )
    assert {(row["rest"], row["lines"]) for row in sums} == {(0, 2)}
    assert len({row["entry_id"] for row in sums}) == 7


def test_what_rests_on_a_decision_names_it(world: World) -> None:
    known = {row["decision_id"] for row in world.query("select decision_id from decisions")}
    rows = world.query("select kind, decision_id, exception_id from journal_proposals")
    assert {row["kind"] for row in rows if row["decision_id"] is not None} == {"write_off", "adjustment"}
    assert {row["decision_id"] for row in rows} - {None} <= known
    assert {row["kind"] for row in rows if row["exception_id"] is None} == {"fee", "fx", "tolerance"}


def test_an_open_break_calls_for_no_entry(world: World) -> None:
    assert "L8" not in {row[5] for row in lines(world)}


def test_accounts_are_no_part_of_the_policy_that_a_decision_passes(world: World) -> None:
    with_accounts = load_policy(world.paths).digest()
    world.paths.policy.unlink()
    assert load_policy(world.paths).digest() == with_accounts
    world.paths.policy.write_text(ACCOUNTS, encoding="utf-8")


def test_a_month_of_proposals_is_a_sheet_and_a_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--tenant", TENANT, "--home", str(world.home.root)]
    found = journal.of_month(world.paths, "2026-04")
    text = journal.as_csv(found, ";").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    assert len(rows) == len(found.lines) == 16
    (suspense,) = [row for row in rows if row["item_id"] == "L7" and row["debit"]]
    assert (suspense["account"], suspense["debit"], suspense["credit"]) == ("'=suspense", "0.45", "")
    assert [(row["currency"], row["account"], row["debit_minor"], row["credit_minor"]) for row in found.totals] == [
        ("EUR", "fx_conversion", 0, 10_000),
        ("EUR", "settlement_account", 10_000, 0),
        ("USD", "=suspense", 46, 40),
        ("USD", "fx_conversion", 10_832, 0),
        ("USD", "provider_fees", 0, 30),
        ("USD", "settlement_account", 770, 11_178),
        ("USD", "write_offs", 300, 700),
    ]
    assert cli.invoke(["journal", "2026-04", "--json", *where]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 16
    assert cli.invoke(["journal", "2026-04", "--format", "csv", *where]) == 0
    assert capsys.readouterr().out.startswith("entry_id,provider,ledger_window,kind,account,debit,credit,currency")
    assert cli.invoke(["journal", "2026-03", *where]) == 0
    world.paths.policy.write_text("accounts: {fee: f, write_off: w, adjustment: a}\n", encoding="utf-8")
    assert cli.invoke(["journal", "2026-04", *where]) == 2
    assert "accounts.fx" in capsys.readouterr().err
    world.paths.policy.write_text("", encoding="utf-8")
    assert cli.invoke(["journal", "2026-04", *where]) == 2
    assert "maps no accounts" in capsys.readouterr().err
    world.paths.policy.write_text(ACCOUNTS, encoding="utf-8")


def entries(world: World, kind: str) -> list[tuple[Any, ...]]:
    """The lines of entries of a kind: item, account, direction, amount, currency."""
    rows = world.query(f"select * from journal_proposals where kind = '{kind}'")
    names = ("item_id", "account", "direction", "amount_minor", "currency")
    return sorted(tuple(row[name] or "" for name in names) for row in rows)


def test_whatever_a_break_was_its_adjustment_takes_what_is_left_of_it_and_a_fee_is_what_its_run_read(
    tmp_path: Path,
) -> None:
    schedule = {"USD": {"payment": {"rate_bps": 0, "fixed_minor": 30, "tolerance_minor": 0}}}
    world = World(tmp_path, {**PROFILE, "amount_tolerance_minor": 0, "fee_schedule": schedule})
    world.paths.policy.write_text(ACCOUNTS.replace("=suspense", "suspense"), encoding="utf-8")
    world.add(
        *(settle("L1", "R1", 1000, fee=50), post("T1", "R1", 1000)),
        *(settle("L2", "R2", 300, fee=30, net=260), post("T2", "R2", 300)),
        *(settle("L3", "R3", 400, "EUR"), post("T3", "R3", 400)),
        *(settle("L4", "R4", 200, fee=30), settle("L5", "R4", 200, fee=30, at="11:00"), post("T4", "R4", 200)),
        *(settle("L6", "R6", 60, fee=30), post("T6", "R6", 60), post("T7", "R6", 60, at="11:00")),
        *(settle("L8", "R8", 77, fee=30), settle("L9", "R9", 77, fee=30), post("T8", "X8", 77)),
    )
    world.make(MON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "_rerun", lambda _tenant, _run, _actor: None)
        for subject in ("L1", "L2", "L3", "L5", "T7", "L8", "L9"):
            decide(world, subject, "resolve", "ann", resolution="adjustment_required", reason="booked wrongly")

    def pair(item: str, debit: str, credit: str, amount: int, currency: str = "USD") -> list[tuple[Any, ...]]:
        return [(item, debit, "debit", amount, currency), (item, credit, "credit", amount, currency)]

    clearing = "settlement_account"
    assert entries(world, "adjustment") == sorted(
        [
            *pair("L1", "suspense", "provider_fees", 20),
            *pair("L2", clearing, "suspense", 10),
            *pair("L3", "suspense", clearing, 400, "EUR"),
            *pair("L5", "suspense", clearing, 200),
            *pair("T7", clearing, "suspense", 60),
            *pair("L8", "suspense", clearing, 77),
            *pair("L9", "suspense", clearing, 77),
        ]
    )
    kept = 50 + 30 + 30 + 30  # of L1, L2, L4 and L6, which are matched
    ended = [line for item in ("L5", "L8", "L9") for line in pair(item, clearing, "provider_fees", 30)]
    assert entries(world, "fee") == sorted([*pair("", clearing, "provider_fees", kept), *ended])
    world.add(settle("L1", "R1", 990, fee=40))
    world.deliver()
    unread = sorted([*pair("", clearing, "provider_fees", kept), *ended])
    assert entries(world, "fee") == unread, "no run has read it"
    world.make(MON)
    matched = [line for line in entries(world, "fee") if not line[0]]
    assert matched == sorted(pair("", clearing, "provider_fees", 40)), "all that is left in the file"


def test_what_a_later_run_takes_back_keeps_its_entry_and_gets_the_opposite_one(tmp_path: Path) -> None:
    world = World(tmp_path, {**PROFILE, "amount_tolerance_minor": 0})
    world.paths.policy.write_text(ACCOUNTS, encoding="utf-8")
    world.add(settle("L1", "R1", 700, fee=10), post("T1", "R1", 650))
    world.make(MON)
    decide(world, "L1", "resolve", "ann", resolution="adjustment_required", reason="posted too low")
    monday = world.query("select * from journal_proposals")
    assert sorted(row["kind"] for row in monday if row["direction"] == "debit") == ["adjustment", "fee"]
    world.add(post("T2", "R1", 50, on=TUE))
    world.make(TUE)
    rows = world.query("select * from journal_proposals")
    assert [row for row in rows if str(row["ledger_window"]) == MON] == monday
    assert {
        (row["kind"], row["account"], row["direction"], row["amount_minor"])
        for row in rows
        if str(row["ledger_window"]) == TUE
    } == {("adjustment", "settlement_account", "debit", 50), ("adjustment", "=suspense", "credit", 50)}
