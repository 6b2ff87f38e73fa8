"""Strict JSON (RFC 8259, I-JSON's rules of RFC 7493): what any two readers would not read alike is refused. Pure."""

import codecs
import json
import math
import re
from typing import Any, Final

_DEEPEST: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class StrictJsonError(ValueError):
    """Why bytes are not strict JSON."""


def parse(content: bytes) -> Any:
    """The value of a JSON text; StrictJsonError for anything that is not, or that readers could understand apart.

    Refused besides: another encoding than UTF-8, a byte order mark, a key that appears twice in one object, NaN and
    Infinity, numbers beyond a double or 4,300 digits, half of a surrogate pair, nesting deeper than 64.
    """
    if content.startswith(codecs.BOM_UTF8):
        raise StrictJsonError("it begins with a byte order mark")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise StrictJsonError(f"byte {cause.start} is not UTF-8") from cause
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_number, parse_constant=_constant)
    except StrictJsonError:
        raise
    except RecursionError as cause:
        raise StrictJsonError(f"it is nested deeper than {_DEEPEST}") from cause
    except json.JSONDecodeError as cause:
        raise StrictJsonError(f"{cause.msg[:1].lower()}{cause.msg[1:]} at character {cause.pos + 1}") from cause
    except ValueError as cause:  # an integer of more digits than Python takes
        raise StrictJsonError("a number has too many digits") from cause
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise StrictJsonError(f"key {twice.encode('utf-8', 'backslashreplace').decode()!r} appears twice in one object")
    return found


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise StrictJsonError(f"number {text[:40]} is too large")
    return number


def _constant(word: str) -> None:
    raise StrictJsonError(f"{word} is not valid JSON")


def _check(value: Any) -> None:
    """Refuse what json.loads takes: deep nesting, and text that is none."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [member for container in level for member in _members(container)]
        if not level:
            return
    raise StrictJsonError(f"it is nested deeper than {_DEEPEST}")


def _members(value: Any) -> list[Any]:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise StrictJsonError("half of a surrogate pair is not valid text")
        return []
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []
