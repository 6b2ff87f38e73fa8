"""Mutated files of every format: a reader gives rows, or refuses rows or the file, and never fails otherwise.

The files that are mutated are those of the shipped scenarios. Every mutation is drawn from a numbered source, so that a
number that fails fails again. Does not belong here: hostile files with a certain answer (test_hostile_files).
"""

import base64
import contextlib
import gzip
import io
import random
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from zentra_pipeline import memory
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.contracts.bank_statements import CONTRACT as BANK_STATEMENTS
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.scenarios.scenario import Scenario, load_scenario, scenario_folders
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.reading import frames
from zentra_pipeline.sources.registry import ControlledReader, formats_of, reader_of

SHORT_ROUNDS = 12
SLOW_SECONDS = 20
LONGEST_SECONDS = 10
MEMORY_BYTES = 200 * 1024 * 1024  # beside the 55 MiB of a process that only has the reader: 256 MiB in all
LARGEST_BYTES = 8 * 1024 * 1024
_BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">%s]>' % b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
_ODD_VALUES = (
    *(b"9" * 400, b"1e999999", b"-0", b"NaN", b"Infinity", b"1_000", b"0x1F", b"\xd9\xa1\xd9\xa2", b"+5", b"1,000.00"),
    *(
        b"999999999999999999999.99",
        b"9999-99-99",
        b"0000-00-00",
        b"2026-02-30",
        b"null",
        b"\\ud800",
        b'"',
        b"'",
        b"\x1b[2J",
    ),
    *(b"%s", b"../../etc/passwd", b"=1+1", b"&a;", b"]]>", b"\xc2\x85", b"\xe2\x80\xa8"),
)
_NESTING = (b"[", b'{"a":', b"<a>", b"<NtryDtls><TxDtls>", b"(", b'"')

Mutation = Callable[[random.Random, bytes], bytes]


def _at(dice: random.Random, content: bytes) -> int:
    return dice.randint(0, len(content))


def _truncated(dice: random.Random, content: bytes) -> bytes:
    return content[: _at(dice, content)]


def _cut(dice: random.Random, content: bytes) -> bytes:
    start = _at(dice, content)
    return content[:start] + content[start + dice.randint(1, 40) :]


