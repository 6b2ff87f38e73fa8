"""Lines that several payouts come to, by name or by amount alone; what is in transit, and the shares of a line."""

import json
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from tests.scenarios.bank_rows import ACCOUNT, Line, statement
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import FRI, MON, NEXT_MON, THU, TUE, WED, post, settle
from tests.scenarios.world import NOW
from zentra_pipeline.closeout import candidate, closing
from zentra_pipeline.closeout.workbook import write_workbook
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionRequest
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.review import searches
from zentra_pipeline.runtime import trace
from zentra_pipeline.upkeep import bank_checks, records

pytestmark = pytest.mark.ci

PATTERN = {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"}
ACCOUNTS = "accounts: {fee: provider_fees, write_off: write_offs, adjustment: adjustments, fx: fx}\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> BankWorld:
    """Payouts of Monday that Tuesday's lines name together, come to without a name, or leave open."""
    terms = {**PATTERN, "bank_fee_tolerance_minor": 100, "bank_fee_account": "bank_fees"}
    made = BankWorld(tmp_path_factory.mktemp("sums"), terms)
    made.paths.policy.write_text(ACCOUNTS, encoding="utf-8")
    for number, amount in enumerate((1000, 2000, 500, 700, 1500, 2500, 9000), start=1):
        made.pay(f"po_{number}", amount, on=MON, batch=f"B{number}")
    # One batch of two lines, credited in two parts; two payouts of one amount, of which a line names both.
    made.add(
        *(settle("line-a", "pay-a", 20000, on=MON, batch="B8"), post("txn-a", "pay-a", 20000, on=MON, intent="int-a")),
        *(settle("line-b", "pay-b", 10001, on=MON, batch="B8"), post("txn-b", "pay-b", 10001, on=MON)),
        settle("po_8", "", -30001, on=MON, type="payout", batch="B8"),
    )
    made.pay("po_9", 4400, on=MON, batch="B9")
    made.pay("po_10", 4400, on=MON, batch="B10")
    made.run(MON)
    made.state(
        TUE,
        Line("both", 3000, "BATCH B1 and BATCH B2"),
        Line("short", 1000, "BATCH B3 BATCH B4"),
        Line("sum", 4000, "BATCH X9"),
        Line("less fee", 8950, "BATCH B7"),
        Line("part 1", 10000, "BATCH B8"),
        Line("part 2", 20001, "BATCH B8"),
        Line("one of two", 4400, "BATCH B9 OR BATCH B10"),
    )
    made.bank_day(TUE)
    return made


def test_lines_that_name_several_payouts_and_lines_that_several_come_to(world: BankWorld) -> None:
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "ambiguous_match: one of two, 4400 USD",
        "bank_amount_mismatch: short, 1000 USD",
        "bank_group: both = po_1 + po_2, 3000 USD",
        "bank_group: part 1 + part 2 = po_8, 30001 USD",
        "bank_group: short = po_3 + po_4, 1000 USD",
        "bank_sum: sum = po_5 + po_6, 4000 USD (suggested)",
        "bank_text: less fee = po_7, 8950 USD, fee 50",
        "unexpected_bank_credit: sum, 4000 USD",
    ]
    names = {row["line_id"]: row["payout_id"] for row in world.query("select line_id, payout_id from payouts")}
    told = {row["exception_type"]: row["explanation"] for row in world.query("select * from exceptions")}
    three, four = sorted((names["po_3"], names["po_4"]))
    assert told["bank_amount_mismatch"] == (
        f"the bank credited 10.00 USD by line {ACCOUNT}:short, and payouts {three} and {four} come to 12.00 USD"
    )
    nine, ten = sorted((names["po_9"], names["po_10"]))
    assert told["ambiguous_match"] == (
        f"bank line {ACCOUNT}:one of two of 44.00 USD names the payouts {nine} and {ten}, and does not say how much is "
        "for which: pair them by decision"
    )


