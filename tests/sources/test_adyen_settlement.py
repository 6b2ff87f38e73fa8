"""Adyen's Settlement details report: every batch adds up to 0 or the report is refused with the figures."""

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
from zentra_pipeline.sources import adyen

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "adyen"
COLUMNS = [
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Markup (NC)",
    "Scheme Fees (NC)",
    "Interchange (NC)",
    "Batch Number",
]
BASE = {
    "Merchant Account": "LanternEU",
    "Creation Date": "2026-04-26 10:00:00",
    "TimeZone": "CEST",
    "Net Currency": "EUR",
    "Batch Number": "0041",
}
SETTLED = BASE | {
    "Type": "Settled",
    "Psp Reference": "8836PAY1",
    "Modification Reference": "8836CAP1",
    "Merchant Reference": "0017",
    "Gross Currency": "EUR",
    "Gross Credit (GC)": "25.00",
    "Net Credit (NC)": "24.05",
    "Scheme Fees (NC)": "0.35",
    "Interchange (NC)": ".60",
}
PAYOUT = BASE | {
    "Type": "MerchantPayout",
    "Modification Reference": "TX41576577400XT batch 0041, LanternEU",
    "Net Debit (NC)": "24.05",
}


def balancing(*rows: dict[str, str]) -> list[dict[str, str]]:
    """Rows and a Balancetransfer per currency that brings them to 0."""
    return [*rows, *(correction(currency, rows) for currency in dict.fromkeys(row["Net Currency"] for row in rows))]


def correction(currency: str, rows: tuple[dict[str, str], ...]) -> dict[str, str]:
    def cents(row: dict[str, str], column: str) -> int:
        return round(float(row.get(column) or 0) * 100)

    due = sum(
        cents(row, "Net Debit (NC)") - cents(row, "Net Credit (NC)") for row in rows if row["Net Currency"] == currency
    )
    amount = f"{abs(due) / 100:.2f}"
    side = "Net Credit (NC)" if due > 0 else "Net Debit (NC)"
    return BASE | {"Type": "Balancetransfer", "Net Currency": currency, side: amount}


