"""What a file says about itself is added up exactly, and whether it ties is never guessed."""

from pathlib import Path

import pytest

from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.ingest import wording
from zentra_pipeline.ingest.inspection import InspectedStatement, inspect

SETTLEMENT = (
    "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,currency,"
    "settled_at,batch_id"
)
LEDGER = (
    "entry_id,transaction_id,movement_type,account,direction,amount_minor,currency,posted_at,provider,"
    "provider_reference,intent_id"
)
AT = "2026-04-26T08:00:00Z"
STRIPE = "balance_transaction_id,automatic_payout_id,reporting_category,gross,fee,net,currency,created_utc,source_id"


def written(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def facts(statement: InspectedStatement) -> tuple[object, ...]:
    return (statement.id, statement.entries, statement.currency, statement.signed_sum_minor, statement.ties)


def test_a_settlement_adds_up_net_per_currency_and_ties_row_by_row(tmp_path: Path) -> None:
    path = written(
        tmp_path / "set_1.csv",
        SETTLEMENT,
        f"L1,payment,,,1000,10,990,USD,{AT},",
        f"L2,payment,,,1000,10,991,EUR,{AT},",
        f"L3,payment,,,1000,10,989,EUR,{AT},",
        f"L4,payout,,,-990,0,-990,USD,{AT},",
    )
    assert [facts(statement) for statement in inspect("canonical", path).statements] == [
        ("set_1", 2, "USD", 0, True),
        ("set_1", 2, "EUR", 1980, False),
    ]


def test_a_ledger_ties_when_each_transaction_balances(tmp_path: Path) -> None:
    def entry(number: int, transaction: str, direction: str, amount: int, currency: str) -> str:
        return f"E{number},{transaction},payment,a,{direction},{amount},{currency},{AT},rail,,"

    path = written(
        tmp_path / "ledger.csv",
        LEDGER,
        entry(1, "T1", "debit", 100, "USD"),
        entry(2, "T1", "credit", 100, "USD"),
        entry(3, "T2", "debit", 70, "EUR"),
        entry(4, "T3", "credit", 70, "EUR"),
    )
    assert [facts(statement) for statement in inspect("canonical", path).statements] == [
        ("ledger", 2, "USD", 0, True),
        ("ledger", 2, "EUR", 0, False),
    ]


def test_callbacks_and_internal_events_are_counted_but_cannot_tie(tmp_path: Path) -> None:
    callbacks = tmp_path / "callbacks.jsonl"
    callbacks.write_text(
        '{"provider_event_id":"V1","event_type":"x","provider_reference":null,"merchant_reference":"m","amount_minor":5,'
        f'"currency":"USD","status":"succeeded","occurred_at":"{AT}","received_at":"{AT}"}}\n',
        encoding="utf-8",
    )
    events = tmp_path / "events.jsonl"
    events.write_text(
        '{"event_id":"I1","intent_id":"i","stage":"accepted","actor":"a","scope":"s","policy":"p","policy_result":"ok",'
        f'"occurred_at":"{AT}","transaction_id":"T1"}}\n',
        encoding="utf-8",
    )
    assert [facts(statement) for statement in inspect("canonical", callbacks).statements] == [
        ("callbacks", 1, "USD", 5, None)
    ]
    assert [facts(statement) for statement in inspect("canonical", events).statements] == [
        ("events", 1, None, None, None)
    ]


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    largest = 10**15 - 1
    rows = [f"L{n},payment,,,{largest},0,{largest},USD,{AT}," for n in range(10_000)]
    (statement,) = inspect("canonical", written(tmp_path / "set_1.csv", SETTLEMENT, *rows)).statements
    assert statement.signed_sum_minor == 10_000 * largest > 2**63


@pytest.mark.parametrize("name", ["set_1.csv", "set_1.jsonl"])
def test_a_file_without_rows_is_a_statement_without_entries(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(f"{SETTLEMENT}\n" if name.endswith("csv") else "", encoding="utf-8")
    assert [facts(statement) for statement in inspect("canonical", path).statements] == [("set_1", 0, None, None, None)]


def test_a_stripe_payout_ties_with_the_rows_it_pays_out(tmp_path: Path) -> None:
    def row(number: int, payout: str, category: str, net: str, currency: str = "usd") -> str:
        return f"txn_{number},{payout},{category},{net},0,{net},{currency},2026-04-26 08:00:00,src_{number}"

    path = written(
        tmp_path / "report.csv",
        STRIPE,
        row(1, "po_1", "charge", "25.00"),
        row(2, "po_1", "refund", "-5.00"),
        row(3, "po_1", "payout", "-20.00"),
        row(4, "po_2", "charge", "7.00"),
        row(5, "po_2", "payout", "-6.99"),
        row(6, "po_3", "charge", "7.00"),
        row(7, "", "fee", "-0.50"),
        row(8, "po_1", "charge", "900", "jpy"),
    )
    assert [facts(statement) for statement in inspect("stripe", path).statements] == [
        ("po_1", 3, "USD", 2000, True),
        ("po_2", 2, "USD", 700, False),
        ("po_3", 1, "USD", 700, None),
        (None, 1, "USD", -50, None),
        ("po_1", 1, "JPY", 900, None),
    ]


def test_rows_that_cannot_be_accepted_are_a_statement_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "set_1.csv", SETTLEMENT, f"L1,payment,,,1,0,1,USD,{AT},", f",gift,,,x,0,1,USD,{AT},")
    good, bad = inspect("canonical", path).statements
    assert (good.entries, good.refused) == (1, None)
    assert (bad.entries, bad.signed_sum_minor, bad.ties) == (1, None, None)
    assert bad.refused is not None
    assert bad.refused.startswith("rejected rows: 1; row 2: line_id: blank; line_type: 'gift' is not one of ")


def test_a_file_none_of_whose_rows_gets_in_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "set_1.csv", SETTLEMENT, f"L1,gift,,,1,0,1,USD,{AT},")
    with pytest.raises(InputRejectedError, match=r"set_1\.csv: none of 1 rows is accepted, .*: line_type: 'gift'"):
        inspect("canonical", path)