def test_what_was_looked_for_is_said_in_sentences(world: BankWorld) -> None:
    (found,) = world.query("select exception_id from exceptions where exception_type = 'unexpected_bank_credit'")
    searched = searches.of_exception(world.paths, found["exception_id"])
    assert [searches.sentence(search) for search in searched] == [
        f"The same amount near in time: 40.00 USD, from {TUE} to {TUE}; nothing was found.",
        f"The trace ID: sum, from {TUE} to {TUE}; nothing was found.",
        f"The text of the bank line: BATCH X9, from {TUE} to {TUE}; nothing was found.",
        f"Payouts that come to it together: 40.00 USD, from {TUE} to {TUE}; 1 was found, and suggested.",
    ]
    assert searches.item_word(SCOPE, "settlement_line") == "bank line"


def test_cash_in_transit_counts_what_the_bank_credited_and_the_rest_by_its_name(world: BankWorld) -> None:
    assert world.query(
        "select opening_minor, paid_out_minor, credited_minor, fee_minor, returned_minor, written_off_minor, "
        "short_minor, closing_minor, difference_minor from cash_in_transit"
    ) == [
        {
            "opening_minor": 0,
            "paid_out_minor": 56001,
            "credited_minor": 42951,
            "fee_minor": 50,
            "returned_minor": 0,
            "written_off_minor": 0,
            "short_minor": 200,
            "closing_minor": 12800,
            "difference_minor": 0,
        }
    ]


def test_shares_of_bank_lines_add_up_to_what_was_settled(world: BankWorld) -> None:
    rows = world.query("select line_id, bank_line_id, settled_minor from cash_story where batch_id = 'B8'")
    assert [
        (row["line_id"], row["bank_line_id"].removeprefix(f"{ACCOUNT}:"), row["settled_minor"]) for row in rows
    ] == [
        ("line-a", "part 1", 6666),
        ("line-a", "part 2", 13334),
        ("line-b", "part 1", 3333),
        ("line-b", "part 2", 6668),
    ]
    assert (
        world.query(
            "select payout_id, sum(settled_minor) as settled, any_value(payout_minor) as paid from cash_story "
            "group by payout_id having sum(settled_minor) <> any_value(payout_minor)"
        )
        == []
    )


def test_the_flow_of_an_intent_counts_all_shares_of_its_payment(world: BankWorld) -> None:
    traced = trace.trace(world.tenant, "int-a")
    assert traced is not None
    flow = {account.role: (account.net_minor, account.state) for account in traced.ledger_flow}
    assert (flow["merchant"], flow["payout"]) == ((20000, "credited"), (0, "credited"))


def test_matches_are_counted_by_the_pass_that_made_them_and_fees_are_proposed_entries(world: BankWorld) -> None:
    columns = "matched_exact_reference, matched_bank_trace, matched_bank_text, matched_bank_group, matched_amount_date"
    assert world.query(f"select {columns} from run_metrics where provider = '{SCOPE}'") == [
        {
            "matched_exact_reference": 0,
            "matched_bank_trace": 0,
            "matched_bank_text": 1,
            "matched_bank_group": 3,
            "matched_amount_date": 0,
        }
    ]
    assert world.query(
        "select provider, account, direction, amount_minor, currency, item_id from journal_proposals "
        "where kind = 'bank_fee' order by direction"
    ) == [
        {
            "provider": "rail_primary",
            "account": account,
            "direction": direction,
            "amount_minor": 50,
            "currency": "USD",
            "item_id": f"{ACCOUNT}:less fee",
        }
        for account, direction in (("bank_fees", "credit"), ("settlement_account", "debit"))
    ]


