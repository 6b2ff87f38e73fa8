"""BAI2 files: what a detail becomes, continuations, controls that fail, and the public sample files."""

from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.bai2 import parts

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "bai2"
FILE = """\
01,0004,12345,260706,0600,1,,,2/
02,12345,0004,1,260705,,USD,2/
03,4455667788,,010,100000,,,015,115000,,/
16,142,25000,,BR0001,PO-77,ACME PAYOUT/
16,475,10000,V,260705,,0002,,CHECK 1021
49,250000,4/
98,250000,1,6/
99,250000,1,8/
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path, notes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    found = bank_statements.settlement_frames(parts(path, path.name, {} if notes is None else notes), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_a_detail_is_a_line_with_its_direction_by_type_code(tmp_path: Path) -> None:
    first, second = lines(written(tmp_path / "b.bai", FILE))
    shown = ("line_id", "line_type", "provider_reference", "merchant_reference", "net_minor", "currency", "settled_at")
    assert [first[name] for name in shown] == [
        "4455667788:2026-07-05:BR0001", "payment", "BR0001", "PO-77", "25000", "USD", "2026-07-05T00:00:00Z",
    ]  # fmt: skip
    assert [second[name] for name in shown] == [
        "4455667788:2026-07-05:0002", "payout", "0002", None, "-10000", "USD", "2026-07-05T00:00:00Z",
    ]  # fmt: skip
    (statement,) = inspect("bai2", tmp_path / "b.bai").statements
    assert (statement.opening_minor, statement.closing_minor, statement.signed_sum_minor) == (100000, 115000, 15000)
    assert (statement.entries, statement.ties, statement.refused) == (2, True, None)


def test_a_continuation_goes_on_within_a_field_or_after_it(tmp_path: Path) -> None:
    due = lines(written(tmp_path / "b.bai", FILE))
    within = FILE.replace("16,142,25000,,BR0001", "16,142,250\n88,00,,BR00\n88,01")
    after = within.replace("010,100000,,,015", "010,100000,,/\n88,015")
    counts = after.replace("49,250000,4", "49,250000,7").replace(",1,6/", ",1,9/").replace(",1,8/", ",1,11/")
    notes: dict[str, int] = {}
    assert lines(written(tmp_path / "b.bai", counts), notes) == due
    assert notes == {}


def test_records_of_one_length_need_no_line_ends(tmp_path: Path) -> None:
    due = lines(written(tmp_path / "b.bai", FILE))
    stated = FILE.replace("0600,1,,,2/", "0600,1,80,1,2/").splitlines()
    assert lines(written(tmp_path / "b.bai", "".join(line.ljust(80) for line in stated))) == due
    assert lines(written(tmp_path / "b.bai", "".join(f"{line:80}\r\n" for line in stated))) == due


def test_a_control_that_fails_refuses_the_file_with_the_figures(tmp_path: Path) -> None:
    path = written(tmp_path / "b.bai", FILE.replace("49,250000", "49,250001"))
    with pytest.raises(
        InputRejectedError, match=r"the control total of account 4455667788 .record 49. is 250,001, and"
    ):
        lines(path)
    (account,) = inspect("bai2", path).statements
    assert (account.ties, "a difference of 1" in str(account.refused)) == (False, True)
    for old, new, what in (("98,250000", "98,1", "group of 2026-07-05"), ("99,250000", "99,1", "file")):
        with pytest.raises(InputRejectedError, match=f"the control total of {what}"):
            lines(written(path, FILE.replace(old, new)))


def test_wrong_counts_are_named_where_the_sums_agree(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    assert len(lines(written(tmp_path / "b.bai", FILE.replace("99,250000,1,8", "99,250000,2,9")), notes)) == 2
    assert notes == {
        "record 99 of file: it counts 2 groups where there are 1; the sums agree": 1,
        "record 99 of file: it counts 9 records where there are 8; the sums agree": 1,
    }


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("99,250000,1,8/\n", "", "record 99, the file's trailer, is missing"),
        ("03,4455667788", "05,4455667788", r"line 3 \('05,4455667788.* is no record of BAI2"),
        ("16,142,25000", "16,142,250.00", "'250.00' is not an amount of record 16"),
        ("16,142", "16,777", "type code '777' says neither credit"),
        ("03,4455667788,", "03,4455667788,XXZ", "currency 'XXZ' is not an ISO 4217 currency"),
        ("260705,,USD", "260231,,USD", "as-of date '260231' is not a day"),
        ("02,12345,0004,1", "02,12345,0004,2", "its group status is 2, which deletes"),
        ("49,250000,4/\n", "", "unexpected record 98"),
        ("1,8/\n", f"1,8/\n{FILE}", "line 9: another file begins .record 01.; send each as a file of its own"),
    ],
)
def test_what_is_not_bai2_is_refused_by_line(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(InputRejectedError, match=why):
        lines(written(tmp_path / "b.bai", FILE.replace(old, new, 1)))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are beside the project, in ../shared/samples")
def test_every_public_sample_holds_its_controls() -> None:
    found = {
        path.name: [(s.entries, s.signed_sum_minor, s.ties) for s in inspect("bai2", path).statements]
        for path in sorted(SAMPLES.rglob("*"))
        if path.is_file()
    }
    assert found == {
        "account_trailer_amount_blank_example.bai2": [(0, 0, True), (0, 0, True)],
        "citi_example.bai2": [(1, 1, True)],
        "nwb_example.bai2": [(5, -2676, True)],
        "svb_us_example.bai2": [(1, 490196, True), (1, 905800, True)],
        "sample1.txt": [(11, 0, True), (6, 0, True)],
        "sample2.txt": [(1, 450000, True), (1, 500000, True), (2, 30000000, True), (0, 0, True), (0, 0, True)],
    }


def test_an_amount_of_any_length_is_refused_in_a_few_words(tmp_path: Path) -> None:
    with pytest.raises(InputRejectedError, match="is not an amount of record 16") as refusal:
        lines(written(tmp_path / "b.bai", FILE.replace("16,142,25000,", f"16,142,{'0' * 9_000}25000,")))
    assert len(str(refusal.value)) < 300