def report(path: Path, *rows: dict[str, str]) -> Path:
    columns = [*COLUMNS, *dict.fromkeys(column for row in rows for column in row if column not in COLUMNS)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def read(*rows: dict[str, str]) -> list[dict[str, Any]]:
        frames = adyen.read_settlement(report(tmp_path / "report.csv", *rows))
        return [line for frame in frames for line in frame.to_dicts()]

    return read


def test_a_settled_payment_and_its_payout(lines: Any) -> None:
    payment, payout = lines(SETTLED, PAYOUT)
    assert payment == {
        "line_id": "0041:settled:8836PAY1:8836CAP1",
        "line_type": "payment",
        "provider_reference": "8836PAY1",
        "merchant_reference": "0017",
        "original_reference": None,
        "status": None,
        "gross_minor": "2500",
        "fee_minor": "95",
        "net_minor": "2405",
        "currency": "EUR",
        "settled_at": "2026-04-26T08:00:00Z",
        "batch_id": "0041",
        "presentment_minor": None,
        "presentment_currency": None,
        "trace_id": None,
        "statement_text": None,
        "raw": None,
        "row_number": 1,
        "refusal": None,
        "source_row": None,
    }
    assert payout["line_id"] == "0041:merchantpayout:LanternEU:TX41576577400XT batch 0041, LanternEU:EUR"
    assert (payout["line_type"], payout["gross_minor"], payout["net_minor"]) == ("payout", "-2405", "-2405")
    assert payout["trace_id"] == "TX41576577400XT", "as the bank's statement has it"
    assert payout["statement_text"] == "TX41576577400XT batch 0041, LanternEU"


@pytest.mark.parametrize(
    ("kind", "line_type", "status"),
    [
        ("Refunded", "refund", None),
        ("RefundedReversed", "refund", None),
        ("chargeback", "chargeback", None),
        ("SECONDCHARGEBACK", "chargeback", None),
        ("ChargebackReversed", "chargeback_reversal", None),
        ("Fee", "fee", None),
        ("InvoiceDeduction", "fee", None),
        ("MiscCosts", "fee", None),
        ("DepositCorrection", "reserve", None),
        ("Balancetransfer", "adjustment", None),
        ("BankInstructionReturned", "payout", "returned"),
    ],
)
def test_every_type_in_any_case_becomes_a_line_type(lines: Any, kind: str, line_type: str, status: str | None) -> None:
    line, *_ = lines(*balancing(BASE | {"Type": kind, "Modification Reference": "M1", "Net Debit (NC)": "3.00"}))
    assert (line["line_type"], line["status"], line["net_minor"]) == (line_type, status, "-300")


def test_a_refund_or_dispute_goes_by_its_own_reference_and_names_its_payment(lines: Any) -> None:
    row = SETTLED | {"Type": "Chargeback", "Modification Reference": "8836DSP1", "Net Credit (NC)": ""}
    row |= {"Gross Credit (GC)": "", "Gross Debit (GC)": "25.00", "Net Debit (NC)": "27.00", "Markup (NC)": "1.05"}
    line, _ = lines(*balancing(row))
    assert (line["provider_reference"], line["original_reference"]) == ("8836DSP1", "8836PAY1")
    assert (line["gross_minor"], line["fee_minor"], line["net_minor"]) == ("-2500", "200", "-2700")


def test_what_the_shopper_paid_in_another_currency_is_presentment(lines: Any) -> None:
    row = SETTLED | {"Gross Currency": "USD", "Gross Credit (GC)": "27.08"}
    line, _ = lines(*balancing(row))
    assert (line["presentment_minor"], line["presentment_currency"]) == ("2708", "USD")
    assert (line["gross_minor"], line["fee_minor"], line["net_minor"], line["currency"]) == (
        "2500",
        "95",
        "2405",
        "EUR",
    )


def test_negative_fees_and_a_net_that_is_blank_count_as_written(lines: Any) -> None:
    row = SETTLED | {"Scheme Fees (NC)": "-0.10", "Interchange (NC)": "", "Net Credit (NC)": "25.10"}
    blank = SETTLED | {"Modification Reference": "8836CAP2", "Net Credit (NC)": "", "Scheme Fees (NC)": "24.40"}
    first, second, _ = lines(*balancing(row, blank))
    assert (first["fee_minor"], first["net_minor"]) == ("-10", "2510")
    assert (second["gross_minor"], second["fee_minor"], second["net_minor"]) == ("2500", "2500", "0")


@pytest.mark.parametrize(
    ("currency", "text", "minor"),
    [
        ("CLP", "1500", "1500"),
        ("CLP", "1500.00", "1500"),
        ("ISK", "300.00", "300"),
        ("CVE", "12.00", "1200"),
        ("IDR", "5000", "500000"),
        ("JPY", "700", "700"),
        ("KWD", "1.234", "1234"),
    ],
)
def test_amounts_are_exact_in_the_currency_of_their_row(lines: Any, currency: str, text: str, minor: str) -> None:
    row = BASE | {"Type": "Settled", "Psp Reference": "P", "Net Currency": currency, "Net Credit (NC)": text}
    payout = PAYOUT | {"Net Currency": currency, "Net Debit (NC)": text}
    line, paid = lines(row, payout)
    assert (line["net_minor"], paid["net_minor"]) == (minor, f"-{minor}")


def test_the_booking_date_settles_where_the_report_has_it(lines: Any) -> None:
    row = SETTLED | {"Booking Date": "2026-05-02 23:30:00", "Booking Date TimeZone": "PDT"}
    line, payout = lines(row, PAYOUT)
    assert (line["settled_at"], payout["settled_at"]) == ("2026-05-03T06:30:00Z", "2026-04-26T08:00:00Z")


def test_costs_of_no_payment_are_distinguished_by_their_order(lines: Any) -> None:
    fee = BASE | {"Type": "Fee", "Modification Reference": "Transaction Fees April  2026", "Net Debit (NC)": "1.80"}
    first, second, other, *_ = lines(*balancing(fee, fee, fee | {"Net Currency": "USD"}))
    assert [line["line_id"] for line in (first, second, other)] == [
        "0041:fee:LanternEU:Transaction Fees April  2026:EUR",
        "0041:fee:LanternEU:Transaction Fees April  2026:EUR#2",
        "0041:fee:LanternEU:Transaction Fees April  2026:USD",
    ]


def test_instalments_of_one_capture_in_a_batch_that_comes_to_zero_are_lines_each(lines: Any) -> None:
    part = SETTLED | {"Type": "SettledInstallment"}
    rows = (part, part, part | {"Net Credit (NC)": "24.06"}, PAYOUT | {"Net Debit (NC)": "72.16"})
    named = "0041:settledinstallment:8836PAY1:8836CAP1"
    assert [(line["line_id"], line["net_minor"]) for line in lines(*rows)[:3]] == [
        (named, "2405"),
        (f"{named}#2", "2405"),
        (f"{named}#3", "2406"),
    ]
    twice = lines(SETTLED, PAYOUT, SETTLED, PAYOUT)
    assert [line["line_id"] for line in twice if line["line_type"] == "payment"] == [
        "0041:settled:8836PAY1:8836CAP1"
    ] * 2


def test_several_payout_currencies_of_a_batch_each_add_up(tmp_path: Path) -> None:
    dollars = {"Net Currency": "USD", "Modification Reference": "8836CAP9"}
    path = report(tmp_path / "r.csv", SETTLED, SETTLED | dollars, PAYOUT, PAYOUT | {"Net Currency": "USD"})
    assert [(s.id, s.account, s.entries, s.currency, s.signed_sum_minor, s.ties) for s in adyen.statements(path)] == [
        ("0041", "LanternEU", 2, "EUR", 0, True),
        ("0041", "LanternEU", 2, "USD", 0, True),
    ]


def test_a_batch_that_does_not_add_up_refuses_the_whole_report(tmp_path: Path) -> None:
    other = {"Batch Number": "0042"}
    path = report(tmp_path / "r.csv", SETTLED | other, PAYOUT | other, SETTLED, PAYOUT | {"Net Debit (NC)": "24.00"})
    why = (
        "r.csv: batch 0041: its rows come to 24.05 EUR (Net Credit (NC) less Net Debit (NC)) and its payout to "
        "-24.00 EUR, together 0.05 EUR where a whole batch comes to 0: rows are missing or wrong; request the report "
        "of the whole batch again"
    )
    with pytest.raises(InputRejectedError) as refusal:
        list(adyen.read_settlement(path))
    assert str(refusal.value) == why
    found = inspect("adyen", path)
    assert found.is_refused
    assert [(s.id, s.signed_sum_minor, s.ties, s.refused) for s in found.statements] == [
        ("0042", 0, True, None),
        ("0041", 5, False, why),
    ]


@pytest.mark.parametrize("amount", ["24,05", "24.050", "1.234,05", "x", "9999999999999999.99"])
def test_a_net_that_is_no_amount_leaves_its_batch_unproved(lines: Any, amount: str) -> None:
    why = (
        f"report.csv: batch 0041 cannot be added up: row 1: Net Debit (NC) '', Net Credit (NC) '{amount}', "
        "Net Currency 'EUR' is no amount of a known currency; request it again"
    )
    with pytest.raises(InputRejectedError, match=f"^{re.escape(why)}$"):
        lines(SETTLED | {"Net Credit (NC)": amount}, PAYOUT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Type": "Teleported"}, "Type: 'Teleported' is not known"),
        ({"Type": ""}, "Type: blank"),
        (
            {"TimeZone": "XYZ"},
            "Creation Date: '2026-04-26 10:00:00 XYZ' is not a date, time and known time zone such as 2026-03-02 "
            "10:00:00 CET",
        ),
        ({"Scheme Fees (NC)": "0,35"}, "Scheme Fees (NC): '0,35' is not an exact amount of Net Currency"),
        ({"Gross Credit (GC)": "25.005"}, "Gross Credit (GC): '25.005' is not an exact amount of Gross Currency"),
    ],
)
def test_a_row_that_cannot_be_read_goes_to_quarantine_in_the_words_of_the_report(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    path = report(tmp_path / "report.csv", SETTLED | change, PAYOUT)
    (frame,) = adyen.read_settlement(path)
    verdict = validate(settlement_lines.CONTRACT, frame, adyen.COLUMN_NAMES)
    assert verdict.refused["reason"].to_list() == [reason]
    assert verdict.accepted["line_type"].to_list() == ["payout"]
    *_, rejected = inspect("adyen", path).statements
    assert (rejected.entries, rejected.refused) == (1, f"rejected rows: 1; row 1: {reason}")


def test_a_column_that_adyen_does_not_document_is_kept_as_drift(lines: Any) -> None:
    line, _ = lines(SETTLED | {"Lunar Fee (NC)": "0"}, PAYOUT)
    assert line["raw"] == '{"Lunar Fee (NC)":"0"}'


def test_a_report_of_another_kind_is_refused_by_the_columns_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "accounting.csv"
    path.write_text("Company Account,Psp Reference,Record Type,Main Amount\na,b,c,1\n", encoding="utf-8")
    with pytest.raises(InputRejectedError, match="no column Type, Batch Number, Net Currency"):
        list(adyen.read_settlement(path))


def test_the_report_of_the_guide_is_read_as_the_guide_says(tmp_path: Path) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "formats" / "adyen.md"
    path = tmp_path / "report.csv"
    path.write_text(guide.read_text(encoding="utf-8").split("```csv\n")[1].split("```")[0], encoding="utf-8")
    (statement,) = inspect("adyen", path).statements
    assert (statement.id, statement.entries, statement.signed_sum_minor, statement.ties) == ("41", 4, 0, True)


EXPECTED = {
    "Data/settlement_detail_report_chargeback.csv": ("3", 3, -883),
    "Data/settlement_detail_report_chargeback_reversed.csv": ("3", 1, 5189),
    "Data/settlement_detail_report_deposit_correction.csv": ("1191", 2, -20000),
    "Data/settlement_detail_report_donation-ach.csv": ("1061", 2, 0),
    "Data/settlement_detail_report_donation-ideal.csv": ("630", 2, 467),
    "Data/settlement_detail_report_donation.csv": ("2", 2, 0),
    "Data/settlement_detail_report_emptynetcredit.csv": ("1136", 1, -3),
    "Data/settlement_detail_report_ignore.csv": ("2", 2, 0),
    "Data/settlement_detail_report_invoice_deduction.csv": ("1136", 2, -3),
    "Data/settlement_detail_report_refund.csv": ("3", 3, -683),
    "chargeback/settlement_detail_report_batch_3.csv": ("3", 3, -883),
    "donation_gravy/settlement_detail_report_batch_4.csv": ("1122", 1, 2105),
    "donation_recur_subsequent/settlement_detail_report_batch_3.csv": ("2", 2, 0),
    "refund/settlement_detail_report_batch_3.csv": ("3", 3, -683),
}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are not beside the project")
def test_the_samples_tie_or_are_refused_with_their_figures() -> None:
    found = {}
    for path in sorted(SAMPLES.glob("**/settlement_detail_report*.csv")):
        (statement, *rejected) = inspect("adyen", path).statements
        assert not rejected
        assert statement.ties is (statement.refused is None) is (statement.signed_sum_minor == 0)
        found[f"{path.parent.name}/{path.name}"] = (statement.id, statement.entries, statement.signed_sum_minor)
    assert found == EXPECTED


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are not beside the project")
def test_every_row_of_the_samples_that_tie_is_accepted() -> None:
    tied = [path for path in SAMPLES.glob("**/settlement*.csv") if EXPECTED[f"{path.parent.name}/{path.name}"][2] == 0]
    assert len(tied) == 4
    frames = [frame for path in tied for frame in adyen.read_settlement(path)]
    verdict = validate(settlement_lines.CONTRACT, pl.concat(frames), adyen.COLUMN_NAMES)
    assert (verdict.accepted.height, verdict.refused.height) == (8, 0)
