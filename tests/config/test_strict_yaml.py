"""YAML of operators: text stays text, and whatever could mean two things is refused with its place."""

from pathlib import Path

import pytest

from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import UsageError


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        *(("NO", "NO"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("True", "True")),
        *(("17:00", "17:00"), ("2026-04-26", "2026-04-26"), ("1e3", "1e3"), ("1.5", "1.5"), ("010", "010")),
        *(("0x10", "0x10"), ("1_000", "1_000"), ("+5", "+5"), (".inf", ".inf")),
        *(("12", 12), ("-3", -3), ("0", 0), ("true", True), ("false", False), ("null", None), ("~", None), ("", None)),
        *(("'12'", "12"), ('"true"', "true")),
    ],
)
def test_only_plain_integers_true_false_and_null_are_not_text(scalar: str, value: object) -> None:
    found = strict_yaml.parse_mapping(f"key: {scalar}", "f.yml")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "line 2, column 1: key 'a' appears twice"),
        ("a: {b: 1, b: 2}", "key 'b' appears twice"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("1: 2", "key 1 is not text"),
        ("a: b: c", "line 1, column 5"),
        ("- a", "must be a mapping"),
        ("text", "must be a mapping"),
        ("[" * 5_000, "nested too deeply"),
        ("a: \x00", "not YAML"),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
)
def test_what_could_surprise_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=r"^f\.yml:") as refused:
        strict_yaml.parse_mapping(text, "f.yml")
    assert reason in str(refused.value)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert strict_yaml.parse_mapping("<<: {a: 1}", "f.yml") == {"<<": {"a": 1}}


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("# only a comment\n", encoding="utf-8")
    assert strict_yaml.read_mapping(path) == {}


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "bom.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert strict_yaml.read_mapping(path) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a: \xff\n", "byte 4 is not UTF-8"), (b"#" * (strict_yaml.MAX_BYTES + 1), "at most")]
)
def test_a_file_that_is_no_small_utf8_text_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.yml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        strict_yaml.read_mapping(path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        strict_yaml.read_mapping(tmp_path)