def test_the_workbook_of_a_day_has_payouts_lines_balances_and_the_way_of_payments_to_cash(
    world: BankWorld, tmp_path: Path
) -> None:
    days = world.query("select run_id, provider from runs order by provider")
    written = {}
    for day in days:
        path = tmp_path / f"{day['run_id']}.xlsx"
        write_workbook(path, world.paths, day["run_id"])
        book = openpyxl.load_workbook(path)
        written[day["provider"]] = {
            name: [list(row) for row in book[name].iter_rows(values_only=True)] for name in book.sheetnames
        }
    bank, provider = written[SCOPE], written["rail_primary"]
    assert [name for name in bank if name not in provider] == ["Payouts", "Bank lines", "Balances", "Cash in transit"]
    assert bank["Payouts"][0][:9] == [
        *("Provider", "Payout", "Batch", "Status", "Currency"),
        *("Paid out", "Taken back", "Credited by the bank", "Kept by the bank"),
    ]
    assert [row[2:9] for row in bank["Payouts"] if row[2] == "B7"] == [["B7", "credited", "USD", 90, 0, 89.5, 0.5]]
    lines = {row[1].removeprefix(f"{ACCOUNT}:"): row[4:7] for row in bank["Bank lines"][1:]}
    assert lines["both"] == [30, "matched", "bank group"]
    assert lines["sum"] == [40, "excepted", None]
    assert bank["Balances"][1][4:10] == [0, 513.51, 0, 0, 513.51, 0]
    assert bank["Matches"][0][2:4] == ["Bank", "Payouts"]
    cash = "From payment to cash"
    ways = [[row[1], row[4], row[7], str(row[8]).removeprefix(f"{ACCOUNT}:")] for row in provider[cash][1:]]
    assert ways == [[row[1], row[4], row[7], str(row[8]).removeprefix(f"{ACCOUNT}:")] for row in bank[cash][1:]] or (
        len(ways) > len(bank[cash]) - 1
    ), "a provider's window also has what is not in the bank yet"
    assert ["line-b", 66.68, "credited", "part 2"] in ways
    assert ["line-po_9", 44, "in transit", "None"] in ways


def test_a_suggested_sum_is_matched_by_a_person_and_by_nothing_else(world: BankWorld) -> None:
    (found,) = world.query("select * from exceptions where exception_type = 'unexpected_bank_credit'")
    (suggested,) = world.query("select match_id from matches where rule = 'bank_sum' and status = 'suggested'")
    legs = world.query(f"select leg_id, leg_type from match_legs where match_id = '{suggested['match_id']}'")
    payouts = [leg["leg_id"] for leg in legs if leg["leg_type"] == "ledger_transaction"]
    named = {"settlement_lines": (found["subject_id"],), "ledger_transactions": tuple(payouts)}
    deciding.decide(
        world.tenant, DecisionRequest(found["exception_id"], "match", "ann", reason="same day", **named), NOW
    )
    said = world.bank_says()
    assert "manual: sum = po_5 + po_6, 4000 USD" in said
    assert "unexpected_bank_credit: sum, 4000 USD (matched_manually)" in said
    assert not [line for line in said if "bank_sum" in line]
    assert world.query("select credited_minor, closing_minor, difference_minor from cash_in_transit") == [
        {"credited_minor": 46951, "closing_minor": 8800, "difference_minor": 0}
    ]


def test_a_line_that_names_nothing_is_for_the_sole_set_of_payouts_that_come_to_it(tmp_path: Path) -> None:
    """A provider without a pattern; in euros two sets come to the line, so that nobody can say which."""
    world = BankWorld(tmp_path)
    for name, amount in (("po_1", 1500), ("po_2", 2500), ("po_3", 90)):
        world.pay(name, amount, on=MON)
    euros = {"currency": "EUR"}
    for name, amount in (("po_4", 100), ("po_5", 200), ("po_6", 140), ("po_7", 160)):
        world.add(settle(name, "", -amount, on=MON, type="payout", batch=f"B-{name}", **euros))
    world.run(MON)
    world.state(TUE, Line("sum", 4000, "credit"), Line("rent", -4000, "rent"), Line("other", 4010, "credit"))
    world.receive(statement(TUE, 0, [Line("sets", 300, "credit")], currency="EUR"))
    world.bank_day(TUE)
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "bank_sum: sum = po_1 + po_2, 4000 USD (suggested)",
        "unexpected_bank_credit: sum, 4000 USD",
    ]
    content = json.loads((world.paths.providers / "rail_primary.yml").read_text(encoding="utf-8"))
    (world.paths.providers / "rail_primary.yml").write_text(json.dumps(content | PATTERN), encoding="utf-8")
    world.receive(statement(WED, 300, [Line("two sets", 300, "BATCH Z")], currency="EUR"))
    world.bank_day(WED)
    assert "ambiguous_match: two sets, 300 EUR" in world.bank_says()
    (told,) = world.query("select explanation from exceptions where exception_type = 'ambiguous_match'")
    assert "is what 2 sets of open payouts come to, and no reference connects them" in told["explanation"]


