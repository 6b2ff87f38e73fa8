"""Parquet: declared types are taken as they are, anything else is refused whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import parquet_file

SETTLEMENT = contract_of("settlement")
AT = datetime(2026, 4, 26, 10, 0, 0, 123456, tzinfo=UTC)


def columns(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "line_id": pa.array(["L1", "L2"]),
        "line_type": pa.array(["payment", "payment"]),
        "provider_reference": pa.array(["", None]),
        "merchant_reference": pa.array(["a  b", "é"]),
        "gross_minor": pa.array([1, 2], pa.int64()),
        "fee_minor": pa.array([0, 0], pa.int64()),
        "net_minor": pa.array([1, 2], pa.int64()),
        "currency": pa.array(["USD", "USD"]),
        "settled_at": pa.array([AT, AT], pa.timestamp("us", "Europe/Berlin")),
        "batch_id": pa.array([None, None], pa.null()),
    }
    return {name: array for name, array in (found | changed).items() if array is not None}


def read(folder: Path, **changed: Any) -> pl.DataFrame:
    pq.write_table(pa.table(columns(**changed)), folder / "in.parquet")
    return pl.concat(list(parquet_file.read(folder / "in.parquet", SETTLEMENT, "in.parquet")))


def test_declared_types_are_taken_and_text_is_unchanged(tmp_path: Path) -> None:
    accepted = validate(SETTLEMENT, read(tmp_path)).accepted
    assert accepted.select("provider_reference", "merchant_reference", "gross_minor", "batch_id").rows() == [
        (None, "a  b", 1, None),
        (None, "é", 2, None),
    ]
    assert accepted["settled_at"].to_list() == [AT.replace(tzinfo=None)] * 2


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_instant_of_any_unit_is_read(tmp_path: Path, unit: str) -> None:
    at = pa.array([AT.replace(microsecond=0)] * 2, pa.timestamp(unit, "UTC"))
    assert validate(SETTLEMENT, read(tmp_path, settled_at=at)).accepted["settled_at"][0] == datetime(2026, 4, 26, 10)


@pytest.mark.parametrize(
    "text",
    [
        pa.array(["x", "y"], pa.large_string()),
        pa.array(["x", "y"]).dictionary_encode(),
        pa.array(["x", "y"], pa.string_view()),
    ],
)
def test_text_may_be_stored_in_any_text_type(tmp_path: Path, text: pa.Array) -> None:
    assert read(tmp_path, batch_id=text)["batch_id"].to_list() == ["x", "y"]


def test_an_instant_may_be_text_with_z(tmp_path: Path) -> None:
    judged = validate(SETTLEMENT, read(tmp_path, settled_at=pa.array(["2026-04-26T00:00:00Z", "2026-04-26"])))
    assert (judged.accepted.height, judged.refused.height) == (1, 1)


def test_a_fraction_beyond_the_microsecond_is_quarantined_and_not_cut(tmp_path: Path) -> None:
    at = pa.array([1_777_000_000_000_000_000, 1_777_000_000_000_000_001], pa.timestamp("ns", "UTC"))
    judged = validate(SETTLEMENT, read(tmp_path, settled_at=at))
    assert (judged.accepted.height, judged.refused.height) == (1, 1)
    assert "its fraction goes beyond the microsecond" in judged.refused["reason"][0]


def test_an_instant_beyond_the_calendar_is_quarantined(tmp_path: Path) -> None:
    at = pa.array([AT.replace(microsecond=0), None], pa.timestamp("ms", "UTC")).fill_null(2**62)
    judged = validate(SETTLEMENT, read(tmp_path, settled_at=at))
    assert (judged.accepted.height, judged.refused.height) == (1, 1)


@pytest.mark.parametrize(
    "unknown",
    [
        pa.array([b"\xff", None]),
        pa.array([1, 2], pa.decimal256(60, 2)),
        pa.array([2**31 - 1, 0], pa.date32()),
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([[b"\xff"], []]),
        pa.array([{"a": [1]}, None]),
        pa.array([b"x" * 16, b"y" * 16], pa.binary(16)),
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    ],
    ids=str,
)
def test_an_unknown_column_of_any_type_is_kept_or_left_out_and_no_row_is_lost(
    tmp_path: Path, unknown: pa.Array
) -> None:
    judged = validate(SETTLEMENT, read(tmp_path, odd=unknown))
    assert (judged.accepted.height, judged.refused.height) == (2, 0)


def test_a_page_that_changed_after_writing_is_refused_where_the_file_has_checksums(tmp_path: Path) -> None:
    """An amount of 123456 was read as 923456, and was staged."""
    table = pa.table(columns(provider_reference=pa.array(["x123456", "y"])))
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True, "write_statistics": False}
    pq.write_table(table, tmp_path / "in.parquet", **options)
    content = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(content.replace(b"x123456", b"x923456"))
    with pytest.raises(InputRejectedError, match="not a readable Parquet file"):
        list(parquet_file.read(tmp_path / "in.parquet", SETTLEMENT, "in.parquet"))


@pytest.mark.parametrize("says_so", [True, False], ids=["footer names the dictionary", "footer hides it"])
def test_a_small_file_that_unfolds_to_gigabytes_is_refused_before_it_is_held(tmp_path: Path, says_so: bool) -> None:
    many = 400_000
    one = {name: array.slice(0, 1) for name, array in columns(line_id=pa.array(["x" * 4000, "y"])).items()}
    table = pa.table(
        {name: pa.concat_arrays([array]).take(pa.array([0] * many)) for name, array in one.items() if name != "line_id"}
    )
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * many, pa.int32()), pa.array(["x" * 4000]))
    path = tmp_path / "in.parquet"
    pq.write_table(table.append_column("line_id", ids), path)
    if not says_so:
        # A column's encodings in the footer are three small integers: PLAIN, RLE and RLE_DICTIONARY, which is hidden.
        written = path.read_bytes()
        hidden = written.replace(b"\x35\x00\x06\x10", b"\x35\x00\x06\x06")
        assert hidden != written
        path.write_bytes(hidden)
        found = pq.ParquetFile(path).metadata.row_group(0)
        assert {found.column(number).encodings for number in range(found.num_columns)} == {("PLAIN", "RLE", "RLE")}
    with pytest.raises(InputRejectedError, match="unfolds to more than"):
        for _ in parquet_file.read(path, SETTLEMENT, path.name):
            pass


def test_a_file_of_many_row_groups_is_read_as_one(tmp_path: Path) -> None:
    rows = 250_000
    table = pa.table({name: array.take(pa.array([0] * rows)) for name, array in columns().items() if name != "line_id"})
    table = table.append_column("line_id", pa.array([f"l{number}" for number in range(rows)]))
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=60_000)
    frames = list(parquet_file.read(tmp_path / "in.parquet", SETTLEMENT, "in.parquet"))
    read_rows = pl.concat(frames)
    assert read_rows["line_id"].to_list() == [f"l{number}" for number in range(rows)]
    assert read_rows["row_number"].to_list() == list(range(1, rows + 1))


def test_blank_and_oversized_amounts_go_to_quarantine(tmp_path: Path) -> None:
    judged = validate(SETTLEMENT, read(tmp_path, gross_minor=pa.array([None, -(2**63)], pa.int64())))
    assert judged.refused["reason"].to_list() == [
        "gross_minor: blank",
        "gross_minor: '-9223372036854775808' is not an integer below 10^15",
    ]


def test_unknown_columns_are_kept(tmp_path: Path) -> None:
    frame = read(tmp_path, x=pa.array([1, None]), y=pa.array([["a"], []]))
    assert frame["raw"].to_list() == ['{"x":1,"y":["a"]}', '{"x":null,"y":[]}']


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gross_minor": pa.array([1.0, 2.0])}, "column gross_minor is double, not BIGINT"),
        ({"gross_minor": pa.array([1, 2], pa.int32())}, "column gross_minor is int32, not BIGINT"),
        ({"gross_minor": pa.array(["1", "2"])}, "column gross_minor is string, not BIGINT"),
        ({"gross_minor": pa.array([None, None], pa.null())}, "column gross_minor is null, not BIGINT"),
        ({"line_id": pa.array([1, 2])}, "column line_id is int64, not text"),
        ({"settled_at": pa.array([AT, AT], pa.timestamp("us"))}, "column settled_at is timestamp[us], not"),
        ({"settled_at": pa.array([1, 2])}, "column settled_at is int64, not"),
        ({"currency": None}, "no column currency"),
        ({f"c{i}": pa.array([1, 2]) for i in range(1020)}, "1,030 columns; at most 1,024"),
    ],
)
def test_other_types_refuse_the_file(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputRejectedError) as refusal:
        read(tmp_path, **changed)
    assert str(refusal.value).startswith("in.parquet: ")
    assert message in str(refusal.value)


def test_a_repeated_column_refuses_the_file(tmp_path: Path) -> None:
    table = pa.table(columns())
    pq.write_table(table.append_column("line_id", table["line_id"]), tmp_path / "in.parquet")
    with pytest.raises(InputRejectedError, match="column line_id appears twice"):
        list(parquet_file.read(tmp_path / "in.parquet", SETTLEMENT, "in.parquet"))


def test_text_that_is_not_utf8_refuses_the_file(tmp_path: Path) -> None:
    raw = pa.array([b"\xff", b"ok"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    with pytest.raises(InputRejectedError, match="not a readable Parquet file"):
        read(tmp_path, merchant_reference=broken)


def test_a_truncated_or_bit_flipped_file_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    whole = tmp_path / "in.parquet"
    pq.write_table(pa.table(columns()), whole, compression="none", write_page_checksum=True)
    content = whole.read_bytes()
    for cut in range(0, len(content), 97):
        whole.write_bytes(content[:cut])
        with pytest.raises(InputRejectedError):
            list(parquet_file.read(whole, SETTLEMENT, whole.name))
    for at in range(0, len(content), 41):
        whole.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        try:
            list(parquet_file.read(whole, SETTLEMENT, whole.name))
        except InputRejectedError as refusal:
            assert str(refusal).startswith("in.parquet: ")
