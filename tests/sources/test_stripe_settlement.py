"""Stripe's itemized reports as settlement lines: every mapping, every column variant, and the public sample files."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline import vocabulary
from zentra_pipeline.contracts import settlement_lines
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.stripe import read_settlement

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "stripe"

CHARGE = {
    "balance_transaction_id": "txn_1",
    "reporting_category": "charge",
    "currency": "usd",
    "gross": "25.00",
    "fee": "0.95",
    "net": "24.05",
    "source_id": "ch_1",
    "charge_id": "ch_1",
    "payment_intent_id": "pi_1",
    "automatic_payout_id": "po_1",
    "automatic_payout_effective_at_utc": "2026-01-31 00:00:00",
}


def report(path: Path, *rows: dict[str, str]) -> Path:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def read(*rows: dict[str, str]) -> list[dict[str, Any]]:
        frames = read_settlement(report(tmp_path / "report.csv", *rows))
        return [line for frame in frames for line in frame.to_dicts()]

    return read


def test_a_charge_becomes_a_payment(lines: Any) -> None:
    assert lines(CHARGE) == [
        {
            "line_id": "txn_1",
            "line_type": "payment",
            "provider_reference": "ch_1",
            "merchant_reference": "pi_1",
            "original_reference": None,
            "status": None,
            "gross_minor": "2500",
            "fee_minor": "95",
            "net_minor": "2405",
            "currency": "USD",
            "settled_at": "2026-01-31T00:00:00Z",
            "batch_id": "po_1",
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


@pytest.mark.parametrize(
    ("gross", "paid", "currency", "presentment"),
    [
        ("108.32", "100.00", "eur", ("10000", "EUR")),
        ("-108.32", "-100.00", "eur", ("-10000", "EUR")),
        ("-108.32", "100.00", "eur", ("-10000", "EUR")),
        ("6.70", "1000", "jpy", ("1000", "JPY")),
        ("25.00", "25.00", "usd", (None, None)),
        ("25.00", "", "", (None, None)),
    ],
)
def test_what_the_customer_paid_is_kept_where_it_is_another_currency(
    lines: Any, gross: str, paid: str, currency: str, presentment: tuple[str | None, str | None]
) -> None:
    facing = {"customer_facing_amount": paid, "customer_facing_currency": currency}
    (line,) = lines(CHARGE | {"gross": gross} | facing)
    assert (line["presentment_minor"], line["presentment_currency"], line["refusal"]) == (*presentment, None)


def test_a_payout_s_trace_id_is_kept(lines: Any) -> None:
    (line,) = lines(CHARGE | {"trace_id": "091000010000001", "trace_id_status": "supported"})
    assert (line["trace_id"], line["raw"]) == ("091000010000001", None)


def test_a_frame_has_the_contracts_columns_and_its_lineage(tmp_path: Path) -> None:
    frame = next(read_settlement(report(tmp_path / "report.csv", CHARGE)))
    assert frame.columns == [*settlement_lines.CONTRACT.columns, "raw", "row_number", "refusal", "source_row"]


@pytest.mark.parametrize(("category", "line_type"), sorted(vocabulary.stripe_line_types().items()))
def test_every_category_has_its_line_type(lines: Any, category: str, line_type: str) -> None:
    (line,) = lines(CHARGE | {"reporting_category": category})
    assert (line["line_type"], line["refusal"]) == (line_type, None)


def test_an_unknown_category_refuses_its_row_and_no_other(lines: Any) -> None:
    unknown = CHARGE | {"reporting_category": "tribute", "balance_transaction_id": "txn_2"}
    first, second = lines(CHARGE, unknown)
    assert first["refusal"] is None
    assert second["refusal"] == "reporting_category: 'tribute' is not known"
    assert json.loads(second["source_row"]) == unknown


def test_the_whole_category_word_counts(lines: Any) -> None:
    assert [line["line_type"] for line in lines(CHARGE | {"reporting_category": "Charge"})] == [None]


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({}, "ch_1"),
        ({"source_id": ""}, "ch_1"),
        ({"source_id": "", "charge_id": ""}, "pi_1"),
        ({"source_id": "", "charge_id": "", "payment_intent_id": ""}, "txn_1"),
        ({"source_id": "re_1", "reporting_category": "refund"}, "re_1"),
        ({"source_id": "re_1", "reporting_category": "partial_capture_reversal"}, "ch_1"),
        ({"source_id": "pyr_1", "reporting_category": "charge_failure"}, "ch_1"),
        ({"source_id": "re_1", "charge_id": "", "reporting_category": "partial_capture_reversal"}, "re_1"),
        ({"source_id": "po_1", "charge_id": "", "reporting_category": "payout"}, "po_1"),
    ],
)
def test_the_reference_is_the_object_the_row_is_about(lines: Any, changes: dict[str, str], reference: str) -> None:
    assert [line["provider_reference"] for line in lines(CHARGE | changes)] == [reference]


@pytest.mark.parametrize(
    ("category", "source", "original"),
    [
        ("refund", "re_1", "ch_1"),
        ("refund_failure", "re_1", "ch_1"),
        ("dispute", "dp_1", "ch_1"),
        ("dispute_reversal", "du_1", "ch_1"),
        ("refund", "ch_1", None),
        ("charge", "ch_1", None),
        ("charge", "py_1", None),
        ("fee", "", None),
    ],
)
def test_refunds_and_disputes_name_the_charge_they_refer_to(
    lines: Any, category: str, source: str, original: str | None
) -> None:
    (line,) = lines(CHARGE | {"reporting_category": category, "source_id": source})
    assert line["original_reference"] == original


@pytest.mark.parametrize(
    ("metadata", "reference"),
    [
        ({"payment_metadata[order]": "A-17"}, "A-17"),
        ({"payment_metadata[order]": "A-17", "payment_metadata[channel]": ""}, "A-17"),
        ({"payment_metadata[order]": "", "payment_metadata[ref]": "B"}, "B"),
        ({"payment_metadata[order]": "A-17", "payment_metadata[channel]": "web"}, "pi_1"),
        ({"payment_metadata[order]": ""}, "pi_1"),
        ({"payment_metadata[a,b]": "quoted header"}, "quoted header"),
        ({"refund_metadata[order]": "A-17"}, "pi_1"),
    ],
)
def test_the_only_payment_metadata_value_is_the_merchants_reference(
    lines: Any, metadata: dict[str, str], reference: str
) -> None:
    (line,) = lines(CHARGE | metadata)
    assert (line["merchant_reference"], line["raw"]) == (reference, None)


@pytest.mark.parametrize(
    ("instants", "settled_at"),
    [
        ({"created": "2026-01-30 10:11:12"}, "2026-01-30T10:11:12Z"),
        ({"created": "1", "created_utc": "2026-01-30 10:11:12"}, "2026-01-30T10:11:12Z"),
        ({"created": "2026-01-29 00:00:00", "available_on": "2026-01-30 00:00:00"}, "2026-01-30T00:00:00Z"),
        ({"available_on": "2026-01-30", "available_on_utc": "2026-01-31"}, "2026-01-31T00:00:00Z"),
        (
            {"automatic_payout_effective_at": "2026-02-01 09:30", "available_on_utc": "2026-01-31 00:00:00"},
            "2026-01-31T00:00:00Z",
        ),
        ({"automatic_payout_effective_at": "", "created": "2026-01-30 10:11:12"}, "2026-01-30T10:11:12Z"),
        ({"created": "2026-01-30T10:11:12.345Z"}, "2026-01-30T10:11:12.345Z"),
        ({"created": "30/01/2026"}, "30/01/2026"),
        ({"created": ""}, None),
    ],
)
def test_a_row_settled_at_the_first_instant_it_gives(
    lines: Any, instants: dict[str, str], settled_at: str | None
) -> None:
    row = {key: value for key, value in CHARGE.items() if key != "automatic_payout_effective_at_utc"}
    assert [line["settled_at"] for line in lines(row | instants)] == [settled_at]


@pytest.mark.parametrize(
    ("currency", "gross", "minor"),
    [
        ("usd", "-10", "-1000"),
        ("EUR", "0.5", "50"),
        ("jpy", "1500", "1500"),
        ("kwd", "1.234", "1234"),
        ("mga", "5", "500"),
        ("isk", "5", "5"),
        ("isk", "100.00", "100"),
        ("ugx", "-100.00", "-100"),
        ("usd", "-0.00", "0"),
        ("usd", "12,50", "1250"),
    ],
)
def test_major_units_become_iso_minor_units_exactly(lines: Any, currency: str, gross: str, minor: str) -> None:
    comma = {"fee": "0,95", "net": "24,05"} if "," in gross else {"fee": "0", "net": "0"}
    (line,) = lines(CHARGE | {"currency": currency, "gross": gross} | comma)
    assert (line["gross_minor"], line["currency"], line["refusal"]) == (minor, currency.upper(), None)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"fee": "1e2"}, "fee: '1e2' is not an exact amount of its currency; write a plain number such as 40.00"),
        ({"net": " 24.05"}, "net: ' 24.05' begins or ends with a blank; write the number alone, such as 40.00"),
        (
            {"gross": "$25.00"},
            "gross: '$25.00' has letters or a currency symbol; write the number alone, such as 40.00",
        ),
        (
            {"gross": "25.00 EUR"},
            "gross: '25.00 EUR' has letters or a currency symbol; write the number alone, such as 40.00",
        ),
        ({"gross": "(25.00)"}, "gross: '(25.00)' is in brackets; write a negative amount with a minus, such as -40.00"),
        (
            {"gross": "1.250"},
            "gross: '1.250' has a thousands mark, or more decimals than its currency; "
            "request it without thousands marks",
        ),
        (
            {"currency": "jpy", "fee": "0", "net": "0", "gross": "1500.00"},
            "gross: '1500.00' is not an exact amount of its currency: it has more decimals, or is too large",
        ),
        (
            {"currency": "isk", "fee": "0", "net": "0", "gross": "100.50"},
            "gross: '100.50' is not an exact amount of its currency: it has more decimals, or is too large",
        ),
        ({"balance_transaction_id": ""}, "balance_transaction_id: blank"),
        ({"fee": ""}, "fee: blank"),
        (
            {"automatic_payout_effective_at_utc": "03/02/2026"},
            "automatic_payout_effective_at_utc: '03/02/2026' is not a date and time such as 2026-03-02 10:00:00",
        ),
        ({"currency": "xxx"}, "currency: 'xxx' is not an ISO 4217 currency"),
        ({"currency": ""}, "currency: blank"),
        ({"reporting_category": ""}, "reporting_category: blank"),
        (
            {"gross": "abc", "fee": "+1"},
            "gross: 'abc' has letters or a currency symbol; write the number alone, such as 40.00; "
            "fee: '+1' is not an exact amount of its currency; write a plain number such as 40.00",
        ),
    ],
)
def test_a_row_that_cannot_be_read_exactly_is_refused_with_its_reasons(
    lines: Any, changes: dict[str, str], refusal: str
) -> None:
    (line,) = lines(CHARGE | changes)
    assert line["refusal"] == refusal
    assert json.loads(line["source_row"])["payment_intent_id"] == "pi_1"


def test_a_row_that_does_not_tie_is_left_as_it_is(lines: Any) -> None:
    (line,) = lines(CHARGE | {"net": "24.00"})
    assert (line["net_minor"], line["refusal"]) == ("2400", None)


def test_a_reversed_payout_counts_as_returned(lines: Any) -> None:
    assert [line["status"] for line in lines(CHARGE | {"reporting_category": "payout_reversal"})] == ["returned"]


def test_columns_may_be_in_any_order(lines: Any) -> None:
    assert lines(dict(reversed(CHARGE.items()))) == lines(CHARGE)


def test_only_undocumented_columns_are_drift(lines: Any) -> None:
    documented = {"card_brand": "visa", "customer_shipping_address_line1": "1 Main St", "description": 'a "b", c'}
    (line,) = lines(CHARGE | documented | {"mystery": 'x "y"', "trace_id": "t"})
    assert json.loads(line["raw"]) == {"mystery": 'x "y"'}


def test_a_file_that_mixes_decimal_separators_is_refused(lines: Any) -> None:
    with pytest.raises(InputRejectedError, match="decimal_separator"):
        lines(CHARGE, CHARGE | {"gross": "25,00"})


def test_thousands_marks_are_refused(lines: Any) -> None:
    with pytest.raises(InputRejectedError, match="thousands"):
        lines(CHARGE | {"gross": "1,250.00"})


@pytest.mark.parametrize("column", ["balance_transaction_id", "reporting_category", "currency", "gross", "fee", "net"])
def test_a_report_without_a_required_column_is_refused(lines: Any, column: str) -> None:
    with pytest.raises(
        InputRejectedError,
        match=f"report.csv: no column {column}; request an itemized report with balance_transaction_id, ",
    ):
        lines({key: value for key, value in CHARGE.items() if key != column})


def test_a_report_without_any_instant_is_refused(lines: Any) -> None:
    with pytest.raises(InputRejectedError, match="no column says when a row settled"):
        lines({key: value for key, value in CHARGE.items() if key != "automatic_payout_effective_at_utc"})


def test_a_report_without_rows_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text(",".join(CHARGE) + "\n", encoding="utf-8")
    assert sum(frame.height for frame in read_settlement(path)) == 0


def test_the_files_name_as_received_is_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "0badc0de"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputRejectedError, match=r"^itemized\.csv: "):
        list(read_settlement(path, name="itemized.csv"))


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_the_public_sample_reports_are_read_to_the_last_row() -> None:
    paths = [path for path in SAMPLES.rglob("*.csv") if "wikimedia" in str(path)]
    assert len(paths) == 4
    for path in paths:
        with path.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
        lines = [line for frame in read_settlement(path) for line in frame.to_dicts()]
        assert [line["line_id"] for line in lines] == [row["balance_transaction_id"] for row in rows]
        assert {line["refusal"] for line in lines} == {None}
        for row, line in zip(rows, lines, strict=True):
            assert line["line_type"] == vocabulary.stripe_line_types()[row["reporting_category"]]
            assert [int(line[f"{name}_minor"]) for name in ("gross", "fee", "net")] == [
                int(Decimal(row[name]) * 100) for name in ("gross", "fee", "net")
            ]


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_the_sample_settlement_report_is_read_as_a_person_would() -> None:
    (path,) = (path for path in SAMPLES.rglob("settlement_report.csv") if "SmashPig" in str(path))
    lines = {line["line_id"]: line for frame in read_settlement(path) for line in frame.to_dicts()}
    refund, reversal = lines["txn_rfnd_002"], lines["txn_1Tj9xrJ"]
    assert refund["provider_reference"] == "re_123"
    assert refund["original_reference"] == "ch_123"
    assert refund["merchant_reference"] == "pi_123", "two metadata values: neither is the order's for sure"
    assert refund["gross_minor"] == "-1000"
    assert lines["txn_001"]["merchant_reference"] == "24315.1"
    assert lines["txn_001"]["batch_id"] == "po_test123"
    assert reversal["line_type"] == "chargeback_reversal"
    assert reversal["provider_reference"] == "du_1Tc2b"
    assert reversal["original_reference"] == "ch_3TRX"
    assert lines["txn_005"]["line_type"] == "payout"
    assert lines["txn_005"]["net_minor"] == "2305", "does not tie to its gross of 24, and is not repaired"


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_other_exports_are_refused_by_name() -> None:
    for path in SAMPLES.rglob("*_data.csv"):
        with pytest.raises(InputRejectedError, match=f"{path.name}: no column "):
            list(read_settlement(path))
