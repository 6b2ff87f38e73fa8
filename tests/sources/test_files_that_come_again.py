"""The same report downloaded again, written otherwise: every movement keeps its id, whatever names the file.

Each file is that of a shipped story. What a reader cannot know is here too, beside what it can. Does not belong here:
what a run makes of a line that comes again (tests/scenarios).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.scenarios.scenario import SCENARIOS, load_scenario
from zentra_pipeline.sources.reading import frames

Again = Callable[[str], str]


def rows_reversed(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join((header, *reversed(rows))) + "\n"


def columns_reversed(text: str) -> str:
    return "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines()) + "\n"


def amazons_rows_reversed(text: str) -> str:
    header, total, *rows = text.splitlines()
    return "\n".join((header, total, *reversed(rows))) + "\n"


def replaced(*pairs: tuple[str, str]) -> Again:
    def again(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        return text

    return again


def one_object_a_page(text: str) -> str:
    """Every entry, item or payment on a page of its own, the pages of a day as one array."""
    pages: list[Any] = []
    for page in map(json.loads, text.splitlines()):
        lists = page.get("_embedded", page)
        key = next((key for key, value in lists.items() if isinstance(value, list)), None)
        if key is None:
            pages.append(page)
        for each in lists[key] if key else ():
            pages.append({"_embedded": {key: [each]}} if "_embedded" in page else {key: [each]})
    return json.dumps(pages, indent=1)


def one_a_line(text: str) -> str:
    return "\n".join(json.dumps(each) for each in reversed(json.loads(text)))


CASES: dict[str, Again] = {
    "stripe_payout": columns_reversed,
    "adyen_batch": rows_reversed,
    "paypal_report": replaced(
        ("2026/05/08 02:00:00", "2026/05/09 04:00:00"), ('"A","LANTERN8",009', '"A","LANTERN8",010')
    ),
    "camt053_statement": replaced(
        ("M-116", "M-990"), ("<Id>116</Id>", "<Id>A-1</Id>"), ("2026-05-12T04", "2026-05-13T04")
    ),
    "mt940_statement": replaced((":20:RUN7", ":20:RUN8"), (":28C:117/1", ":28C:9/2"), ("\r\n", "\n")),
    "bai2_report": replaced(("260514,0600,1", "260515,0700,2")),
    "ofx_statement": replaced(("<DTASOF>20260514", "<DTASOF>20260520"), ("</STMTTRN>\n", "</STMTTRN>")),
    "amazon_settlement": amazons_rows_reversed,
    "checkout_payout": rows_reversed,
    "square_payout": one_object_a_page,
    "gocardless_payout": one_object_a_page,
    "mollie_settlement": one_object_a_page,
    "braintree_batch": one_a_line,
}


def lines(name: str, path: Path) -> dict[str, dict[str, Any]]:
    """A file's lines by id, without what says where in the file they were."""
    settings = load_scenario(SCENARIOS / name).settings
    found = frames(path, contract_of("settlement"), settings.settlement_format, name="in", mapping=settings.tabular)
    rows = [row for frame in found for row in frame.to_dicts()]
    by_id = {row["line_id"]: {key: row[key] for key in row if key not in ("row_number", "source_row")} for row in rows}
    assert len(by_id) == len(rows)
    return by_id


def file_of(name: str) -> Path:
    scenario = load_scenario(SCENARIOS / name)
    return next(
        SCENARIOS / name / "inputs" / step.ingest.files[0]
        for step in scenario.steps
        if step.ingest is not None and step.ingest.kind == "settlement"
    )


def written_again(name: str, folder: Path, again: Again) -> Path:
    original = file_of(name)
    path = folder / f"another_name{original.suffix}"
    path.write_bytes(again(original.read_bytes().decode()).encode())
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_movement_keeps_its_id_and_content_in_another_file(name: str, tmp_path: Path) -> None:
    first = lines(name, file_of(name))
    assert lines(name, written_again(name, tmp_path, CASES[name])) == first
    assert len(first) >= 2


def test_a_later_file_of_the_same_day_has_the_same_lines_and_more(tmp_path: Path) -> None:
    """Overlapping ranges: what both files have has one id, and so counts once."""
    more = "<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260515<TRNAMT>1.00<FITID>F-5</STMTTRN>\n</BANKTRANLIST>"
    first = lines("ofx_statement", file_of("ofx_statement"))
    later = lines("ofx_statement", written_again("ofx_statement", tmp_path, replaced(("</BANKTRANLIST>", more))))
    assert {id: later[id] for id in first} == first
    assert set(later) - set(first) == {"4455667788:F-5"}


def test_a_bank_that_gives_no_reference_leaves_only_statement_and_content(tmp_path: Path) -> None:
    """Two equal bookings of two statements are two; the same booking in two statements cannot be seen to be one."""

    def without_references(text: str) -> str:
        return re.sub(r"<(AcctSvcrRef|NtryRef|EndToEndId)>[^<]*</\1>", "", text)

    first = lines("camt053_statement", written_again("camt053_statement", tmp_path, without_references))
    again = lines("camt053_statement", written_again("camt053_statement", tmp_path, without_references))
    renamed = lines(
        "camt053_statement",
        written_again("camt053_statement", tmp_path, lambda text: without_references(text).replace(">116<", ">117<")),
    )
    assert again == first
    assert set(first).isdisjoint(renamed)


def test_trace_numbers_of_returns_are_used_again_on_other_days(tmp_path: Path) -> None:
    """A file of another day with the same trace numbers holds other returns."""
    first = lines("nacha_returns", file_of("nacha_returns"))
    other_day = lines("nacha_returns", written_again("nacha_returns", tmp_path, replaced(("260515", "260518"))))
    assert set(first).isdisjoint(other_day)
    assert sorted(id.partition(":")[2] for id in first) == sorted(id.partition(":")[2] for id in other_day)


def test_a_statement_within_the_day_names_a_booking_as_that_of_the_closed_day_does(tmp_path: Path) -> None:
    """A profile that changes from camt.052 to camt.053, or from MT942 to MT940, counts no booking twice."""

    def announced(text: str) -> str:
        return text.replace("BkToCstmrStmt", "BkToCstmrAcctRpt").replace("Stmt>", "Rpt>").replace(">116<", ">R1<")

    path = written_again("camt053_statement", tmp_path, announced)
    found = frames(path, contract_of("settlement"), "camt052", name="in")
    reported = {row["line_id"] for frame in found for row in frame.to_dicts()}
    assert reported == set(lines("camt053_statement", file_of("camt053_statement")))

    def within_the_day(text: str) -> str:
        entries = re.findall(r":6[1].*\r\n:86:.*\r\n", text)
        return "".join((":20:I1\r\n:25:10020030/1234567\r\n:28C:117/1\r\n:34F:EUR0,\r\n", *entries, "-\r\n"))

    assert set(lines("mt940_statement", written_again("mt940_statement", tmp_path, within_the_day))) == set(
        lines("mt940_statement", file_of("mt940_statement"))
    )
