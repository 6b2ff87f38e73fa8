"""From payout to cash: what runs of a bank account say of payouts and the lines of statements."""

from pathlib import Path

import pytest

from tests.scenarios.bank_rows import ACCOUNT, Line, statement
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import FRI, MON, THU, TUE, WED
from tests.scenarios.world import NOW
from zentra_pipeline.closeout import candidate, closing, verify
from zentra_pipeline.published import movement_history
from zentra_pipeline.runtime import trace
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.upkeep import rebuild, reperform

pytestmark = pytest.mark.ci

PATTERN = {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"}


def test_the_way_of_a_payment_ends_at_the_line_that_credited_its_payout(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, PATTERN)
    world.pay("po_1", 125000, on=MON, batch="B1")
    world.run(MON)
    world.state(TUE, Line("R1", 125000, "RAIL BATCH B1"), Line("R2", -700, "rent"))
    world.bank_day(TUE)

    assert world.bank_says() == ["bank_text: R1 = po_1, 125000 USD", "payout po_1: credited"]
    (story,) = world.query("select * exclude (payout_id) from cash_story")
    assert story == {
        "tenant_id": "acme",
        "provider": "rail_primary",
        "provider_reference": "pay-po_1",
        "transaction_id": "txn-po_1",
        "line_id": "line-po_1",
        "batch_id": "B1",
        "bank_line_id": "DE02120300000000202051:R1",
        "currency": "USD",
        "settled_minor": 125000,
        "payout_minor": 125000,
        "payout_status": "credited",
        "credited_on": story["credited_on"],
    }
    assert str(story["credited_on"]) == TUE
    # The rent is other business of the account: accounted for, and no exception.
    assert world.query(
        f"select side, rows_in, matched, accounted, rows_unexplained from conservation where provider = '{SCOPE}'"
    ) == [
        {"side": "bank", "rows_in": 2, "matched": 1, "accounted": 1, "rows_unexplained": 0},
        {"side": "payout", "rows_in": 1, "matched": 1, "accounted": 0, "rows_unexplained": 0},
    ]
    assert world.query(
        "select payout_provider, paid_out_minor, credited_minor, closing_minor from cash_in_transit"
    ) == [{"payout_provider": "rail_primary", "paid_out_minor": 125000, "credited_minor": 125000, "closing_minor": 0}]
    assert world.query("select opening_minor, lines_minor, gap_minor, closing_minor from account_balances") == [
        {"opening_minor": 0, "lines_minor": 124300, "gap_minor": 0, "closing_minor": 124300}
    ]
    history = movement_history.history_of(world.paths, "pay-po_1")
    assert [entry.kind for entry in history.entries] == ["ledger", "settlement", "payout", "bank", "match"]
    assert history.state[-1].endswith(" credited")
    traced = trace.trace(world.tenant, "int-po_1")
    assert traced is not None
    flow = {account.role: (account.net_minor, account.state) for account in traced.ledger_flow}
    assert (flow["merchant"], flow["payout"]) == ((125000, "credited"), (0, "credited"))
    emitted = [
        row["event_type"]
        for row in world.query(f"select event_type from events where provider = '{SCOPE}' order by position")
    ]
    assert emitted == ["reconciliation.run.created", "reconciliation.match.created", "reconciliation.payout.credited"]


def test_lines_find_payouts_one_to_one_in_parts_and_together_and_what_is_left_is_named(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, {**PATTERN, "bank_fee_tolerance_minor": 100})
    for number, amount in enumerate((10000, 30000, 9000, 500, 4000, 7000, 2000, 2100), start=1):
        world.pay(f"po_{number}", amount, on=MON, batch=f"B{number}")
    world.run(MON)
    world.state(
        WED,
        Line("whole", 10000, "BATCH B1", trace="T-1"),
        Line("half", 10000, "BATCH B2"),
        Line("rest", 20000, "BATCH B2"),
        Line("less fee", 8950, "BATCH B3"),
        Line("charged", 350, "BATCH B4", charges=150),
        Line("short", 3000, "BATCH B5"),
        Line("a first", 7000, "BATCH B6"),
        Line("again", 7000, "BATCH B6"),
        Line("unknown", 1234, "BATCH B99"),
        Line("pending", 2000, "BATCH B7", is_pending=True),
        Line("other", -5000, "salaries"),
    )
    world.bank_day(WED)

    assert world.bank_says() == [
        "bank_amount_mismatch: short, 3000 USD",
        "bank_fee_variance: charged, -150 USD",
        "bank_group: half + rest = po_2, 30000 USD",
        "bank_text: a first = po_6, 7000 USD",
        "bank_text: charged = po_4, 350 USD, fee 150",
        "bank_text: less fee = po_3, 8950 USD, fee 50",
        "bank_text: short = po_5, 3000 USD",
        "bank_text: whole = po_1, 10000 USD",
        "duplicate_bank_line: again, 7000 USD",
        "payout po_1: credited",
        "payout po_2: credited",
        "payout po_3: credited",
        "payout po_4: credited",
        "payout po_5: partially_credited",
        "payout po_6: credited",
        "payout po_7: in_transit",
        "payout po_8: in_transit",
        "unexpected_bank_credit: unknown, 1234 USD",
    ]

    # The pending line is booked, the rest of a payout comes, another stays out beyond the lag of three business days.
    world.state(FRI, Line("pending", 2000, "BATCH B7"), Line("late rest", 1000, "BATCH B5"))
    world.bank_day(FRI)
    said = world.bank_says()
    assert [line for line in said if "po_5" in line or "short" in line or "po_7" in line or "po_8" in line] == [
        "bank_amount_mismatch: short, 3000 USD (matched_late)",
        "bank_group: late rest + short = po_5, 4000 USD",
        "bank_text: pending = po_7, 2000 USD",
        "bank_text: short = po_5, 3000 USD (reversed)",
        "missing_bank_credit: po_8, 2100 USD",
        "payout po_5: credited",
        "payout po_7: credited",
        "payout po_8: overdue",
    ]


def test_a_payout_that_comes_later_is_found_by_the_same_day_of_the_account(tmp_path: Path) -> None:
    """A bank run waits for no provider, and is asked again when one reports a payout."""
    world = BankWorld(tmp_path, PATTERN)
    world.run(MON)
    world.state(TUE, Line("R1", 5000, "BATCH B1"))
    world.bank_day(TUE)
    assert world.bank_says() == ["unexpected_bank_credit: R1, 5000 USD"]

    world.pay("po_1", 5000, on=TUE, batch="B1")
    world.run(TUE)
    assert world.bank_says() == [
        "bank_text: R1 = po_1, 5000 USD",
        "payout po_1: credited",
    ]
    assert world.bank_run(TUE).revision == 2


def test_a_payout_is_taken_back_and_sent_again(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, PATTERN)
    world.pay("po_1", 60000, on=MON, batch="B1")
    world.run(MON)
    world.state(TUE, Line("credit", 60000, "BATCH B1"))
    world.bank_day(TUE)
    world.state(WED, Line("return", -60000, "RETURN OF BATCH B1", is_reversal=True))
    world.bank_day(WED)
    assert world.bank_says() == [
        "bank_group: credit + return = po_1, 0 USD",
        "bank_text: credit = po_1, 60000 USD (reversed)",
        "payout po_1: returned",
        "payout_returned: po_1, 60000 USD",
    ]
    events = world.query(f"select event_type, subject from events where provider = '{SCOPE}' order by position")
    assert [row["event_type"].removeprefix("reconciliation.") for row in events] == [
        "run.created",
        "match.created",
        "payout.credited",
        "run.created",
        "match.reversed",
        "match.created",
        "exception.opened",
        "payout.returned",
    ]


def test_statements_are_ordered_by_their_balances_and_what_is_missing_or_said_twice_is_named(tmp_path: Path) -> None:
    world = BankWorld(tmp_path, PATTERN)
    world.run(MON)
    world.state(WED, Line("R3", 300), opening=600)
    world.state(MON, Line("R1", 100), opening=500)
    world.receive(statement(MON, 500, [Line("R1", 100)], statement_id="again"))
    world.bank_day(WED)
    assert world.bank_says() == ["duplicate_statement: again, 600 USD"]
    world.state(FRI, Line("R5", 500), opening=1000)
    world.bank_day(FRI)
    assert "statement_gap: 2026-04-24, 1000 USD" in world.bank_says()
    assert world.query("select gap_minor, closing_minor from account_balances order by ledger_window desc limit 1") == [
        {"gap_minor": 100, "closing_minor": 1500}
    ]
    world.state(THU, Line("R4", 100), opening=900)
    world.bank_day(FRI)
    assert "statement_gap: 2026-04-24, 1000 USD" not in world.bank_says()


def test_a_day_of_an_account_is_sealed_cites_what_it_rests_on_and_is_made_again(tmp_path: Path) -> None:
    """Closed by two people, checked without the home, made again from what was kept, byte for byte."""
    world = BankWorld(tmp_path, PATTERN)
    world.pay("po_1", 5000, on=MON, batch="B1")
    sealed = close(world, world.make(MON).run.run_id)
    world.state(TUE, Line("R1", 5000, "BATCH B1"), Line("R2", 80, "interest"))
    closeout = close(world, world.bank_day(TUE).run.run_id)

    bundle = world.paths.root / str(closeout.bundle)
    checked = verify.verify(bundle, world.home.trust)
    assert [finding for finding in checked.findings if not finding.holds] == []
    payload = checked.seals[0].payload
    assert (payload["provider"], payload["version"]) == (SCOPE, 4)
    assert payload["bank"] == {
        "account": ACCOUNT,
        "payouts": [
            {
                "provider": "rail_primary",
                "run_id": sealed.run_id,
                "revision": 1,
                "closeout_id": sealed.closeout_id,
                "seal_digest": sealed.seal_digest,
            }
        ],
    }
    assert world.query("select status from payouts") == [{"status": "closed"}]
    page = (bundle / "files" / "report.html").read_text(encoding="utf-8")
    for words in (
        "<h1>Bank account ",
        "<h2>The account</h2>",
        "<h2>Cash in transit</h2>",
        "<h2>Payouts</h2>",
    ):
        assert words in page
    assert "less matched with bank lines" in page and "Three sides" not in page
    assert reperform.reperform(world.tenant, closeout.run_id).holds
    rebuilt = rebuild.rebuild(world.tenant)
    assert {verdict.verdict for verdict in rebuilt.revisions} == {rebuild.EQUAL}
    assert {verdict.verdict for verdict in rebuilt.seals} == {rebuild.EQUAL}


def close(world: BankWorld, run_id: str) -> Closeout:
    """Close a run by two people; nothing blocks it."""
    with candidate.of_run(world.tenant, run_id) as prepared:
        assert closing.prepare(prepared, "ana", NOW).blockers == ()
    with candidate.of_run(world.tenant, run_id) as approved:
        sealed = closing.approve(approved, "ben", NOW).closeout
    assert sealed is not None
    return sealed
