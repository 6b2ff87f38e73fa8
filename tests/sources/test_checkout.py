"""Checkout.com's breakdown and payouts reports, and the sample pair that is a cent apart."""

from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.checkout import parts

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "checkout"
HEADER = (
    "Type,Payment ID,Reference,Processed On,Available On,Holding Currency,Payout ID,Gross In Holding Currency,"
    "Deduction In Holding Currency,Net In Holding Currency,Processing Currency,Gross In Processing Currency"
)


def lines(path: Path, *rows: str) -> list[dict[str, Any]]:
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_a_row_is_a_line_with_its_fee_and_what_was_paid(tmp_path: Path) -> None:
    days = "2026-07-01T10:00:00.000,2026-07-02T00:00:00.000"
    charge, fee = lines(
        tmp_path / "b.csv",
        f"Charge,pay_1,007,{days},USD,PO1,50,-1.5,48.5,EUR,46",
        f"Void,pay_2,,{days},USD,PO1,0,-0.3,-0.3,,",
    )
    shown = (
        "line_type",
        "provider_reference",
        "merchant_reference",
        "gross_minor",
        "fee_minor",
        "net_minor",
        "batch_id",
    )
    assert [charge[name] for name in shown] == ["payment", "pay_1", "007", "5000", "150", "4850", "PO1"]
    assert (charge["presentment_minor"], charge["presentment_currency"]) == ("4600", "EUR")
    assert charge["settled_at"] == "2026-07-02T00:00:00Z"
    assert [fee[name] for name in shown] == ["fee", "pay_2", None, "-30", "0", "-30", "PO1"]
    with pytest.raises(InputRejectedError, match=r"data row 1: .* the first two do not come to the third"):
        lines(tmp_path / "b.csv", f"Charge,pay_1,007,{days},USD,PO1,50,-1.5,48.6,,")


def test_rows_with_fractions_of_a_cent_come_to_the_whole_cents_of_their_payout(tmp_path: Path) -> None:
    days = "2026-07-01T10:00:00.000,2026-07-02T00:00:00.000"
    found = lines(
        tmp_path / "b.csv",
        f"Charge,pay_1,007,{days},USD,PO1,10,-0.3344,9.6656,,",
        f"Charge,pay_2,008,{days},USD,PO1,10,-0.3348,9.6652,,",
        f"Network Token Update,pay_3,,{days},USD,PO1,0,-0.0048,-0.0048,,",
        f"Refund,pay_4,,{days},USD,PO1,-1.00,-0.0060,-1.0060,,",
    )
    assert [(line["line_type"], line["gross_minor"], line["fee_minor"], line["net_minor"]) for line in found] == [
        ("payment", "1000", "33", "967"),
        ("payment", "1000", "33", "967"),
        ("fee", "0", "0", "0"),
        ("refund", "-100", "1", "-101"),
        ("adjustment", "-1", "0", "-1"),
    ]
    assert (found[-1]["line_id"], found[-1]["settled_at"]) == ("PO1:rounding:USD", "2026-07-02T00:00:00Z")
    (statement,) = inspect("checkout", tmp_path / "b.csv").statements
    assert (statement.entries, statement.signed_sum_minor) == (4, 1832)
    with pytest.raises(InputRejectedError, match=r"are 10, -0\.3344, 9\.6655: the first two do not come to the third"):
        lines(tmp_path / "b.csv", f"Charge,pay_1,007,{days},USD,PO1,10,-0.3344,9.6655,,")
    with pytest.raises(InputRejectedError, match=r"amounts use '\.' and ','"):
        lines(tmp_path / "b.csv", f'Charge,pay_1,007,{days},USD,PO1,1.234,"-1,50",1.2325,,')


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are beside the project, in ../shared/samples")
def test_the_sample_breakdown_is_a_cent_below_its_payout() -> None:
    (breakdown,) = (path for path in SAMPLES.rglob("settlement-breakdown*.csv"))
    (payouts,) = (path for path in SAMPLES.rglob("payouts*.csv"))
    (rows,), (paid,) = inspect("checkout", breakdown).statements, inspect("checkout", payouts).statements
    assert (rows.id, rows.entries, rows.signed_sum_minor) == ("00000003K599", 9, 7950)
    assert (paid.id, paid.entries, paid.signed_sum_minor) == ("00000003K599", 1, -7951)


def test_an_amount_of_any_length_is_refused_in_a_few_words(tmp_path: Path) -> None:
    days = "2026-07-01T10:00:00.000,2026-07-02T00:00:00.000"
    with pytest.raises(InputRejectedError) as refusal:
        lines(tmp_path / "b.csv", f"Charge,pay_1,007,{days},USD,PO1,50{'x' * 9_000},-1.5,48.5,,")
    assert len(str(refusal.value)) < 300
