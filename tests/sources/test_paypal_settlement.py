"""PayPal's STL and TRR reports: every footer is what its rows come to, or the report is refused with the figures."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from zentra_pipeline.contracts import settlement_lines
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import paypal

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "paypal"
SAMPLES = SHARED / "wikimedia__wikimedia-fundraising-SmashPig" / "PaymentProviders" / "PayPal" / "Tests" / "Data"
needs_samples = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample files are not beside the project")

COLUMNS = [
    "Transaction ID",
    "Invoice ID",
    "PayPal Reference ID",
    "PayPal Reference ID Type",
    "Transaction Event Code",
    "Transaction Initiation Date",
    "Transaction Completion Date",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
    "Fee Debit or Credit",
    "Fee Amount",
    "Fee Currency",
    "Custom Field",
    "Bank Reference ID",
]
AT = "2026/01/06 03:12:28 -0800"
OPENING = [
    ["RH", "2026/01/07 02:00:00 -0800", "A", "LANTERN8", "009"],
    ["FH", "01"],
    ["SH", "2026/01/06 00:00:00 -0800", "2026/01/06 23:59:59 -0800", "LANTERN8", ""],
]
BALANCES = ["CR", "0", "CR", "5530", "CR", "0", "CR", "5530", "CR", "0", "CR", "0", "3"]
PAID = {"Transaction ID": "0P1", "Invoice ID": "0017", "Transaction Event Code": "T0006", "gross": "CR 2500 EUR"}
PAID |= {"fee": "DR 95 EUR"}
REFUNDED = {"Transaction ID": "0R1", "PayPal Reference ID": "0P1", "PayPal Reference ID Type": "TXN"}
REFUNDED |= {"Transaction Event Code": "T1107", "gross": "DR 1000 EUR", "fee": "CR 38 EUR"}
WITHDRAWN = {"Transaction ID": "0W1", "Transaction Event Code": "T0400", "gross": "DR 1400 EUR"}
WITHDRAWN |= {"Bank Reference ID": "1047428557493"}


def body(row: dict[str, str]) -> list[str]:
    """An SB record; `gross` and `fee` are for their three columns."""
    values = {"Transaction Completion Date": AT} | row
    for name, columns in (
        ("gross", ("Transaction Debit or Credit", "Gross Transaction Amount", "Gross Transaction Currency")),
        ("fee", ("Fee Debit or Credit", "Fee Amount", "Fee Currency")),
    ):
        values |= dict(zip(columns, values.pop(name, "").split(" "), strict=False))
    return ["SB", *(values.get(column, "") for column in COLUMNS)]


def footer(kind: str, currency: str, *totals: int) -> list[str]:
    return [kind, currency, *map(str, totals), *BALANCES]


def whole(*rows: dict[str, str], footers: tuple[tuple[Any, ...], ...]) -> list[list[str]]:
    """A report of one section with its footers and counts."""
    count = str(len(rows))
    return [
        *OPENING,
        ["CH", *COLUMNS],
        *map(body, rows),
        *(footer("SF", *stated) for stated in footers),
        ["SC", count],
        *(footer("RF", *stated) for stated in footers),
        ["RC", count],
        ["FF", count],
    ]


def report(path: Path, records: list[list[str]], mark: str = "\ufeff") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(records)
    path.write_text(mark + text.getvalue(), encoding="utf-8", newline="")
    return path


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def read(*rows: dict[str, str]) -> list[dict[str, Any]]:
        path = report(tmp_path / "stl.csv", [["CH", *COLUMNS], *map(body, rows)])
        return [line for frame in paypal.read_settlement(path) for line in frame.to_dicts()]

    return read


def test_a_payment_is_signed_by_its_own_columns(lines: Any) -> None:
    assert lines(PAID) == [
        {
            "line_id": "0P1",
            "line_type": "payment",
            "provider_reference": "0P1",
            "merchant_reference": "0017",
            "original_reference": None,
            "status": None,
            "gross_minor": "2500",
            "fee_minor": "95",
            "net_minor": "2405",
            "currency": "EUR",
            "settled_at": "2026-01-06T11:12:28Z",
            "batch_id": None,
            "presentment_minor": None,
            "presentment_currency": None,
            "trace_id": None,
            "statement_text": None,
            "raw": None,
            "row_number": 1,
            "refusal": None,
            "source_row": None,
        }
    ]


def test_a_refund_names_its_payment_and_gives_the_fee_back(lines: Any) -> None:
    (line,) = lines(REFUNDED)
    assert (line["line_type"], line["provider_reference"], line["original_reference"]) == ("refund", "0R1", "0P1")
    assert (line["gross_minor"], line["fee_minor"], line["net_minor"]) == ("-1000", "-38", "-962")


def test_a_withdrawal_is_the_payout_and_has_the_banks_reference(lines: Any) -> None:
    (line,) = lines(WITHDRAWN)
    assert (line["line_type"], line["merchant_reference"], line["net_minor"]) == ("payout", "1047428557493", "-1400")
    assert line["trace_id"] == "1047428557493", "the bank's own reference of the withdrawal"


@pytest.mark.parametrize(
    ("code", "line_type"),
    [
        ("T0000", "payment"),
        ("T0106", "fee"),
        ("T0403", "payout"),
        ("T1106", "chargeback"),
        ("T1110", "reserve"),
        ("T1201", "chargeback"),
        ("T1202", "chargeback_reversal"),
        ("T1204", "adjustment"),
        ("T1503", "reserve"),
    ],
)
def test_an_event_code_or_its_group_becomes_a_line_type(lines: Any, code: str, line_type: str) -> None:
    (line,) = lines(PAID | {"Transaction Event Code": code})
    assert (line["line_type"], line["refusal"]) == (line_type, None)


@pytest.mark.parametrize(
    ("text", "minor"), [("CR 15000 JPY", "150"), ("CR 1234 KWD", "12340"), ("CR 1234 EUR", "1234")]
)
def test_amounts_are_hundredths_of_every_currency(lines: Any, text: str, minor: str) -> None:
    (line,) = lines(PAID | {"gross": text, "fee": ""})
    assert line["gross_minor"] == minor


def test_a_conversion_says_what_its_credit_was_converted_from(lines: Any) -> None:
    paid = {"Transaction Event Code": "T0200", "PayPal Reference ID": "0P1", "Transaction ID": "0X1"}
    _, given, got = lines(PAID, paid | {"gross": "DR 2405 EUR"}, paid | {"gross": "CR 2600 USD"})
    assert (given["line_id"], given["line_type"], given["presentment_minor"]) == ("0X1:EUR", "adjustment", None)
    assert (got["line_id"], got["presentment_minor"], got["presentment_currency"]) == ("0X1:USD", "2405", "EUR")


def test_a_conversion_is_one_also_where_a_frame_ends(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal, "_FRAME_ROWS", 2)
    paid = {"Transaction Event Code": "T0201", "PayPal Reference ID": "0P1"}
    debit, credit = {"Transaction ID": "0X1", "gross": "DR 2405 EUR"}, {"Transaction ID": "0X2", "gross": "CR 2600 USD"}
    *_, got, last = lines(PAID, paid | debit, paid | credit, PAID | {"Transaction ID": "0P2"})
    assert (got["presentment_minor"], last["row_number"]) == ("2405", 4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gross": "CR 25.00 EUR"}, "Gross Transaction Amount: '25.00' is not a whole number of hundredths"),
        ({"gross": "CR -2500 EUR"}, "Gross Transaction Amount: '-2500' is not a whole number of hundredths"),
        ({"gross": "XX 2500 EUR"}, "Transaction Debit or Credit: 'XX' is neither CR nor DR"),
        (
            {"gross": "CR 15050 JPY", "fee": ""},
            "Gross Transaction Amount: 15050 with 2 decimals is not exact with 0 decimals of JPY",
        ),
        ({"gross": "CR 2500 EUX", "fee": ""}, "Gross Transaction Currency: 'EUX' is not an ISO 4217 currency"),
        ({"fee": "DR 95 USD"}, "Fee Currency: 'USD' is not the currency of the gross amount"),
        ({"Transaction Event Code": "T1300"}, "Transaction Event Code: 'T1300' is not known as a movement of money"),
        ({"Transaction ID": ""}, "Transaction ID: blank"),
        (
            {"Transaction Completion Date": "2026-01-06"},
            "Transaction Completion Date: '2026-01-06' is not an instant such as 2026/01/06 03:12:28 -0800",
        ),
    ],
)
def test_a_row_that_cannot_be_read_goes_to_quarantine_with_the_column(
    lines: Any, change: dict[str, str], reason: str
) -> None:
    refused, kept = lines(PAID | change, REFUNDED)
    assert (refused["refusal"], kept["refusal"]) == (reason, None)
    assert '"Transaction Event Code"' in refused["source_row"]


@pytest.mark.parametrize("fees", [(95, 38), (38, 95)])  # PayPal's definition and its files differ in their order
def test_a_report_ties_when_its_footers_are_its_rows(tmp_path: Path, fees: tuple[int, int]) -> None:
    records = whole(PAID, REFUNDED, WITHDRAWN, footers=(("EUR", 2500, 1000, *fees), ("USD", 0, 0, 0, 0)))
    path = report(tmp_path / "stl.csv", records)
    assert [
        (s.id, s.account, s.entries, s.currency, s.signed_sum_minor, s.ties) for s in inspect("paypal", path).statements
    ] == [("2026-01-06", "LANTERN8", 3, "EUR", 43, True), ("2026-01-06", "LANTERN8", 0, "USD", 0, True)]
    (frame,) = paypal.read_settlement(path)
    verdict = validate(settlement_lines.CONTRACT, frame, paypal.COLUMN_NAMES)
    assert (verdict.accepted.height, verdict.refused.height) == (3, 0)


@pytest.mark.parametrize(
    ("footers", "why"),
    [
        (
            (("EUR", 2500, 2400, 95, 38),),
            "SF EUR: gross debits are 2,400 in the footer, 1,000 in the rows, in hundredths: rows are missing or "
            "wrong; download the report again",
        ),
        (
            (("EUR", 2500, 1000, 95, 38), ("USD", 5, 0, 0, 0)),
            "SF USD: gross credits are 5 in the footer, 0 in the rows, in hundredths: rows are missing or wrong; "
            "download the report again",
        ),
        ((("USD", 0, 0, 0, 0),), "no SF record of EUR, in which 3 rows are: rows or footers are missing"),
    ],
)
def test_a_report_whose_footers_are_not_its_rows_is_refused_whole(
    tmp_path: Path, footers: tuple[tuple[Any, ...], ...], why: str
) -> None:
    path = report(tmp_path / "stl.csv", whole(PAID, REFUNDED, WITHDRAWN, footers=footers))
    with pytest.raises(InputRejectedError, match=f"^{re.escape(f'stl.csv: {why}')}$"):
        list(paypal.read_settlement(path))
    found = inspect("paypal", path)
    assert found.is_refused
    assert [(s.ties, s.refused) for s in found.statements if s.refused] == [(False, f"stl.csv: {why}")]


def test_counts_and_ends_that_are_not_those_of_a_whole_report_refuse_it(tmp_path: Path) -> None:
    records = whole(PAID, REFUNDED, footers=(("EUR", 2500, 1000, 95, 38),))
    without_a_row = [record for record in records if record[:2] != ["SB", "0R1"]]
    two_footers = [record if record[0] != "RF" else footer("RF", "EUR", 2500, 0, 95, 38) for record in records]
    for broken, why in (
        (without_a_row, "line 7: SC counts '2' rows, this section has 1: rows are missing"),
        (records[:-1], "it begins with RH and ends with RC, not with FF: it was cut off; download it again"),
        (records[:2], "no CH record names the columns: it is no PayPal report, or it was cut off"),
        (two_footers, "RF EUR states 2500, 0, 95, 38, its sections (SF) 2500, 1000, 95, 38: a section is missing"),
        ([["XX", "1"]], "line 1: it begins with 'XX', which is none of RH, FH, SH, CH"),
        ([OPENING[0], ["ZZ"]], "line 2: it begins with 'ZZ', which is none of RH, FH, SH, CH, SB, SF, SC, RF, RC, FF"),
    ):
        path = report(tmp_path / "stl.csv", broken)
        with pytest.raises(InputRejectedError, match=f"^{re.escape(f'stl.csv: {why}')}"):
            list(paypal.read_settlement(path))


def test_each_section_is_a_statement_of_its_account(tmp_path: Path) -> None:
    one = [["CH", *COLUMNS], body(PAID), footer("SF", "EUR", 2500, 0, 95, 0), ["SC", "1"]]
    two = [["SH", "2026/01/06 00:00:00 -0800", "2026/01/06 23:59:59 -0800", "LANTERN9", ""], *one]
    path = report(tmp_path / "stl.csv", [OPENING[2], *one, *two], mark="")
    assert [(s.account, s.entries, s.signed_sum_minor, s.ties) for s in paypal.statements(path)] == [
        ("LANTERN8", 1, 2405, True),
        ("LANTERN9", 1, 2405, True),
    ]


def test_the_report_of_the_guide_is_read_as_the_guide_says(tmp_path: Path) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "formats" / "paypal.md"
    path = tmp_path / "stl.csv"
    path.write_text(guide.read_text(encoding="utf-8").split("```csv\n")[1].split("```")[0], encoding="utf-8")
    (statement,) = inspect("paypal", path).statements
    assert (statement.account, statement.entries, statement.signed_sum_minor, statement.ties) == (
        "LANTERN8",
        3,
        43,
        True,
    )
    (tmp_path / "stl.TAB").write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
    (by_tabs,) = inspect("paypal", tmp_path / "stl.TAB").statements
    assert (by_tabs.entries, by_tabs.signed_sum_minor, by_tabs.ties) == (3, 43, True)


@needs_samples
def test_the_settlement_sample_is_refused_with_the_footers_figures() -> None:
    found = inspect("paypal", SAMPLES / "stl.csv")
    assert [(s.currency, s.entries, s.signed_sum_minor, s.ties, s.refused) for s in found.statements] == [
        (
            "AUD",
            2,
            5435,
            False,
            "stl.csv: SF AUD: fee credits are 600 in the footer, 0 in the rows, in hundredths: rows are missing or "
            "wrong; download the report again",
        ),
        ("GBP", 3, 560, True, None),
    ]


@needs_samples
def test_every_row_of_the_other_samples_is_accepted() -> None:
    paths = [*sorted(SAMPLES.glob("stl_*.csv")), *sorted(SAMPLES.glob("trr_*.csv"))]
    assert len(paths) == 10
    frames = [frame for path in paths for frame in paypal.read_settlement(path)]
    verdict = validate(settlement_lines.CONTRACT, pl.concat(frames), paypal.COLUMN_NAMES)
    assert (verdict.accepted.height, verdict.refused.height) == (13, 0)
    assert verdict.accepted["status"].to_list().count("failed") == 1
    assert verdict.accepted["raw"].null_count() == 13


def test_a_first_line_that_is_no_csv_by_any_separator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stl.csv"
    path.write_bytes(b'"RH",2026/05/08 02:00:00 \r0000,"A","LANTERN8",009\n"FH",01\n')
    with pytest.raises(InputRejectedError):
        list(paypal.read_settlement(path))


def test_totals_and_currencies_of_any_length_are_refused_in_a_few_words(tmp_path: Path) -> None:
    path = tmp_path / "stl.csv"
    for currency, total in (("E" * 9_000, "2500"), ("EUR", "9" * 9_000)):
        foot = f'"{currency}",{total},0,95,0,"CR",0,"CR",43,"CR",0,"CR",43,"CR",0,"CR",0,0'
        content = [f'"SF",{foot}', '"SC",0', f'"RF",{foot.replace(",95,", ",96,")}', '"RC",0', '"FF",0']
        opening = ['"RH",2026/05/08 02:00:00 +0000,"A","L",009', '"FH",01', '"SH",x,y,"L",""', '"CH","Transaction ID"']
        path.write_text("\n".join([*opening, *content]) + "\n", encoding="utf-8")
        with pytest.raises(InputRejectedError) as refusal:
            list(paypal.read_settlement(path))
        assert len(str(refusal.value)) < 1_000
