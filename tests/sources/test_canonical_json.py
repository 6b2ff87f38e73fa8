"""JSON Lines: what is read exactly, which rows are refused with a reason, which files are refused whole."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import json_lines

CORPORA = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora"
SETTLEMENT = contract_of("settlement")
CALLBACKS = contract_of("callbacks")
ROW: dict[str, Any] = {
    "line_id": "L1",
    "line_type": "payment",
    "provider_reference": "ref",
    "merchant_reference": None,
    "gross_minor": 1000,
    "fee_minor": 30,
    "net_minor": 970,
    "currency": "USD",
    "settled_at": "2026-04-26T10:00:00Z",
    "batch_id": "",
}
LINE = json.dumps(ROW)


def read(content: str | bytes, folder: Path, contract: Any = SETTLEMENT) -> pl.DataFrame:
    path = folder / "in.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return pl.concat(list(json_lines.read(path, contract, path.name)))


def changed(**members: str) -> str:
    """The line with members written as given."""
    return "{" + ", ".join(f'"{key}": {members.get(key, json.dumps(value))}' for key, value in ROW.items()) + "}"


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\t", " : ")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_is_text_as_written_with_blank_as_null(tmp_path: Path, separators: tuple[str, str], end: str) -> None:
    lines = [json.dumps(ROW | {"line_id": f"L{i}"}, separators=separators) for i in range(40)]
    frame = read(end.join(lines), tmp_path)
    assert frame["row_number"].to_list() == list(range(1, 41))
    assert frame["line_id"].to_list() == [f"L{i}" for i in range(40)]
    assert frame.select("gross_minor", "batch_id", "merchant_reference", "refusal", "raw").unique().rows() == [
        ("1000", None, None, None, None)
    ]


@pytest.mark.parametrize(
    ("column", "token", "reason"),
    [
        ("gross_minor", "12.0", "gross_minor: JSON number 12.0 is not an integer"),
        ("gross_minor", "1e3", "gross_minor: JSON number 1e3 is not an integer"),
        ("gross_minor", "true", "gross_minor: JSON true is not an integer"),
        ("gross_minor", "[1]", "gross_minor: a JSON array is not an integer"),
        ("line_id", "7", "line_id: JSON number 7 is not text"),
        ("line_id", "{}", "line_id: a JSON object is not text"),
        ("settled_at", "1777161600", "settled_at: JSON number 1777161600 is not text"),
        ("line_id", r'"\ud800"', "line_id: a lone surrogate, which is not valid text"),
        ("line_id", '"a", "line_id": "a"', "line_id: a key that appears twice"),
        ("line_id", r'"a", "line\u005fid": "b"', "line_id: a key that appears twice"),
        ("line_id", '"a", "x": {"y": 1, "y": 2}', "y: a key that appears twice"),
        ("line_id", r'"a", "x": "\udc00"', "raw: a lone surrogate, which is not valid text"),
    ],
)
def test_a_value_of_another_kind_refuses_the_row(tmp_path: Path, column: str, token: str, reason: str) -> None:
    bad = changed(**{column: token})
    frame = read("\n".join([LINE] * 20 + [bad] + [LINE] * 20), tmp_path)
    refused = frame.filter(pl.col("refusal").is_not_null())
    assert refused.select("row_number", "refusal", "source_row").rows() == [(21, reason, bad)]
    assert frame.height == 41


@pytest.mark.parametrize("token", ["125000", '"125000"', "-0", "99999999999999999999999", '" 12"', '""', "null"])
def test_an_amount_may_be_a_number_or_its_text_and_the_gate_judges_it(tmp_path: Path, token: str) -> None:
    text = token.strip('"')
    frame = read("\n".join([LINE] * 20 + [changed(gross_minor=token)] * 20), tmp_path)
    assert frame["gross_minor"][30] == (None if text in ("", "null") else text)
    assert frame["refusal"].null_count() == 40


def test_booleans_are_true_false_or_blank(tmp_path: Path) -> None:
    row = dict.fromkeys(CALLBACKS.columns, "x")
    lines = [json.dumps(row | {"signature_verified": value}) for value in (True, False, None, "", "true", 1)]
    frame = read("\n".join(lines), tmp_path, CALLBACKS)
    assert frame["signature_verified"].to_list() == ["true", "false", None, None, "true", None]
    assert frame["refusal"][5] == "signature_verified: JSON number 1 is not true or false"


def test_unknown_columns_are_kept_as_written(tmp_path: Path) -> None:
    plain = [changed(batch_id='"b", "n": 12, "t": "x y", "z": null') for _ in range(20)]
    odd = changed(batch_id=r'"b", "n": 12.50, "t": "\u00e9\"", "z": [1e400, {"a": 100000000000000000000}]')
    frame = read("\n".join([*plain, odd]), tmp_path)
    assert frame["raw"][0] == '{"n":12,"t":"x y","z":null}'
    assert frame["raw"][20] == '{"n":12.50,"t":"é\\"","z":[1e400,{"a":100000000000000000000}]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINE + "\n{", "line 2: not JSON"),
        (LINE + "\n\n" + LINE, "line 2: a blank line"),
        (LINE + LINE, "line 1: not JSON (Extra data"),
        ("[1]", "it is one JSON array; write each of its objects on a line of its own"),
        ('"x"', "line 1: a JSON string, not an object"),
        ("12", "line 1: JSON number 12, not an object"),
        ("null", "line 1: JSON null, not an object"),
        (changed(gross_minor="NaN"), "line 1: not JSON (NaN is not valid JSON"),
        (changed(gross_minor="-Infinity"), "not JSON"),
        (changed(gross_minor="012"), "not JSON"),
        (changed(gross_minor="1,"), "not JSON"),
        (changed(line_id="'a'"), "not JSON"),
        (changed(line_id='"a\tb"'), "not JSON"),
        (changed(line_id='"a\x00b"'), "its first line holds a NUL byte"),
        (changed(line_id='"a" /* */'), "not JSON"),
        ("\ufeff\ufeff" + LINE, "it begins with two byte order marks"),
        (LINE.encode() + b'\n{"a": "\xff"}', "line 2: byte 0xff is not UTF-8"),
        (LINE.encode("utf-16"), "it is UTF-16 text, not UTF-8"),
        ('{"x": ' + "[" * 100_000, "line 1: nested too deeply"),
        ('{"x": ' + "[" * 5_000 + "]" * 5_000 + "}", "line 1: nested too deeply"),
        ('{"x": "' + "a" * (9 << 20) + '"}', "a line is longer than 8,388,608 bytes"),
        ('{"x": "' + "a" * (40 << 20), "a line is longer than 8,388,608 bytes"),
        ("{}", "no column line_id"),
        (json.dumps({k: v for k, v in ROW.items() if k != "currency"}), "no column currency"),
        ("{" + ",".join(f'"k{i}":1' for i in range(2000)) + "}", "more than 1,024 unknown columns"),
    ],
)
def test_a_broken_file_is_refused_and_says_where(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputRejectedError, match=r"^in\.jsonl: ") as refusal:
        read(content, tmp_path)
    assert message in str(refusal.value)


def test_one_broken_line_among_many_ordinary_ones_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputRejectedError, match="line 501: not JSON"):
        read("\n".join([LINE] * 500 + [LINE[:-1]] + [LINE] * 500), tmp_path)


def test_a_column_that_only_some_rows_have_is_no_missing_column(tmp_path: Path) -> None:
    short = json.dumps({key: value for key, value in ROW.items() if key != "batch_id"})
    frame = read("\n".join([short] * 30 + [LINE.replace('"batch_id": ""', '"batch_id": "b"')]), tmp_path)
    assert frame["batch_id"].drop_nulls().to_list() == ["b"]


ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["", "7"]),
)
MEMBERS = st.dictionaries(st.sampled_from([*ROW, "status", "x", 'q"', "é"]), ANY_VALUE, max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(MEMBERS, min_size=1, max_size=5), st.booleans(), st.booleans(), st.sampled_from([64, 1 << 20]))
def test_reading_by_shape_and_line_by_line_agree(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], escaped: bool, compact: bool, chunk: int
) -> None:
    lines = [LINE]
    for members in rows:
        whole = {key: value for key, value in (ROW | members).items() if _is_finite(value)}
        lines += [json.dumps(whole, ensure_ascii=escaped, separators=(",", ":") if compact else None)] * 3
    content = "\n".join(lines)
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "CHUNK_BYTES", chunk)
        patch.setattr(json_lines, "_ROWS_WORTH_A_SHAPE", 10**9)
        each = read(content, folder)
        patch.setattr(json_lines, "_ROWS_WORTH_A_SHAPE", 1)
        shaped = read(content, folder)
    ours = ["raw"]
    assert shaped.drop(ours).rows() == each.drop(ours).rows()
    assert [_parsed(raw) for raw in shaped["raw"]] == [_parsed(raw) for raw in each["raw"]]


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _parsed(raw: str | None) -> Any:
    return None if raw is None else json.loads(raw)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=30), st.booleans())
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str], escaped: bool) -> None:
    lines = [json.dumps(ROW | {"provider_reference": text}, ensure_ascii=escaped) for text in ["first", *texts]]
    frame = read("\n".join(lines), tmp_path_factory.getbasetemp())
    assert frame["provider_reference"].to_list() == ["first", *texts]


PARSING = sorted((CORPORA / "JSONTestSuite" / "test_parsing").glob("*.json"))


@pytest.mark.skipif(not PARSING, reason="the corpora are not beside this repository")
def test_the_json_test_suite_never_crashes_and_is_never_accepted() -> None:
    for case in PARSING:
        with pytest.raises(InputRejectedError):
            list(json_lines.read(case, SETTLEMENT, case.name))


@pytest.mark.skipif(not PARSING, reason="the corpora are not beside this repository")
@pytest.mark.parametrize("padding", [0, 40])
def test_every_malformed_value_of_the_suite_refuses_the_file_and_every_good_one_does_not(
    tmp_path: Path, padding: int
) -> None:
    for case in PARSING:
        token = case.read_bytes()
        verdict = case.name[0]
        if verdict == "i" or b"\n" in token or b"\r" in token or token.startswith(b"\xef\xbb\xbf") or not token.strip():
            continue
        odd = LINE.encode()[:-1] + b', "x": ' + token + b"}"
        content = b"\n".join([LINE.encode()] * padding + [odd])
        if verdict == "n" and not _is_json(odd):
            with pytest.raises(InputRejectedError):
                read(content, tmp_path)
        elif verdict == "y":
            assert read(content, tmp_path).height == padding + 1, case.name


def _is_json(line: bytes) -> bool:
    """Whether a malformed document is well-formed when it is within an object (`1,"a":2`)."""
    try:
        json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(word)


SPACINGS = [(",", ":"), (", ", ": "), (",\t", ": ")]
VALUES = {
    "line_id": st.sampled_from(["L1", "a,b", "{}:", " x ", "", "7", "é"]),
    "merchant_reference": st.none() | st.just("m"),
    "gross_minor": st.integers(-(10**20), 10**20),
    "currency": st.sampled_from(["USD", "", "null", "true"]),
}


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=4),
    separators=st.sampled_from(SPACINGS),
    end=st.sampled_from(["\n", "\r\n"]),
    place=st.integers(0, 2000),
    instead=st.sampled_from(
        ["", '"', "\\", "\n", "\x01", " ", "0", "-", ",", "{", "}", ":", "null", '"x":1,', "}{", "é"]
    ),
)
def test_lines_that_are_written_alike_but_for_one_place_read_as_line_by_line(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    separators: tuple[str, str],
    end: str,
    place: int,
    instead: str,
) -> None:
    content = end.join(json.dumps(ROW | row, separators=separators, ensure_ascii=False) for row in rows * 3) + end
    content = content[: place % len(content)] + instead + content[place % len(content) + 1 :]
    folder = tmp_path_factory.getbasetemp()

    def outcome(rows_worth_a_shape: int) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_lines, "_ROWS_WORTH_A_SHAPE", rows_worth_a_shape)
            try:
                return read(content, folder).rows()
            except InputRejectedError as refusal:
                return str(refusal)

    assert outcome(1) == outcome(10**9)


def test_ordinary_lines_are_cut_and_not_matched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps(ROW | {"line_id": f"L{i}", "gross_minor": -i, "batch_id": "b" * (i % 3)}) for i in range(40)]
    monkeypatch.setattr(json_lines, "shape_of", None)
    frame = read("\n".join(lines), tmp_path)
    assert frame.select("line_id", "gross_minor", "batch_id", "merchant_reference").rows() == [
        (f"L{i}", str(-i), "b" * (i % 3) or None, None) for i in range(40)
    ]
