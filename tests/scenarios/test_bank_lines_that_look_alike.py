"""Lines of a bank that say the same, or nearly, in several statements: none is lost, and none counts twice."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.closeout.closed_world import copied
from tests.scenarios.bank_rows import ACCOUNT, Line, statement, without_blanks
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import MON, THU, TUE, WED
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.errors import NotPossibleError
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.review import voiding

pytestmark = pytest.mark.ci

PATTERN = {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"}


@pytest.fixture(scope="module")
def two_payouts(tmp_path_factory: pytest.TempPathFactory) -> BankWorld:
    """Two payouts of Monday, of 10.00 and 20.00."""
    made = BankWorld(tmp_path_factory.mktemp("two_payouts"), PATTERN)
    made.pay("po_1", 1000, on=MON, batch="B1")
    made.pay("po_2", 2000, on=MON, batch="B2")
    made.run(MON)
    return made


@pytest.fixture
def world(two_payouts: BankWorld, tmp_path: Path) -> BankWorld:
    """Its own copy for each test."""
    return copied(two_payouts, tmp_path)


def booked(world: BankWorld) -> list[tuple[str, int, int]]:
    """What the account's runs took in on the bank's side, by day and currency."""
    rows = world.query(
        f"select ledger_window, currency, rows_in - duplicates as rows, "
        "amount_in_minor - duplicates_minor as minor from conservation "
        f"where provider = '{SCOPE}' and side = 'bank' and currency <> '' order by all"
    )
    return [(f"{row['ledger_window']} {row['currency']}", row["rows"], row["minor"]) for row in rows]


def seal(world: BankWorld, day: str) -> None:
    for step, actor in ((closing.prepare, "ana"), (closing.approve, "ben")):
        with candidates.of_run(world.tenant, world.bank_run(day).run_id) as candidate:
            outcome = step(candidate, actor, datetime(2026, 5, 1, tzinfo=UTC))
        assert outcome.closeout is not None, outcome.blockers


def test_a_file_that_says_one_line_otherwise_takes_no_other_line_away(world: BankWorld) -> None:
    """Another day's report names the sender of one line; the statement's other lines stay."""
    rent = Line("T9", 77700, "rent")
    world.state(TUE, Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2"), rent)
    named = Line("T9", 77700, "rent", trace="E-9")
    world.receive(statement(TUE, 0, [named], kind="report"))
    world.bank_day(TUE)
    assert booked(world) == [(f"{TUE} USD", 3, 80700)]
    assert [said for said in world.bank_says() if not said.startswith("duplicate")] == [
        "bank_text: T1 = po_1, 1000 USD",
        "bank_text: T2 = po_2, 2000 USD",
        "payout po_1: credited",
        "payout po_2: credited",
    ]


def test_one_reference_in_two_currencies_is_two_lines(world: BankWorld) -> None:
    world.state(TUE, Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2"))
    world.receive(statement(TUE, 0, [Line("T1", 3000, "rent")], currency="EUR", statement_id="euros"))
    world.bank_day(TUE)
    assert booked(world) == [(f"{TUE} EUR", 1, 3000), (f"{TUE} USD", 2, 3000)]
    assert {said for said in world.bank_says() if said.startswith("payout")} == {
        "payout po_1: credited",
        "payout po_2: credited",
    }


def test_a_line_that_the_balances_have_twice_and_its_id_once_is_an_exception(world: BankWorld) -> None:
    """Two statements in a row each have 10.00 under reference 1 on one day: the second goes on from the first."""
    world.state(TUE, Line("1", 1000, "BATCH B1"))
    world.state(TUE, Line("1", 1000, "BATCH B1"), statement_id="second")
    world.bank_day(TUE)
    (found,) = world.query("select * from exceptions where exception_type = 'statement_balance_mismatch'")
    assert (found["subject_id"], found["difference_minor"], found["currency"]) == ("second", 1000, "USD")
    assert "counts once where the balances have it twice" in found["explanation"]


def test_a_repeated_statement_with_its_lines_in_another_order_repeats_them(world: BankWorld) -> None:
    lines = [Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2")]
    world.state(TUE, *lines)
    world.receive(statement(TUE, 0, lines[::-1], statement_id="again"))
    world.bank_day(TUE)
    assert booked(world) == [(f"{TUE} USD", 2, 3000)]
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "bank_text: T1 = po_1, 1000 USD",
        "bank_text: T2 = po_2, 2000 USD",
        "duplicate_statement: again, 3000 USD",
    ]


def test_a_repeated_statement_whose_numbers_were_masked_since_repeats_its_lines(world: BankWorld) -> None:
    """Without a reference of the bank a line is known by what it says: masked, it counted a second time."""
    lines = [Line("", 1000, "BATCH B1 FROM GB82WEST12345698765432"), Line("", 2000, "BATCH B2")]
    world.receive(without_blanks(statement(TUE, 0, lines)))
    (world.paths.root / "privacy.yml").write_text("ibans: mask\n", encoding="utf-8")
    world.receive(without_blanks(statement(TUE, 0, lines[::-1], statement_id="again")))
    world.bank_day(TUE)
    assert booked(world) == [(f"{TUE} USD", 2, 3000)]
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        f"bank_text: {TUE}#1 = po_1, 1000 USD",
        f"bank_text: {TUE}#2 = po_2, 2000 USD",
        "duplicate_statement: again, 3000 USD",
    ]


def test_a_repeat_that_comes_after_the_seal_is_the_repeat_whatever_it_is_called(world: BankWorld) -> None:
    lines = [Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2")]
    world.state(TUE, *lines, statement_id="S5")
    world.bank_day(TUE)
    seal(world, TUE)
    world.receive(statement(TUE, 0, lines, statement_id="S4"))
    world.bank_day(WED)
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "bank_text: T1 = po_1, 1000 USD",
        "bank_text: T2 = po_2, 2000 USD",
        "duplicate_statement: S4, 3000 USD",
    ]


def test_a_sealed_line_keeps_its_id_when_an_older_one_of_the_same_reference_comes(world: BankWorld) -> None:
    world.state(WED, Line("1", 1000, "BATCH B1"), opening=2000)
    world.bank_day(WED)
    seal(world, WED)
    world.receive(statement(TUE, 0, [Line("1", 2000, "BATCH B2")]))
    world.bank_day(THU)
    assert [said for said in world.bank_says() if said.startswith(("bank_text", "unexpected"))] == [
        "bank_text: 1 = po_1, 1000 USD",
        "bank_text: 1/2 = po_2, 2000 USD",
    ]


@pytest.mark.parametrize("day", [TUE, WED], ids=["a day before", "the same day in euros"])
def test_a_sealed_line_keeps_its_id_also_beside_one_of_the_same_amount(world: BankWorld, day: str) -> None:
    world.state(WED, Line("1", 1000, "BATCH B1"), opening=1000)
    world.bank_day(WED)
    seal(world, WED)
    currency = "USD" if day == TUE else "EUR"
    world.receive(statement(day, 0, [Line("1", 1000, "rent")], currency=currency, statement_id="older"))
    world.bank_day(THU)
    assert [said for said in world.bank_says() if not said.startswith("payout")] == ["bank_text: 1 = po_1, 1000 USD"]
    assert booked(world) == [(f"{WED} USD", 1, 1000), (f"{THU} {currency}", 1, 1000)]


def test_a_run_whose_payouts_a_sealed_day_judged_is_not_taken_back(world: BankWorld) -> None:
    world.state(TUE, Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2"))
    world.bank_day(TUE)
    seal(world, TUE)
    (run,) = [row for row in world.query("select run_id, provider from runs") if row["provider"] == world.provider]
    with pytest.raises(NotPossibleError, match="judged the payouts of run"):
        voiding.void(world.tenant, run["run_id"], "ben", "by mistake", datetime(2026, 5, 2, tzinfo=UTC))
    assert "payout po_1: closed" in world.bank_says()


def test_a_payout_is_closed_by_the_seal_that_holds_its_credit_and_by_no_earlier_one(world: BankWorld) -> None:
    world.state(TUE, Line("T1", 1000, "BATCH B1"))
    world.bank_day(TUE)
    seal(world, TUE)
    assert "payout po_1: closed" in world.bank_says()
    world.state(TUE, Line("T2", 2000, "BATCH B2"), statement_id="later")
    world.bank_day(TUE)
    assert "payout po_2: credited" in world.bank_says()
    seal(world, TUE)
    assert {"payout po_1: closed", "payout po_2: closed"} <= set(world.bank_says())


@pytest.mark.parametrize("interest", [7, 8], ids=["the same", "with another line"])
def test_a_statement_that_comes_again_after_a_run_of_it_makes_no_line_of_it_new(
    world: BankWorld, interest: int
) -> None:
    """The bank sends a day again under its own id, as it was or corrected in a line that is nobody's payout."""
    lines = [Line("T1", 1000, "BATCH B1"), Line("T2", 3000, "BATCH B9")]
    world.state(TUE, *lines, Line("T3", 7, "interest"))
    world.bank_day(TUE)
    world.receive(statement(TUE, 0, [*lines, Line("T3", interest, "interest")]).replace(b"M-", b"AGAIN-"))
    world.bank_day(THU)
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "bank_text: T1 = po_1, 1000 USD",
        "unexpected_bank_credit: T2, 3000 USD",
    ]
    assert world.query(
        "select item_id, amount_minor from bank_open_items where item_type = 'bank_line' and "
        f"ledger_window = date '{THU}'"
    ) == [{"item_id": f"{ACCOUNT}:T2", "amount_minor": 3000}]
    assert booked(world)[0] == (f"{TUE} USD", 3, 4007)


