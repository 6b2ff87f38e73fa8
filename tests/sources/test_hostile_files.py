"""Files as strangers send them: each is refused, or its rows quarantined, in words that say what it is."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from tests.support.every import check_every
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import adyen as adyen_report
from zentra_pipeline.sources import canonical, csv_grammar, parquet_file

HEADER = "balance_transaction_id,created_utc,reporting_category,currency,gross,fee,net,source_id,automatic_payout_id"
ROWS = (
    "txn_1,2026-03-02 10:00:00,charge,usd,40.00,1.46,38.54,ch_1,po_1",
    "txn_2,2026-03-02 11:00:00,charge,usd,10.00,0.59,9.41,ch_2,po_1",
)
TEXT = "\n".join((HEADER, *ROWS)) + "\n"
BLANKS = "," * HEADER.count(",")


def with_row(row: str) -> str:
    return f"{TEXT}{row}\n"


def other(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def said_of(folder: Path, content: bytes | str, file_format: str = "stripe", name: str = "in.csv") -> str:
    """Everything that `inspect` refuses of a file, joined; blank where it accepts all."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        return " | ".join(statement.refused or "" for statement in inspect(file_format, path).statements).strip(" |")
    except InputRejectedError as refusal:
        return str(refusal)


def check(folder: Path, cases: Mapping[str, tuple[bytes | str, str]], file_format: str = "stripe") -> None:
    """Every case is refused in its words; blank words: it is accepted."""
    said = {case: said_of(folder, content, file_format) for case, (content, _) in cases.items()}
    wrong = {
        case: said[case] for case, (_, words) in cases.items() if words not in said[case] or (said[case] and not words)
    }
    assert wrong == {}


def test_files_of_other_forms_are_named(tmp_path: Path) -> None:
    utf8 = TEXT.encode()
    check(
        tmp_path,
        {
            "utf-16 le": (TEXT.encode("utf-16-le"), "it is UTF-16 text"),
            "utf-16 be": (TEXT.encode("utf-16-be"), "it is UTF-16 text"),
            "utf-16 with mark": (TEXT.encode("utf-16"), "it is UTF-16 text"),
            "utf-32": (TEXT.encode("utf-32"), "it is UTF-32 text"),
            "one mark": (b"\xef\xbb\xbf" + utf8, ""),
            "two marks": (b"\xef\xbb\xbf" * 2 + utf8, "two byte order marks"),
            "latin-1": (
                other("ch_1", "ch_é").encode("latin-1"),
                "as Windows-1252 the place reads '40.00,1.46,38.54,ch_é,po_1'",
            ),
            "gzip": (gzip.compress(utf8), "it is compressed (gzip)"),
            "zip": (b"PK\x03\x04" + bytes(20), "it is a zip archive or a workbook"),
            "workbook": (b"PK\x03\x04" + bytes(20) + b"xl/workbook.xml", "it is a workbook"),
            "old workbook": (b"\xd0\xcf\x11\xe0" + bytes(20), "it is an old Excel workbook"),
            "pdf": (b"%PDF-1.7\n", "it is a PDF"),
            "rtf": ("{\\rtf1 " + TEXT, "it is a text document (RTF)"),
            "html": ("\n<!DOCTYPE html><p>Sign in", "it is an HTML page"),
            "html table": ("<table><tr><td>gross", "it is an HTML table"),
            "xml error": ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>', "it is an error message (XML)"),
            "camt": ('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">', "it is XML (camt.053)"),
            "json error": ('{"error": {"message": "Invalid API Key"}}', "it is an error message (JSON)"),
            "event": ('{"id": "evt_1", "object": "event"}', "it is a webhook event"),
            "mt940": (":20:S\r\n:25:1/2\r\n:61:2601010101C10,50NMSC//x\r\n", "it is a bank statement (MT940)"),
            "bai2": ("01,122099999,123456789,040621,0200,1,65,,2/\n", "it is a bank statement (BAI2)"),
            "nacha": ("101 123456789 1234567892601010000A094101Bank\n", "it is an ACH file (NACHA)"),
            "picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "it is a picture"),
            "nul in the header": (b"\0" + utf8, "holds a NUL byte"),
        },
    )