def _bytes_changed(dice: random.Random, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        if found:
            found[dice.randrange(len(found))] = dice.choice((0, 9, 10, 13, 34, 44, 0x80, 0xFF, dice.randrange(256)))
    return bytes(found)


def _bytes_inserted(dice: random.Random, content: bytes) -> bytes:
    at = _at(dice, content)
    return (
        content[:at]
        + dice.choice((b"\0", b"\0" * 300, b"\xff\xfe", b"\xef\xbb\xbf", b"\r", *_ODD_VALUES))
        + content[at:]
    )


def _number_replaced(dice: random.Random, content: bytes) -> bytes:
    found = list(re.finditer(rb"[0-9][0-9.,:-]*", content))
    if not found:
        return content
    match = dice.choice(found)
    return content[: match.start()] + dice.choice(_ODD_VALUES) + content[match.end() :]


def _lines_changed(dice: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    at = dice.randrange(len(lines))
    how = dice.randrange(4)
    if how == 0:
        lines[at:at] = [lines[at]] * dice.choice((1, 2, 50))
    elif how == 1:
        del lines[at]
    elif how == 2:
        dice.shuffle(lines)
    else:
        lines[at:at] = [b"\n"] * dice.choice((1, 40))
    return b"".join(lines)


def _line_ends_changed(dice: random.Random, content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", dice.choice((b"\r\n", b"\r", b"", b"\n\n", b"\x0b")))


def _nested(dice: random.Random, content: bytes) -> bytes:
    at = _at(dice, content)
    return content[:at] + dice.choice(_NESTING) * dice.choice((5, 2_000, 60_000)) + content[at:]


def _widened(dice: random.Random, content: bytes) -> bytes:
    """A million columns, or one very long value, in some line."""
    at = _at(dice, content)
    return (
        content[:at]
        + dice.choice((b",", b"\t", b";", b"x", b"0", b" ")) * dice.choice((3, 5_000, 1_000_000))
        + content[at:]
    )


def _written_otherwise(dice: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    how = dice.randrange(6)
    if how == 0:
        return text.encode("utf-16")
    if how == 1:
        return text.encode("cp037", "replace")
    if how == 2:
        return gzip.compress(content)
    if how == 3:
        return text.swapcase().encode("utf-8", "surrogatepass")
    if how == 4:
        return _BOMB + content
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"\0" * 2_000_000)
    return packed.getvalue()


def _spliced(dice: random.Random, content: bytes) -> bytes:
    other = dice.choice(sorted(SEEDS.items()))[1][1]
    return content[: _at(dice, content)] + other[_at(dice, other) :]


def _twice(dice: random.Random, content: bytes) -> bytes:
    return content + content


_MUTATIONS: tuple[Mutation, ...] = (
    *(_truncated, _cut, _bytes_changed, _bytes_changed, _bytes_inserted, _number_replaced, _number_replaced),
    *(_lines_changed, _line_ends_changed, _nested, _widened, _written_otherwise, _spliced, _twice),
)


def mutated(number: int, content: bytes) -> bytes:
    """The content after one to four mutations that the number draws, cut at 8 MiB; number 0 changes nothing."""
    dice = random.Random(number)  # noqa: S311 - mutations, not secrets
    for _ in range(dice.randint(1, 4) if number else 0):
        content = dice.choice(_MUTATIONS)(dice, content)[:LARGEST_BYTES]
    return content


def _seeds() -> dict[str, tuple[Scenario, bytes, str]]:
    """Format and kind → the scenario, a file of it and its name's ending; canonical files have tests of their own."""
    found: dict[str, tuple[Scenario, bytes, str]] = {}
    for folder in scenario_folders():
        scenario = load_scenario(folder)
        formats = {"settlement": scenario.settings.settlement_format, "callbacks": scenario.settings.callback_format}
        for step in scenario.steps:
            if step.ingest is not None and formats.get(step.ingest.kind, "canonical") != "canonical":
                path = folder / "inputs" / step.ingest.files[0]
                found.setdefault(
                    f"{formats[step.ingest.kind]} {step.ingest.kind}", (scenario, path.read_bytes(), path.suffix)
                )
    scenario, content, suffix = found["camt053 settlement"]
    for twin, message, statement in (("camt052", b"AcctRpt", b"Rpt"), ("camt054", b"DbtCdtNtfctn", b"Ntfctn")):
        renamed = content.replace(b"CstmrStmt>", b"Cstmr" + message + b">").replace(b"Stmt>", statement + b">")
        found[f"{twin} settlement"] = (scenario, renamed, suffix)
    for provider, event in _EVENTS.items():
        found[f"{provider} callbacks"] = (scenario, event, ".json")
    return found


_NOTIFICATION = (
    b'<notification><timestamp type="datetime">2026-04-26T08:00:00Z</timestamp><kind>transaction_settled</kind>'
    b"<subject><transaction><id>t1</id><amount>12.50</amount><currency-iso-code>USD</currency-iso-code></transaction></subject>"
    b"</notification>"
)
_EVENTS = {
    "braintree": b'{"bt_signature":"public|00","bt_payload":"%s"}' % base64.b64encode(_NOTIFICATION),
    "gocardless": b'{"events":[{"id":"EV1","resource_type":"payments","action":"confirmed","created_at":'
    b'"2026-04-26T08:00:00Z","links":{"payment":"PM1"}}],'
    b'"linked":{"payments":[{"id":"PM1","amount":1250,"currency":"GBP"}]}}',
    "mollie": b'{"resource":"event","id":"e1","type":"payment.paid","createdAt":"2026-04-26T08:00:00Z",'
    b'"_embedded":{"entity":{"id":"tr_1","status":"paid","amount":{"value":"12.50","currency":"EUR"}}}}',
    "stripe": b'{"id":"evt_1","object":"event","type":"charge.succeeded","created":1777190400,'
    b'"data":{"object":{"id":"ch_1","object":"charge","amount":1000,"currency":"usd","status":"succeeded","captured":true,"paid":true}}}',
}
"""Provider whose webhooks no shipped story has → one of them."""
SEEDS = _seeds()


def read(name: str, path: Path) -> None:
    """Read a file as ingest would: the gate judges every row, and the file's own statements are asked for."""
    file_format, kind = name.split()
    mapping = SEEDS[name][0].settings.tabular if file_format == "tabular" else None
    contract = contract_of(kind)
    try:
        for frame in frames(path, contract, file_format, name="in", notes={}, mapping=mapping):
            validate(contract, frame, reader_of(file_format, kind).column_names(kind))
    except InputRejectedError as refusal:
        assert len(str(refusal)) < 10_000
    if kind == "settlement" and file_format in formats_of(BANK_STATEMENTS.kind):
        read_as_statements(file_format, path, mapping)
    reader = reader_of(file_format, kind)
    if kind == "settlement" and mapping is None and isinstance(reader, ControlledReader):
        with contextlib.suppress(InputRejectedError):
            reader.statements(path, "in")


def read_as_statements(file_format: str, path: Path, mapping: ColumnMapping | None) -> None:
    """Read a file as a bank's: its rows are as the contract has them, and no two lines of a statement go by one id."""
    terms = BankReading(accounts=("1",) if mapping is not None else (), timezone="Asia/Tokyo", tabular=mapping)
    try:
        for frame in frames(path, BANK_STATEMENTS, file_format, name="in", notes={}, mapping=terms):
            lines = validate(BANK_STATEMENTS, frame).accepted.filter(row_type="line")
            ids = lines.select("account_id", "statement_id", "bank_line_id")
            assert ids.n_unique() == ids.height
    except InputRejectedError as refusal:
        assert len(str(refusal)) < 10_000


def fuzz(name: str, folder: Path, numbers: range, until: float = float("inf"), peaks: list[int] | None = None) -> int:
    """Read one mutation after the other; how many there were. AssertionError with the number that failed.

    `until`: the processor time of this process at which it ends. `peaks` gets the KiB that the process had at most
    while it read each file; what the mutation itself took does not count.
    """
    done = 0
    for number in numbers:
        path = folder / f"in{SEEDS[name][2]}"
        path.write_bytes(mutated(number, SEEDS[name][1]))
        if peaks is not None:
            memory.give_back()  # as a server does after each file
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
        began = time.process_time()
        try:
            read(name, path)
        except Exception as cause:
            raise AssertionError(f"{name}, mutation {number}: {type(cause).__name__}: {cause}") from cause
        took = time.process_time() - began
        assert took < LONGEST_SECONDS, f"{name}, mutation {number}: {took:.1f} s of processor time"
        done += 1
        if peaks is not None:
            peaks.append(_peak_kib())
        if time.process_time() > until:
            break
    return done


def _peak_kib() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_few_mutations_of_every_format_end_as_they_should(name: str, tmp_path: Path) -> None:
    assert fuzz(name, tmp_path, range(SHORT_ROUNDS)) == SHORT_ROUNDS


def test_mutations_are_the_same_for_the_same_number() -> None:
    content = SEEDS["adyen settlement"][1]
    assert mutated(0, content) == content
    assert [mutated(number, content) for number in (1, 2, 3)] == [mutated(number, content) for number in (1, 2, 3)]
    assert len({mutated(number, content) for number in range(50)}) > 45


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_many_mutations_find_nothing_within_their_memory(name: str, tmp_path: Path) -> None:
    """In a process of its own: so many seconds of its processor time, and what memory grows by while it reads."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.sources.test_fuzzed_files", name, str(tmp_path), str(SLOW_SECONDS)],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    rounds, grown = map(int, ran.stdout.split())
    assert rounds > 30
    assert grown < MEMORY_BYTES, f"{grown:,} bytes"


if __name__ == "__main__":
    _, fuzzed, folder_given, seconds = sys.argv
    before, found_peaks = _peak_kib(), list[int]()
    ended = fuzz(fuzzed, Path(folder_given), range(1, sys.maxsize), time.process_time() + float(seconds), found_peaks)
    grown = max(found_peaks) - before
    print(ended, grown * 1024)  # noqa: T201 - what the parent reads
