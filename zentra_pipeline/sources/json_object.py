"""One JSON object of a line: a strict parser that keeps numbers as written, and the shape of ordinary lines.

Does not belong here: files, chunks and what columns mean beyond their type.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

_DEPTH = 64
_SPACE = r"[ \t\r]*"
_TEXT = r'[^"\\\x00-\x1f]+'
INTEGER = r"-?(?:0|[1-9][0-9]*)"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DUE = {
    FieldType.TEXT: "text",
    FieldType.INTEGER: "an integer",
    FieldType.INSTANT: "text",
    FieldType.BOOLEAN: "true or false",
}


@dataclass(frozen=True)
class Row:
    """A line's values by contract column, its unknown columns as JSON, why it cannot be accepted, and all its keys."""

    values: tuple[str | None, ...]
    raw: str | None
    refusal: str | None
    keys: frozenset[str]


class NotAnObjectError(ValueError):
    """A line is not one strict JSON object; the message says why."""


class _Integer(str):
    """An integer as written."""


class _Decimal(str):
    """A number with a point or exponent, as written."""


class _Repeated(dict[str, Any]):
    """An object that holds a key twice; `repeated` names it."""

    repeated: str


def parse(line: str, contract: Contract) -> Row:
    """Read a line; NotAnObjectError when it is not one strict JSON object (RFC 8259)."""
    try:
        content = json.loads(
            line,
            object_pairs_hook=_object,
            parse_int=_Integer,
            parse_float=_Decimal,
            parse_constant=_no_constant,
        )
    except RecursionError as cause:
        raise NotAnObjectError("nested too deeply") from cause
    except json.JSONDecodeError as cause:
        if not line.strip():
            raise NotAnObjectError("a blank line") from cause
        raise NotAnObjectError(f"not JSON ({cause.msg} at character {cause.pos + 1:,})") from cause
    if not isinstance(content, dict):
        raise NotAnObjectError(f"{_kind(content)}, not an object")
    if _is_deep(content):
        raise NotAnObjectError(f"nested deeper than {_DEPTH} levels")
    reasons = [f"{key}: a key that appears twice" for key in _repeated_keys(content)]
    values = tuple(_value(field, content.get(field.name), reasons) for field in contract.fields)
    unknown = {key: value for key, value in content.items() if key not in contract.columns}
    raw = _json(unknown) if unknown else None
    if raw is not None and _SURROGATE.search(raw):
        reasons.append("raw: a lone surrogate, which is not valid text")
        raw = None
    return Row(values, raw, "; ".join(reasons) or None, frozenset(key for key in content if not _SURROGATE.search(key)))


@dataclass(frozen=True)
class Shape:
    """What lines with the same keys in the same order have in common.

    `pattern` matches only a well-formed object of exactly these keys whose values have the types met before; group
    `whole` holds the line, `v<n>` the value of the n-th key: bare text and integers, tokens for unknown columns.
    """

    keys: tuple[str, ...]
    pattern: str

    def frame(self, values: pl.DataFrame, contract: Contract) -> pl.DataFrame:
        """Lines that match, with the captured values and `row_number`, as the gate judges them."""
        groups = {key: f"v{position}" for position, key in enumerate(self.keys)}
        nothing = pl.lit(None, dtype=pl.String)
        unknown = [key for key in self.keys if key not in contract.columns]
        members = [pl.format(f'"{key}":{{}}', groups[key]) for key in unknown]
        raw = pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=","), pl.lit("}")) if unknown else nothing
        return values.select(
            *((pl.col(groups[name]) if name in groups else nothing).alias(name) for name in contract.columns),
            raw.alias("raw"),
            "row_number",
            nothing.alias("refusal"),
            nothing.alias("source_row"),
        )


def shape_of(line: str, contract: Contract) -> Shape | None:
    """The shape of a line, null when the line is not an ordinary one."""
    try:
        content = json.loads(line, object_pairs_hook=_object, parse_int=_Integer, parse_float=_Decimal)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or isinstance(content, _Repeated) or not content:
        return None
    if not all(_PLAIN_KEY.fullmatch(key) for key in content):
        return None
    fields = {field.name: field for field in contract.fields}
    members = [
        f'"{re.escape(key)}"{_SPACE}:{_SPACE}{_token(f"v{position}", fields.get(key), value)}'
        for position, (key, value) in enumerate(content.items())
    ]
    object_of = rf"\{{{_SPACE}" + f"{_SPACE},{_SPACE}".join(members) + rf"{_SPACE}\}}"
    return Shape(tuple(content), rf"\A(?P<whole>{_SPACE}){object_of}{_SPACE}\n\z")


def _token(group: str, field: Field | None, value: object) -> str:
    """The pattern of a value; a blank text is captured as nothing."""
    if field is None:
        return rf'(?P<{group}>"[^"\\\x00-\x1f]*"|{INTEGER}|true|false|null)'
    if field.type is FieldType.INTEGER and not (isinstance(value, str) and not isinstance(value, _Integer)):
        return f"(?:(?P<{group}>{INTEGER})|null)"
    if field.type is FieldType.BOOLEAN and not isinstance(value, str):
        return f"(?:(?P<{group}>true|false)|null)"
    return f'(?:"(?P<{group}>{_TEXT})?"|null)'


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    seen: set[str] = set()
    repeated = _Repeated(content)
    repeated.repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def _no_constant(word: str) -> None:
    raise json.JSONDecodeError(f"{word} is not valid JSON", word, 0)


def _is_deep(content: object) -> bool:
    """Whether objects and lists are nested deeper than is read."""
    level = [content]
    for _ in range(_DEPTH):
        level = [
            member
            for value in level
            if isinstance(value, dict | list)
            for member in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _repeated_keys(value: object) -> Iterable[str]:
    """Keys that appear twice in an object, at any depth."""
    if isinstance(value, _Repeated):
        yield _shown(value.repeated)
    if isinstance(value, dict):
        for member in value.values():
            yield from _repeated_keys(member)
    if isinstance(value, list):
        for element in value:
            yield from _repeated_keys(element)


def _value(field: Field, value: object, reasons: list[str]) -> str | None:
    """The text of a field's value, null when blank; a value that is no text of the field adds its reason."""
    if value is None or value == "":
        return None
    if isinstance(value, _Integer) and field.type is FieldType.INTEGER:
        return str(value)
    if isinstance(value, bool) and field.type is FieldType.BOOLEAN:
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, _Integer | _Decimal):
        if not _SURROGATE.search(value):
            return value
        reasons.append(f"{field.name}: a lone surrogate, which is not valid text")
        return None
    reasons.append(f"{field.name}: {_kind(value)} is not {_DUE[field.type]}")
    return None


def _kind(value: object) -> str:
    if isinstance(value, _Integer | _Decimal):
        return f"JSON number {value[:40]}"
    if isinstance(value, bool):
        return f"JSON {str(value).lower()}"
    if value is None:
        return "JSON null"
    return "a JSON string" if isinstance(value, str) else "a JSON array" if isinstance(value, list) else "a JSON object"


def _shown(key: str) -> str:
    return key.encode("utf-8", "backslashreplace").decode()


def _json(value: object) -> str:
    """Compact JSON text with every number as it was written."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key, ensure_ascii=False)}:{_json(member)}" for key, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, _Integer | _Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
