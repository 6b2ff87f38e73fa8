"""RFC 4180 and nothing else: what the CSV grammar reads exactly and what it refuses."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import canonical, csv_grammar
from zentra_pipeline.sources.csv_grammar import csv_frames, csv_text

CORPORA = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora"
SETTLEMENT = contract_of("settlement")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def rows_of(content: bytes, folder: Path) -> list[list[str]]:
    """Header and rows with null as the empty text."""
    path = folder / "in.csv"
    path.write_bytes(content)
    texts = list(csv_text(path))
    return [texts[0].columns.columns, *([cell or "" for cell in row] for t in texts for row in t.columns.iter_rows())]


def stated(content: bytes) -> list[list[str]] | None:
    """What RFC 4180 says, character by character; null where it says nothing."""
    text = content.decode().removeprefix("\ufeff").rstrip("\r\n")
    rows: list[list[str]] = [[]]
    at, end = 0, len(text)
    while text:
        value = ""
        if text[at : at + 1] == '"':
            at += 1
            while at < end and (text[at] != '"' or text[at : at + 2] == '""'):
                value += text[at]
                at += 2 if text[at] == '"' else 1
            if at == end:
                return None
            at += 1
        else:
            while at < end and text[at] not in ',\r\n"':
                value += text[at]
                at += 1
        rows[-1].append(value)
        if at == end:
            is_table = all(len(row) == len(rows[0]) for row in rows) and len(set(rows[0])) == len(rows[0])
            return rows if is_table else None
        if text[at] == ",":
            at += 1
        elif text[at] == "\n" or text[at : at + 2] == "\r\n":
            at += 1 if text[at] == "\n" else 2
            rows.append([])
        else:
            return None
    return None


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('ab"",,\n\r\x00é '), max_size=30), st.sampled_from([4, 7, 1 << 20]))
def test_every_text_is_read_as_the_standard_says_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int
) -> None:
    content = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_grammar, "CHUNK_BYTES", chunk)
        try:
            found: list[list[str]] | None = rows_of(content, tmp_path_factory.getbasetemp())
        except InputRejectedError:
            found = None
    assert found == stated(content)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=8),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([32, 1 << 20]),
)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], quoting: int, end: str, chunk: int
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=quoting, lineterminator=end).writerows([("a", "b", "c"), *rows])
    if quoting == csv.QUOTE_MINIMAL and "\r" in "".join(map("".join, rows)):
        return  # Python leaves a lone carriage return bare when a line ends with \n
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_grammar, "CHUNK_BYTES", chunk)
        assert rows_of(written.getvalue().encode(), tmp_path_factory.getbasetemp()) == [
            ["a", "b", "c"],
            *map(list, rows),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"a,b\n1\n", "data row 1: 1 field where the header has 2: '1' is the file's last line"),
        (b"a,b\n1,2\n1,2,3\n", "data row 2: 3 fields where the header has 2: '1,2,3'; put a value that holds a comma"),
        (b"a,b\n\n1,2\n", "data row 1: a blank line between the rows"),
        (b'a,b\n1,"2\n', "data row 1: a quote that never closes"),
        (b'a,b\n1,2\n1,"2"x\n', "data row 2: text after a closing quote"),
        (b'a,b\n1,2\n1,2"3\n', "data row 2: a quote within an unquoted field"),
        (b'a,b\n1, "2"\n', "a quote within an unquoted field"),
        (b"a,b\n1,2\r3,4\n", "a carriage return without a line feed"),
        (b"a,b\n1,\xff\n", "data row 1: byte 0xff is not UTF-8"),
        (b"a,b\n1,\xed\xa0\x80\n", "is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is not UTF-8"),
        (b"a,b,a\n1,2,3\n", "column a appears twice"),
        (b",".join(b"c%d" % i for i in range(1025)) + b"\n", "1,025 columns; at most 1,024"),
        (b"a,b\n1," + b"x" * (9 << 20) + b"\n", "longer than 8,388,608 bytes"),
        (b'a,b\n1,"' + b"x\n" * (10 << 20), "record is longer than 8,388,608 bytes, or its quote never closes"),
        (b"a\n" + b"x" * (20 << 20), "longer than 8,388,608 bytes"),
    ],
)
def test_a_torn_file_is_refused_and_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputRejectedError, match=r"^in\.csv: ") as refusal:
        rows_of(content, tmp_path)
    assert message in str(refusal.value)


def test_a_place_is_counted_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_grammar, "CHUNK_BYTES", 32)
    with pytest.raises(InputRejectedError, match="data row 1,001: 1 field "):
        rows_of(b"a,b\n" + b"1,2\n" * 1000 + b"3\n", tmp_path)


def test_row_numbers_go_on_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_grammar, "CHUNK_BYTES", 32)
    (tmp_path / "in.csv").write_bytes(b"a,b\n" + b'1,"2"\n' * 100)
    frames = list(csv_frames(tmp_path / "in.csv"))
    assert len(frames) > 1
    assert [n for frame in frames for n in frame["row_number"]] == list(range(1, 101))


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])
def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path, tail: bytes) -> None:
    assert rows_of(b"\xef\xbb\xbfa,b\r\n1,2" + tail, tmp_path) == [["a", "b"], ["1", "2"]]


def test_text_that_looks_compressed_is_text(tmp_path: Path) -> None:
    assert rows_of(b"a,b\nx\x01,PK\x03\x04\n", tmp_path) == [["a", "b"], ["x\x01", "PK\x03\x04"]]


def test_spaces_nulls_and_comment_marks_are_text(tmp_path: Path) -> None:
    assert rows_of(b"a,b\n NULL,#x\nNaN,\\N\n", tmp_path)[1:] == [[" NULL", "#x"], ["NaN", "\\N"]]


def test_a_missing_required_column_refuses_the_file(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(",".join(c for c in SETTLEMENT.required if c != "currency") + "\n")
    with pytest.raises(InputRejectedError, match=r"in\.csv: no column currency; settlement files need line_id"):
        list(canonical.read(tmp_path / "in.csv", SETTLEMENT))


def test_column_order_is_free(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(",".join(reversed(SETTLEMENT.required)) + "\n" + ",".join("9876543210") + "\n")
    (frame,) = canonical.read(tmp_path / "in.csv", SETTLEMENT)
    assert frame.select(SETTLEMENT.required).row(0) == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "content"),
    [("x", b"PAR1"), ("x.txt", b'\xef\xbb\xbf {"a":1}'), ("x.CSV", b'{"a"'), ("x.dat", b"line_id")],
    ids=["parquet", "json_lines", "csv by name", "csv"],
)
def test_the_form_is_declared_by_the_ending_else_by_the_first_bytes(
    tmp_path: Path, name: str, content: bytes, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "in").write_bytes(content)
    expected = {
        "parquet": "Parquet",
        "json_lines": "line 2: not JSON|no column",
        "csv": "no column",
        "csv by name": "it is JSON, not CSV",
    }
    with pytest.raises(InputRejectedError, match=expected[request.node.callspec.id]):
        list(canonical.read(tmp_path / "in", SETTLEMENT, name))


CASES = sorted((CORPORA / "csv-spectrum" / "csvs").glob("*.csv"))


@pytest.mark.skipif(not CASES, reason="the corpora are not beside this repository")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_csv_spectrum_is_read_exactly(case: Path, tmp_path: Path) -> None:
    if case.stem == "location_coordinates":
        pytest.skip("garbled as stored")
    expected = json.loads((CORPORA / "csv-spectrum" / "json" / f"{case.stem}.json").read_text("utf-8"))
    header, *rows = rows_of(case.read_bytes(), tmp_path)
    assert [dict(zip(header, row, strict=True)) for row in rows] == expected
