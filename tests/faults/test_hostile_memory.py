"""Files made to exhaust memory or time, given to processes of their own: each is refused within 256 MiB, in seconds.

What each refusal says is said in tests/sources. Does not belong here: random files (tests/sources/test_fuzzed_files).
"""

import gzip
import io
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from benchmarks.callback_intake import free_port, wait_until_it_answers
from tests.api.conftest import Books, make_books
from zentra_pipeline.contracts import contract_of

MEMORY_KIB = 256 * 1024
GROWN_KIB = 128 * 1024
"""What a server may grow by for a file: between files it keeps its libraries, and what the allocators hold."""
MOST_SECONDS = 20.0
_M = 1024 * 1024
_CAMT = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S</Id>'
_EXCEL = "settlement_format: tabular\ntabular: {form: excel, line_id: a, amounts: {net: b}, currency: {constant: EUR}, "
_EXCEL += "settled_at: {column: c}}\n"


# Tests may be given another allocator (Makefile), which asks the system for more at once.
_AS_SHIPPED = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
_LAUNCHER = """
import os, subprocess, sys
with open(sys.argv[1], "wb") as said:
    process = subprocess.Popen(sys.argv[2:], stdout=said, stderr=said)
    _, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss, used.ru_utime + used.ru_stime)
"""
"""Starts a process from a small one: what a child is said to have used at most includes what its parent had."""


class Hostile(NamedTuple):
    """A file, and the format that it is given as."""

    format: str
    name: str
    content: bytes


def _entities() -> str:
    declared = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    return f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">{declared}]>{_CAMT.replace("S</Id>", "&j;</Id>")}'


def _workbook(sheet: bytes, times: int) -> bytes:
    """A workbook whose only sheet is a piece of XML many times over, so that it unfolds to very much."""
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
            "</workbook>",
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as member:
            member.write(f'<worksheet xmlns="{main}"><sheetData>'.encode())
            for _ in range(times):
                member.write(sheet)
            member.write(b"</sheetData></worksheet>")
    return packed.getvalue()


def _parquet(rows: int, *, wide: int = 0, long: int = 0) -> bytes:
    row = pl.DataFrame({name: ["r"] for name in contract_of("settlement").required})
    row = row.with_columns(pl.col("gross_minor", "fee_minor", "net_minor").str.len_bytes().cast(pl.Int64))
    row = row.with_columns(line_id=pl.lit("x" * long if long else "r"), **{f"c{n}": pl.lit(1) for n in range(wide)})
    packed = io.BytesIO()
    row.select(pl.all().repeat_by(rows).explode()).write_parquet(packed, compression="zstd")
    return packed.getvalue()


def hostile_files() -> Iterator[Hostile]:
    """Each is made when it is asked for: some have 60 MiB."""
    balance = '<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1</Amt></Bal>'
    details = "<TxDtls><Refs><EndToEndId>a</EndToEndId></Refs></TxDtls>"
    header = ",".join(contract_of("settlement").required)
    for name, text in (
        ("entities", _entities()),
        ("deep", _CAMT + "<a>" * 2_000_000),
        ("endless text", _CAMT + "<Ntry><Amt>" + "9" * 20 * _M),
        ("elements without end", _CAMT + "<Foo>x</Foo>" * 2_000_000),
        ("balances without end", _CAMT + balance * 200_000),
        ("transactions without end", f'{_CAMT}<Ntry><Amt Ccy="EUR">1</Amt><NtryDtls>{details * 400_000}'),
        ("statements without end", _CAMT.replace("<Id>S</Id>", "") + "</Stmt>" + "<Stmt/>" * 300_000),
    ):
        yield Hostile("camt053", f"{name}.xml", text.encode())
    for name, content in (
        ("a million columns.csv", f"{header}{',c' * 1_000_000}\n".encode()),
        ("one value.csv", f'{header}\n"{"x" * 40 * _M}'.encode()),
        ("quotes.csv", f"{header}\n".encode() + b'"' * 20 * _M),
        ("zeros.csv", bytes(40 * _M)),
        ("packed.csv.gz", gzip.compress(bytes(100 * _M))),
        ("nested.jsonl", b"[" * 10 * _M),
        ("objects.jsonl", b'{"a":' * 2_000_000),
        ("long.parquet", _parquet(3_000, long=_M)),
        ("many.parquet", _parquet(20_000_000)),
        ("wide.parquet", _parquet(1, wide=20_000)),
        ("junk.parquet", b"PAR1" + os.urandom(10 * _M) + b"PAR1"),
    ):
        yield Hostile("canonical", name, content)
    yield Hostile(
        "tabular", "sheet.xlsx", _workbook(b"<row><c t='str'><v>" + b"a" * 1_000 + b"</v></c></row>", 600_000)
    )
    yield Hostile("tabular", "junk.xlsx", b"PK\x03\x04" + os.urandom(10 * _M))
    yield Hostile("stripe", "junk.csv", os.urandom(10 * _M))
    yield Hostile("mt940", "statements.sta", b":20:A\n:25:1\n:60F:C260101EUR1,\n:62F:C260101EUR1,\n" * 150_000)
    yield Hostile("bai2", "continued.bai", b"01,1,2,260101,0200,1,80,1,2/\n" + b"88,xxxxxxxxxxxxxxxx\n" * 1_000_000)
    yield Hostile("ofx", "nested.ofx", b"OFXHEADER:100\n\n<OFX>" + b"<A>" * 2_000_000)
    yield Hostile("mollie", "nested.json", b'{"a":' * 2_000_000)