def test_ids_that_rows_of_one_file_share_are_named_with_their_rows_and_counted_in_no_sum(tmp_path: Path) -> None:
    """It added all of them up and said that the file ties; ingest stages those of the other id."""
    path = written(
        tmp_path / "set_1.csv",
        SETTLEMENT,
        f"L1,payment,,,100,0,100,USD,{AT},",
        f"L2,payment,,,7,0,7,USD,{AT},",
        f"L1,payment,,,250,0,250,USD,{AT},",
        f"L2,payment,,,7,0,7,USD,{AT},",
    )
    good, bad = inspect("canonical", path).statements
    assert facts(good) == ("set_1", 2, "USD", 14, True)
    assert (bad.entries, bad.refused) == (
        2,
        f"rejected rows: 2; rows 1, 3: id_used_twice; used twice are line_id L1: rows 1, 3: {wording.ASK_THE_SENDER}",
    )


def test_amounts_written_in_two_ways_are_refused_with_the_rows_and_what_they_hold(tmp_path: Path) -> None:
    def row(number: int, gross: str) -> str:
        return f"txn_{number},,charge,{gross},0,{gross},usd,2026-04-26 08:00:00,src_{number}"

    path = written(tmp_path / "report.csv", STRIPE, row(1, "25"), row(2, '"7,25"'), row(3, "1.50"), row(4, "2.50"))
    with pytest.raises(InputRejectedError, match=r"\(row 3 has gross '1\.50' and row 2 has gross '7,25'\)"):
        inspect("stripe", path)
    path = written(tmp_path / "report.csv", STRIPE, row(1, "25"), row(2, '"1,234.50"'))
    with pytest.raises(InputRejectedError, match=r"\(row 2 has gross '1,234\.50'\); request .* no thousands marks"):
        inspect("stripe", path)
    path = written(
        tmp_path / "set_1.csv",
        SETTLEMENT,
        f"L1,payment,,,100,0,100,USD,{AT},",
        f'L2,payment,,,"1,50",0,150,USD,{AT},',
        f"L3,payment,,,1.50,0,150,USD,{AT},",
        f'L4,payment,,,"1.234,50",0,123450,USD,{AT},',
    )
    _, bad = inspect("canonical", path).statements
    assert bad.refused == (
        "rejected rows: 3; rows 2, 3, 4: gross_minor: '1,50' is not an integer below 10^15: this column counts minor "
        "units, so 10.00 of a currency with two decimals is 1000"
    )


def test_ids_that_a_spreadsheet_has_shortened_are_noted_with_their_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path / "set_1.csv",
        SETTLEMENT,
        f"1234567890123456,payment,R1,,100,0,100,USD,{AT},",
        *(f"L{n},payment,1.23457E+15,,100,0,100,USD,{AT}," for n in range(4)),
        f"1.00000E+15,payment,1E+15x,,100,0,100,USD,{AT},",
    )
    found = inspect("canonical", path)
    assert [facts(statement) for statement in found.statements] == [("set_1", 6, "USD", 600, True)]
    assert found.notes == {
        wording.shortened("line_id", "1.00000E+15", [6], 1): 1,
        wording.shortened("provider_reference", "1.23457E+15", [2, 3, 4], 4): 4,
    }
    report = written(tmp_path / "report.csv", STRIPE, "1E+16,po_1,charge,1.00,0,1.00,usd,2026-04-26 08:00:00,src_1")
    assert inspect("stripe", report).notes == {wording.shortened("balance_transaction_id", "1E+16", [1], 1): 1}


def test_columns_of_no_kind_are_refused_with_what_each_kind_needs(tmp_path: Path) -> None:
    with pytest.raises(InputRejectedError, match=r"no canonical kind: settlement needs line_id.*ledger needs"):
        inspect("canonical", written(tmp_path / "x.csv", "a,b", "1,2"))


def test_a_torn_file_is_refused_for_its_own_fault(tmp_path: Path) -> None:
    with pytest.raises(InputRejectedError, match="quote"):
        inspect("canonical", written(tmp_path / "x.csv", 'a,"b'))


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format 'camt999' is not known: use one of canonical, stripe"):
        inspect("camt999", tmp_path / "x")