def test_statements_that_overlap_leave_no_gap_in_any_order_of_arrival_and_a_real_gap_is_named(tmp_path: Path) -> None:
    first = [Line("R1", 100, on=MON), Line("R2", 200, on=TUE), Line("R3", 300, on=WED)]
    overlapping = [*first[1:], Line("R4", 400, on=THU)]
    said = {}
    for number, turn in enumerate((1, -1)):
        world = BankWorld(tmp_path / str(number), PATTERN)
        world.run(MON)
        for content in [
            statement(TUE, 100, [first[1]], kind="report"),
            statement(MON, 0, first, statement_id="first", until=WED),
            statement(TUE, 100, overlapping, statement_id="second", until=THU),
            statement(WED, 300, [first[2]], statement_id="one day of it"),
            statement(FRI, 1000, [Line("R5", 500)], statement_id="friday"),
        ][::turn]:
            world.receive(content)
        result = world.bank_day(FRI)
        said[turn] = (result.run.inputs_digest, world.bank_says())
        figures = "statements, opening_minor, lines_minor, gap_minor, mismatch_minor, closing_minor"
        assert world.query(f"select {figures} from account_balances") == [
            {
                "statements": 4,
                "opening_minor": 0,
                "lines_minor": 1500,
                "gap_minor": 0,
                "mismatch_minor": 0,
                "closing_minor": 1500,
            }
        ]
    assert said[1] == said[-1]
    assert said[1][1] == []
    world.receive(statement(NEXT_MON, 1600, [Line("R7", 1)], statement_id="monday"))
    world.bank_day(NEXT_MON)
    assert world.bank_says() == ["statement_gap: monday, 1600 USD"]


def test_nothing_needs_no_credit_a_currency_without_account_is_named_and_an_account_keeps_its_history(
    tmp_path: Path,
) -> None:
    world = BankWorld(tmp_path, {**PATTERN, "payout_account": {"USD": ACCOUNT}})
    world.pay("po_1", 1000, on=MON, batch="B1")
    world.pay("po_0", 0, on=MON, batch="B0")
    world.add(settle("po_eur", "", -500, on=MON, type="payout", batch="B2", currency="EUR"))
    world.run(MON)
    world.state(TUE, Line("R1", 600, "BATCH B1"), Line("R2", 80, "interest"))
    world.bank_day(FRI)
    # Four business days later: what is nothing is not missing, and what has no account is in nobody's transit.
    assert world.query("select line_id, status, status_reason from payouts order by line_id") == [
        {"line_id": "po_0", "status": "closed", "status_reason": "nothing_to_pay_out"},
        {"line_id": "po_1", "status": "partially_credited", "status_reason": None},
        {"line_id": "po_eur", "status": "in_transit", "status_reason": "no_payout_account"},
    ]
    assert [said for said in world.bank_says() if "missing" in said] == []
    (found,) = bank_checks.check_banks(records.read(world.tenant))
    assert found.what == (
        "1 payout of rail_primary in EUR, 5.00 EUR, go to no account: no day of a bank account looks for them"
    )

    # The provider pays elsewhere from now on, and no profile names the account any more.
    path = world.paths.providers / "rail_primary.yml"
    content = json.loads(path.read_text(encoding="utf-8")) | {"payout_account": {"USD": "DE99"}}
    path.write_text(json.dumps(content), encoding="utf-8")
    (world.paths.banks / "house_bank.yml").write_text(json.dumps({"format": "camt053"}), encoding="utf-8")
    world.receive(statement(FRI, 680, [Line("R3", 400, "BATCH B1")], statement_id="last"))
    result = world.bank_day(NEXT_MON)
    assert "bank_group: R1 + R3 = po_1, 1000 USD" in world.bank_says()
    with candidate.of_run(world.tenant, result.run.run_id) as case:
        assert [each.kind for each in closing.prepare(case, "ann", NOW).blockers] == []
    unknown = run_requests.of_account("DE55", date(2026, 4, 27), "treasury")
    with pytest.raises(InputRejectedError, match="is in no bank profile, and no provider pays into it"):
        run_requests.check_request(world.tenant, unknown)