def test_headers_that_are_none_are_said_to_be_so(tmp_path: Path) -> None:
    check(
        tmp_path,
        {
            "semicolons": (TEXT.replace(",", ";"), "separated by semicolons"),
            "sep line": ("sep=;\n" + TEXT.replace(",", ";"), "separated by semicolons"),
            "tabs": (TEXT.replace(",", "\t"), "separated by tabs"),
            "bars": (TEXT.replace(",", "|"), "separated by vertical bars"),
            "lines above": ("x\n" * 60 + TEXT, "the header is in line 61"),
            "blank lines above": ("\n\n" + TEXT, "line 1 (it is blank) is not the header"),
            "no header": ("\n".join(ROWS), "looks like a row of data"),
            "capitals": (
                TEXT.replace(HEADER, HEADER.title()),
                "written otherwise: 'Balance_Transaction_Id' for balance_tr",
            ),
            "blanks": (TEXT.replace(HEADER, HEADER.replace(",", ", ")), "' gross' for gross"),
            "invisible": ("\u200b" + TEXT, r"'\u200bbalance_transaction_id' for balance_transaction_id"),
            "quoted lines": (f'"{HEADER}"\n"{ROWS[0]}"\n', "each line is one quoted field"),
            "another report": ("a,b,c\n1,2,3\n", "its header has 'a', 'b', 'c', which is not a Stripe itemized report"),
            "cr": (TEXT.replace("\n", "\r"), "end with CR alone"),
            "cr cr lf": (TEXT.replace("\n", "\r\r\n"), "it was converted twice"),
            "u+2028": (TEXT.replace("\n", "\u2028"), "end no line of a CSV"),
            "crlf and lf": (TEXT.replace("\n", "\r\n", 1), ""),
            "empty": ("", "the file is empty"),
            "header only": (HEADER, ""),
            "another header only": ("a,b,c\n", "its header has 'a', 'b', 'c', which is not a Stripe itemized report"),
        },
    )


def test_every_reader_of_tables_says_which_separator_a_file_has(tmp_path: Path) -> None:
    """Amounts with a decimal comma break the grammar as well: the separator is what is said."""
    adyen = ",".join(adyen_report.REQUIRED)
    amazon = "settlement-id\tdeposit-date\ttotal-amount\tcurrency\ttransaction-type\torder-id\tposted-date\n1\t2,50\n"
    breakdown = "Type,Payment ID,Reference,Processed On,Holding Currency,Payout ID\n"
    payouts = "Payout ID,Payout Date,Payout Amount,Holding Currency\n"
    cases = [
        (
            "stripe",
            TEXT.replace(",", ";").replace("40.00", "40,00"),
            "semicolons, not by commas; export it with commas",
        ),
        ("adyen", adyen.replace(",", "\t") + "\n", "tabs, not by commas; export it with commas"),
        (
            "amazon",
            amazon.replace(",", ".").replace("\t", ","),
            "commas, not by tabs; download it again as Flat File V2",
        ),
        ("amazon", amazon.replace("\t", ";"), "semicolons, not by tabs; download it again as Flat File V2"),
        ("checkout", breakdown.replace(",", ";") + "a;1,5\n", "semicolons, not by commas; export it with commas"),
        ("checkout", payouts.replace(",", "\t") + "a\t1,5\n", "tabs, not by commas; export it with commas"),
        (
            "paypal",
            '"RH";2026/04/21 00:00:00 -0700;"A";"X"\n',
            "semicolons, not by commas or tabs; download the report again",
        ),
    ]

    def is_said(case: tuple[str, str, str]) -> None:
        said = said_of(tmp_path, case[1], case[0])
        assert f"separated by {case[2]}" in said, said

    check_every(cases, is_said, lambda case: f"{case[0]}: {case[1][:20]!r}")
    long_row = "id;gross\n1;2;3\n"
    (tmp_path / "long.csv").write_text(long_row)
    with pytest.raises(InputRejectedError, match="put a value that holds a semicolon in quotes"):
        list(csv_grammar.csv_text(tmp_path / "long.csv", separator=";"))


def test_records_that_are_no_rows_say_what_they_look_like(tmp_path: Path) -> None:
    check(
        tmp_path,
        {
            "short total": (with_row("Total,50.00"), "'Total,50.00' looks like a total row; delete it"),
            "total": (with_row(f"Total{BLANKS}"), "row 3: looks like a total row ('Total'; reporting_category, "),
            "foreign total": (with_row(f",Summe:{BLANKS[1:]}"), "row 3: looks like a total row ('Summe:'; "),
            "bare total": (
                with_row(",,,,50.00,,50.00,,"),
                "row 3: looks like a total row (it holds amounts and nothing",
            ),
            "closing line": (with_row("*** end of report ***"), "looks like a comment or closing line"),
            "row count": (with_row("(2 rows affected)"), "looks like a comment or closing line"),
            "header again": (with_row(HEADER), "row 3: the header is repeated here"),
            "header after a blank line": (with_row("\n" + HEADER), "the header again below it: two exports are joined"),
            "second table": (with_row("\nday,sum\nx,1"), "below it 'day,sum': another table or a closing line"),
            "blank line": (f"{HEADER}\n{ROWS[0]}\n\n{ROWS[1]}\n", "data row 2: a blank line between the rows"),
            "blanks at the end": (TEXT + "  \n", "a line of blanks at the end"),
            "blank lines at the end": (TEXT + "\n" * 5, ""),
            "separators only": (with_row(BLANKS), "row 3: a row of nothing but separators"),
            "dashes": (with_row(",".join(["---"] * (HEADER.count(",") + 1))), "row 3: a line of dashes"),
            "comma too many": ("\n".join((HEADER, *(row + "," for row in ROWS))), "ends with a comma too many"),
            "bare decimal comma": (other("40.00", "40,00"), "put a value that holds a comma in quotes"),
            "cut": (TEXT[:-25], "is the file's last line: was the file cut here"),
            "end of file mark": (TEXT + "\x1a", r"'\x1a' is an old end-of-file mark or padding"),
            "stray quote": (other("txn_1", 'txn_1"'), """near 'txn_1",2026-03-02 10:00:0'; put the whole field"""),
            "a total in a whole row": (other("ch_1", "Total"), ""),
        },
    )
    canonical_total = (
        "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,currency,"
    )
    canonical_total += "settled_at,batch_id\nL1,payment,r,m,5,0,5,USD,2026-03-02T10:00:00Z,b\nTotal,,,,5,0,5,,,\n"
    assert "separated by semicolons" in said_of(tmp_path, canonical_total.replace(",", ";"), "canonical")
    check(tmp_path, {"total": (canonical_total, "row 2: looks like a total row ('Total'; line_type, ")}, "canonical")


