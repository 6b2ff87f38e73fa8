"""Query results keep their values exactly: in JSON, and in CSV that no spreadsheet executes."""

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline.errors import UsageError
from zentra_pipeline.queries.result_text import csv_lines, json_pieces, text_of

VALUES = [
    (None, None, ""),
    (0, 0, "0"),
    (-5, -5, "-5"),
    (2**127 - 1, 2**127 - 1, "170141183460469231731687303715884105727"),
    (True, True, "true"),
    (Decimal("-12.50"), "-12.50", "-12.50"),
    (date(2026, 4, 26), "2026-04-26", "2026-04-26"),
    (datetime(2026, 4, 26, 8, 0, 1), "2026-04-26T08:00:01Z", "2026-04-26T08:00:01Z"),
    (datetime(2026, 4, 26, 8, 0, 1, 250000), "2026-04-26T08:00:01.250000Z", "2026-04-26T08:00:01.250000Z"),
    (datetime(2026, 4, 26, 8, tzinfo=timezone(timedelta(hours=2))), "2026-04-26T06:00:00Z", "2026-04-26T06:00:00Z"),
    (datetime(2026, 4, 26, 8, tzinfo=UTC), "2026-04-26T08:00:00Z", "2026-04-26T08:00:00Z"),
    (time(8, 30), "08:30:00", "08:30:00"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000007"),
    (b"\x00\xff", "00ff", "00ff"),
    (["a", 1, None], ["a", 1, None], '"[""a"", 1, null]"'),
    ({"a": date(2026, 4, 26)}, {"a": "2026-04-26"}, '"{""a"": ""2026-04-26""}"'),
    ("", "", '""'),
    ("null", "null", "null"),
    (" x ", " x ", " x "),
    ("000123", "000123", "000123"),
    ('say "hi", twice\r\n', 'say "hi", twice\r\n', '"say ""hi"", twice\r\n"'),
    ("=1+1", "=1+1", "'=1+1"),
    ("+1", "+1", "'+1"),
    ("-1", "-1", "'-1"),
    ("@SUM(A1)", "@SUM(A1)", "'@SUM(A1)"),
    ("\tx", "\tx", "'\tx"),
    ("\rx", "\rx", '"\'\rx"'),
    ("\n=1", "\n=1", '"\'\n=1"'),
    ("\uff1d1+1", "\uff1d1+1", "'\uff1d1+1"),
    ("=a,b", "=a,b", '"\'=a,b"'),
    ("a=b", "a=b", "a=b"),
    ("日本\x00", "日本\x00", "日本\x00"),
]


@pytest.mark.parametrize(("value", "in_json", "in_csv"), VALUES, ids=[repr(value) for value, _, _ in VALUES])
def test_a_value_in_json_and_in_csv(value: object, in_json: object, in_csv: str) -> None:
    assert json.loads("".join(json_pieces(["a", "b"], [(value, 1)]))) == [{"a": in_json, "b": 1}]
    assert "".join(csv_lines(["a", "b"], [(value, 1)])) == f"a,b\r\n{in_csv},1\r\n"


@given(st.lists(st.tuples(st.none() | st.text(st.characters(exclude_categories=["Cs"])), st.integers())))
def test_any_text_survives_json_and_csv(rows: list[tuple[str | None, int]]) -> None:
    assert json.loads("".join(json_pieces(["t", "n"], rows))) == [{"t": text, "n": number} for text, number in rows]
    read = list(csv.reader(io.StringIO("".join(csv_lines(["t", "n"], rows)), newline=""), strict=True))
    guarded = [f"'{t}" if t and t[0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20" else t or "" for t, _ in rows]
    assert read == [["t", "n"], *([text, str(number)] for text, (_, number) in zip(guarded, rows, strict=True))]


def test_no_rows_are_an_empty_array_and_a_lone_header() -> None:
    assert "".join(json_pieces(["a"], [])) == "[]\n"
    assert "".join(csv_lines(["a", "=b"], [])) == "a,'=b\r\n"


def test_a_lone_null_is_no_blank_line() -> None:
    assert "".join(csv_lines(["a"], [(None,)])) == 'a\r\n""\r\n'


def test_json_refuses_what_it_would_lose() -> None:
    with pytest.raises(UsageError, match="column 'a' appears in the result twice"):
        "".join(json_pieces(["a", "a"], [(1, 2)]))
    with pytest.raises(UsageError, match="no JSON form"):
        "".join(json_pieces(["a"], [(float("nan"),)]))


def test_cells_of_a_table_are_plain_text() -> None:
    assert [text_of(value) for value in (True, 1.5, Decimal("1.10"), ["a"])] == ["true", "1.5", "1.10", '["a"]']