@pytest.mark.slow
def test_the_command_line_refuses_files_made_to_exhaust_it_within_256_mib(tmp_path: Path) -> None:
    profile = tmp_path / "excel.yml"
    profile.write_text(_EXCEL, encoding="utf-8")
    wrong = []
    for file_format, name, content in hostile_files():
        path = tmp_path / name
        path.write_bytes(content)
        command = [sys.executable, "-m", "zentra_pipeline", "inspect", "--format", file_format, str(path)]
        command += ["--profile", str(profile)] if file_format == "tabular" else []
        measured = subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCHER, str(tmp_path / "said"), *command],
            check=True,
            capture_output=True,
            text=True,
            env=_AS_SHIPPED,
        )
        code, peak, seconds = measured.stdout.split()
        words = (tmp_path / "said").read_bytes()
        path.unlink()
        is_right = code == "4" and int(peak) < MEMORY_KIB and float(seconds) < MOST_SECONDS
        if not is_right or len(words) > 2_000 or b"refused: " not in words:
            wrong.append((name, code, int(peak) // 1024, seconds, words[:300]))
    assert wrong == []


@pytest.mark.slow
def test_a_server_refuses_files_made_to_exhaust_it_and_goes_on(tmp_path: Path) -> None:
    books, port = make_books(tmp_path), free_port()
    for file_format in ("camt053", "stripe", "mt940", "bai2", "ofx", "mollie"):
        _profile(books, file_format).write_text(f"settlement_format: {file_format}\n", encoding="utf-8")
    _profile(books, "canonical").write_text("", encoding="utf-8")
    _profile(books, "tabular").write_text(_EXCEL, encoding="utf-8")
    command = [sys.executable, "-m", "zentra_pipeline", "serve", "--home", str(books.home.root), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=_AS_SHIPPED)
    wrong = []
    try:
        wait_until_it_answers(server, port)
        for file_format, name, content in hostile_files():
            Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak counts from here
            before, began = _resident_kib(server.pid, "VmRSS"), time.monotonic()
            status = _uploaded(books, port, file_format, name, content)
            grown = _resident_kib(server.pid, "VmHWM") - before
            if status != 422 or grown > GROWN_KIB or time.monotonic() - began > 6 * MOST_SECONDS:
                wrong.append((name, status, grown // 1024, round(time.monotonic() - began, 1)))
        assert wrong == []
        assert _uploaded(books, port, "canonical", "last.csv", b"line_id\n") == 422
    finally:
        server.terminate()
        server.wait(timeout=60)


def _profile(books: Books, provider: str) -> Path:
    return books.paths("globex").providers / f"{provider}.yml"


def _resident_kib(pid: int, which: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:"))


def _uploaded(books: Books, port: int, provider: str, name: str, content: bytes) -> int:
    query = f"settlement_file=x&name={name.replace(' ', '_')}&confirm=true"
    headers = {"Authorization": f"Bearer {books.tokens['globex', 'service']}"}
    headers["Content-Type"] = "application/octet-stream"
    url = f"http://127.0.0.1:{port}/files/{provider}/settlement?{query}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=180) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