def test_values_in_messages_are_short_and_control_no_terminal(tmp_path: Path) -> None:
    said = said_of(tmp_path, other(",usd,", f",\x1b[31m{'x' * 9_000},"))
    assert "\x1b" not in said and "currency: '\ufffd[31mxxx" in said
    assert len(said) < 400
    named = said_of(tmp_path, other("reporting_category", f"Reporting_Category{'[' * 9_000}"))
    assert "no column reporting_category" in named or "'Reporting_Category[[[" in named
    assert len(named) < 600
    doubled = ",".join((f"{'[' * 9_000}", *map(str, range(50))))
    said = said_of(tmp_path, TEXT.replace(HEADER, f"{HEADER},{doubled},{doubled}"))
    assert "and 31 more appears twice; name each once" in said and len(said) < 600


def test_blank_lines_without_end_are_no_long_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_grammar, "CHUNK_BYTES", 256)
    monkeypatch.setattr(csv_grammar, "RECORD_BYTES", 512)
    many = "\n" * 5_000
    check(
        tmp_path,
        {
            "only": (many, "the file is empty"),
            "between": (f"{HEADER}\n{ROWS[0]}\n{many}{ROWS[1]}\n", "data row 2: a blank line between the rows"),
            "at the end": (TEXT + many, ""),
        },
    )


def test_json_and_parquet_of_other_forms_are_named(tmp_path: Path) -> None:
    row = dict.fromkeys(contract_of("settlement").required, "1")
    cases = {
        "in.jsonl": {
            "array": (json.dumps([row]), "it is one JSON array"),
            "pretty": (json.dumps(row, indent=1), "it is one JSON document over several lines"),
            "event": (json.dumps({"object": "event"}, indent=1), "over several lines, a webhook event"),
            "csv": (TEXT, "line 1 ('balance_transaction_id,created_utc,repor'…) is not JSON"),
            "gzip": (gzip.compress(b"{}"), "it is compressed (gzip), not JSON"),
            "html": ("<html>", "it is an HTML page"),
            "other case": (json.dumps({key.upper(): value for key, value in row.items()}), "'LINE_ID' for line_id"),
        },
        "in.parquet": {
            "csv": (TEXT, "it is not Parquet: it begins with 'balance_transaction_id,created_utc,repor'…"),
            "empty": ("", "the file is empty, which is not Parquet"),
        },
    }
    wrong = {}
    for name, each in cases.items():
        for case, (content, words) in each.items():
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
            with pytest.raises(InputRejectedError) as refusal:
                list(canonical.read(tmp_path / name, contract_of("settlement")))
            if words not in str(refusal.value):
                wrong[f"{name} {case}"] = str(refusal.value)
    assert wrong == {}


def test_parquet_that_unfolds_beyond_its_size_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_file, "_UNFOLDED_BYTES", 1 << 20)
    monkeypatch.setattr(parquet_file, "_batches", None)  # no row is asked for
    row = pl.DataFrame({name: ["r"] for name in contract_of("settlement").required})
    row = row.with_columns(pl.col("gross_minor", "fee_minor", "net_minor").str.len_bytes().cast(pl.Int64))
    bombs = {
        "one long value": row.with_columns(line_id=pl.lit("x" * (2 << 20))),
        "one value, coded": row.with_columns(line_id=pl.lit("x" * 4_000)).select(pl.all().repeat_by(500).explode()),
        "a list of one number": row.with_columns(unknown=pl.lit(0).repeat_by(1 << 20)),
    }
    for case, frame in bombs.items():
        path = tmp_path / "bomb.parquet"
        frame.write_parquet(path)
        assert path.stat().st_size < 20_000, case
        with pytest.raises(InputRejectedError, match="it unfolds to more than 1 MiB"):
            list(canonical.read(path, contract_of("settlement")))