def test_a_line_that_a_report_books_today_and_the_statement_tomorrow_is_one_line(world: BankWorld) -> None:
    noon = [Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2")]
    world.receive(statement(TUE, 0, noon, kind="report", statement_id="noon"))
    world.bank_day(TUE)
    world.state(TUE, noon[0])
    world.state(WED, noon[1])
    world.bank_day(WED)
    assert world.bank_says() == [
        "bank_text: T1 = po_1, 1000 USD",
        "bank_text: T2 = po_2, 2000 USD",
        "payout po_1: credited",
        "payout po_2: credited",
    ]
    assert world.query("select lines_minor, gap_minor from account_balances order by ledger_window desc limit 1") == [
        {"lines_minor": 3000, "gap_minor": 0}
    ]


def test_one_day_in_two_formats_of_an_account_counts_once(world: BankWorld) -> None:
    """The bank sends the day as camt.053 and as MT940, whose lines have no reference and other words."""
    world.state(TUE, Line("T1", 1000, "BATCH B1"), Line("T2", 2000, "BATCH B2"), Line("T3", -77, "rent"))
    path = world.inbox / "day.sta"
    entries = ((":61:2604210421C10,00", "BATCH B1"), (":61:2604210421C20,00", "BATCH B2"), (":61:2604210421D,77", "x"))
    said = "\n".join(f"{entry}NTRFNONREF\n:86:{text}" for entry, text in entries)
    path.write_text(
        f":20:RUN\n:25:{ACCOUNT}\n:28C:1/1\n:60F:C260420USD0,\n{said}\n:62F:C260421USD29,23\n-\n", encoding="utf-8"
    )
    (world.paths.banks / "swift.yml").write_text("format: mt940", encoding="utf-8")
    ingest_files(
        world.tenant,
        provider="swift",
        kind="bank_statement",
        files=[path],
        file_id=None,
        format="mt940",
        now=datetime(2026, 5, 1, tzinfo=UTC),
    )
    world.bank_day(TUE)
    assert [said for said in world.bank_says() if not said.startswith("payout")] == [
        "bank_text: T1 = po_1, 1000 USD",
        "bank_text: T2 = po_2, 2000 USD",
        "duplicate_statement: RUN/1/1/2026-04-20, 2923 USD",
    ]
    assert booked(world) == [(f"{TUE} USD", 3, 2923)]
    assert world.query("select lines_minor, gap_minor, closing_minor from account_balances") == [
        {"lines_minor": 2923, "gap_minor": 0, "closing_minor": 2923}
    ]
