"""ACH files: what a return becomes, the file control, every form of lines, and the public sample files."""

from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.nacha import parts

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "nacha"
RECORDS = (
    "101 091400606 6910001341810170306A094101FIRST BANK             MY COMPANY",
    "5200MyCompany                           123456789 WEBTRANSFER        000101   1091000010000001",
    "626091400606123456789        0000012354ORDER-1        Paul Jones            S 1091000017611242",
    "799R01091400600000001      09100001                                            091000017611242",
    "621091400606123456789        0000004565               Bob Marley            S 1091000029461242",
    "798C01091400600000003      09100001      1918171614                            091000029461242",
    "82000000040018280120000000012354000000004565 123456789                         091000010000001",
    "9000001000001000000040018280120000000012354000000004565",
)


def written(path: Path, *records: str, end: str = "\n") -> Path:
    path.write_text("".join(record.ljust(0 if end else 94) + end for record in records), encoding="utf-8", newline="")
    return path


def lines(path: Path, notes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    found = bank_statements.settlement_frames(parts(path, path.name, {} if notes is None else notes), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_a_returned_debit_takes_its_money_back_and_a_change_moves_none(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    (line,) = lines(written(tmp_path / "r.ach", *RECORDS), notes)
    shown = ("line_id", "line_type", "provider_reference", "merchant_reference", "net_minor", "currency", "settled_at")
    assert [line[name] for name in shown] == [
        "2018-10-17:091000017611242:R01", "chargeback", "091400600000001", "ORDER-1", "-12354", "USD",
        "2018-10-17T00:00:00Z",
    ]  # fmt: skip
    assert notes == {"entries that are notifications of change: no movement of money": 1}
    (statement,) = inspect("nacha", tmp_path / "r.ach").statements
    assert (statement.entries, statement.signed_sum_minor, statement.ties) == (2, 4565 - 12354, True)
    assert lines(written(tmp_path / "one.ach", *RECORDS, end="")) == [line]
    assert lines(written(tmp_path / "crlf.ach", *RECORDS, end="\r\n")) == [line]


def test_a_file_that_departs_from_its_control_is_refused_with_the_figures(tmp_path: Path) -> None:
    wrong = RECORDS[-1].replace("12354", "12355")
    with pytest.raises(
        InputRejectedError, match=r"its total of debits is 123\.55 USD, and its records come to 123\.54 USD"
    ):
        lines(written(tmp_path / "r.ach", *RECORDS[:-1], wrong))
    with pytest.raises(InputRejectedError, match="it has no file control"):
        lines(written(tmp_path / "r.ach", *RECORDS[:-1]))
    with pytest.raises(InputRejectedError, match=r"record 9 .* is none of an ACH file"):
        lines(written(tmp_path / "r.ach", *RECORDS, "hello"))
    with pytest.raises(InputRejectedError, match=r"record 9: another file begins .record 1."):
        lines(written(tmp_path / "r.ach", *RECORDS, *RECORDS))


def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path) -> None:
    path = written(tmp_path / "r.ach", *RECORDS)
    due = lines(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert lines(path) == due


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are beside the project, in ../shared/samples")
def test_119_of_128_public_samples_tie_to_their_file_control() -> None:
    ties: dict[str, str | None] = {}
    for path in sorted(SAMPLES.rglob("*.ach")):
        try:
            (statement,) = bank_statements.statements(parts(path, path.name, {}), path.name)
            ties[str(path)] = statement.refused
        except InputRejectedError as refusal:
            ties[str(path)] = str(refusal)
    refused = {Path(path).name: reason for path, reason in ties.items() if reason is not None}
    assert (len(ties), len(refused)) == (128, 9)
    assert set(refused) == {
        "issue751.ach", "adv-invalidBatchEntries.ach", "adv-invalidFileControl.ach", "adv-noFileControl.ach",
        "bh-ed-ad-bh-ed-ad-ed-ad.ach", "flattenADVBatchesMultipleBatchHeaders.ach", "invalid-two-micro-deposits.ach",
        "ppd-debit-fixedLengthInvalid.ach", "shr-credit.ach",
    }  # fmt: skip
