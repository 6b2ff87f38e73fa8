"""OFX statements: SGML and XML give the same lines, and what is no bank statement is refused."""

import time
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements, ofx
from zentra_pipeline.sources.ofx import parts
from zentra_pipeline.sources.statement import Entry

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "ofx"
SGML = """OFXHEADER:100

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><ACCTID>0077</BANKACCTFROM><BANKTRANLIST>
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260705233000.000[-5:EST]<TRNAMT>125.50<FITID>F-1<REFNUM>007<NAME>A &amp; B
<STMTTRN><TRNTYPE>SRVCHG<DTPOSTED>20260706<TRNAMT>-1,20<FITID>F-2<NAME>Caf\xe9</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>300.00<DTASOF>20260706</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""


def lines(path: Path, text: str) -> list[dict[str, Any]]:
    path.write_bytes(text.encode("cp1252"))
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_transactions_are_lines_of_their_account(tmp_path: Path) -> None:
    first, second = lines(tmp_path / "s.ofx", SGML)
    shown = ("line_id", "line_type", "merchant_reference", "net_minor", "currency", "settled_at", "refusal")
    assert [first[name] for name in shown] == [
        "0077:F-1", "payment", "007", "12550", "EUR", "2026-07-06T04:30:00Z", None,
    ]  # fmt: skip
    assert [second[name] for name in shown] == [
        "0077:F-2", "fee", None, "-120", "EUR", "2026-07-06T00:00:00Z", None,
    ]  # fmt: skip
    (statement,) = inspect("ofx", tmp_path / "s.ofx").statements
    assert (statement.account, statement.entries, statement.signed_sum_minor) == ("0077", 2, 12430)
    assert (statement.closing_minor, statement.ties) == (30000, None)
    closed = SGML.replace("<CURDEF>EUR", "<CURDEF>EUR</CURDEF>").replace("<FITID>F-1", "<FITID>F-1</FITID>")
    assert lines(tmp_path / "x.ofx", closed.replace("OFXHEADER:100", "<?OFX OFXHEADER='200'?>")) == [first, second]


def test_times_are_written_in_full_or_to_the_minute_and_zones_by_hours_and_minutes_or_parts(tmp_path: Path) -> None:
    for written, instant in (
        ("20260705", "2026-07-05T00:00:00Z"),
        ("202607052330", "2026-07-05T23:30:00Z"),
        ("202607052330[-5]", "2026-07-06T04:30:00Z"),
        ("20260705233000[+5.30:IST]", "2026-07-05T18:00:00Z"),
        ("20260705233000[5.5:IST]", "2026-07-05T18:00:00Z"),
        ("20260705233000[-3.30:NST]", "2026-07-06T03:00:00Z"),
        ("20260705233000[+5.75:NPT]", "2026-07-05T17:45:00Z"),
        ("20260705233000[+5.45:NPT]", "2026-07-05T17:45:00Z"),
    ):
        first, _ = lines(tmp_path / "s.ofx", SGML.replace("20260705233000.000[-5:EST]", written))
        assert (first["settled_at"], first["refusal"]) == (instant, None), written


@pytest.mark.parametrize("block", [7, 64, 64 * 1024])
def test_comments_say_nothing_and_cdata_is_text(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    due = lines(tmp_path / "s.ofx", SGML)
    monkeypatch.setattr(ofx, "_BLOCK", block)
    hidden = SGML.replace("<FITID>F-1", "<FITID><![CDATA[F-1]]></FITID>").replace(
        "<STMTTRN><TRNTYPE>SRV", "<!-- <STMTTRN><TRNAMT>9<FITID>F-9</STMTTRN> --><STMTTRN><TRNTYPE>SRV"
    )
    assert lines(tmp_path / "s.ofx", hidden) == due
    text = hidden.replace("<NAME>A &amp; B", "<NAME><![CDATA[A & <b>B</b> ]]></NAME>")
    (tmp_path / "s.ofx").write_bytes(text.encode("cp1252"))
    entries = [part for part in ofx.parts(tmp_path / "s.ofx", "s.ofx", is_of_bank=True) if isinstance(part, Entry)]
    assert [entry.text for entry in entries] == ["A & <b>B</b>", "Caf\xe9"]


def test_a_correction_is_no_booking_beside_what_it_corrects(tmp_path: Path) -> None:
    text = SGML.replace("<FITID>F-2", "<FITID>F-2<CORRECTFITID>F-1<CORRECTACTION>REPLACE")
    assert [line["refusal"] for line in lines(tmp_path / "s.ofx", text)] == [
        None,
        "CORRECTACTION: it replaces the transaction 'F-1', which was sent before, and is no booking beside it; ask the "
        "bank for a statement in which it is corrected",
    ]
    assert lines(tmp_path / "s.ofx", SGML.replace("<CURDEF>EUR", ""))[0]["refusal"] == (
        "CURDEF: the statement names no currency"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SGML.replace("</OFX>", ""), "it does not end with </OFX>"),
        (SGML.replace("STMTRS>", "INVSTMTRS>"), "no bank or card statement is in it"),
        (SGML.replace("<OFX>", "<!DOCTYPE x><OFX>"), "it declares <!DOCTYPE"),
        ("Date,Amount\n2026-07-05,1.00\n", "it does not end with </OFX>: it was cut, or is no OFX"),
        ("PK\x03\x04xl/", "it is a workbook .*, not OFX"),
        ("", "the file is empty, which is not OFX"),
    ],
)
def test_what_is_no_whole_bank_statement_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputRejectedError, match=why):
        lines(tmp_path / "s.ofx", text)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are beside the project, in ../shared/samples")
def test_public_samples_are_read_or_refused_by_name() -> None:
    found: dict[str, list[tuple[int, int | None]]] = {}
    for path in sorted(path for path in SAMPLES.rglob("*") if path.is_file()):
        try:
            found[path.name] = [(s.entries, s.signed_sum_minor) for s in inspect("ofx", path).statements]
        except InputRejectedError:
            found[path.name] = []
    assert found["bank_medium.ofx"] == [(3, -34527)]
    assert found["sample.ofx"] == [(2, 117025)]
    assert found["test_ofx.ofx"] == [(4, -36000), (0, 0)]
    assert found["fidelity.ofx"] == []


def test_a_tag_without_an_end_is_read_over_in_no_time(tmp_path: Path) -> None:
    began = time.process_time()
    with pytest.raises(InputRejectedError):
        lines(tmp_path / "s.ofx", SGML[: SGML.index("</BANKTRANLIST>")] + "<S" + "0" * 110_000)
    assert time.process_time() - began < 3
