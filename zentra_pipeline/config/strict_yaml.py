"""Reads the operator's YAML as a mapping without surprises: what looks like text stays text, and nothing is said twice.

Of YAML's scalars only `true`, `false`, `null` and plain decimal integers mean something else than text, so `NO`,
`17:00` (sixty-based in YAML 1.1), `1e3`, `010` and dates stay as written. Does not belong here: what the keys mean.
"""

import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zentra_pipeline.errors import ConfigurationError

MAX_BYTES = 262_144


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema that Zentra needs, no aliases and no repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not allowed", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is not text", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=True)


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:null|~|)\Z"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z"), list("-0123456789"))


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping a file holds (empty for an empty file); ConfigurationError naming file and place when it is none."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise ConfigurationError(
            f"{path.name}: cannot be read ({cause.strerror}); check that it is a readable file"
        ) from cause
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path.name}: {len(content)} bytes; at most {MAX_BYTES} are allowed")
    return parse_mapping(content, path.name)


def parse_mapping(content: bytes | str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text; `name` is what errors call it."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        found = _Loader(text).get_single_data()
    except UnicodeDecodeError as cause:
        raise ConfigurationError(f"{name}: byte {cause.start + 1} is not UTF-8; save the file as UTF-8") from cause
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigurationError(f"{name}:{place} {' '.join(filter(None, (cause.context, cause.problem)))}") from cause
    except (yaml.YAMLError, ValueError) as cause:
        raise ConfigurationError(f"{name}: not YAML: {' '.join(str(cause).split())}") from cause
    except RecursionError as cause:
        raise ConfigurationError(f"{name}: nested too deeply") from cause
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigurationError(f"{name}: must be a mapping of keys to values, not {type(found).__name__}")
    return found


def findings(error: ValidationError, keys: Iterable[str]) -> list[str]:
    """What a model found wrong, key by key, in words for the person who wrote the file; `keys` are the allowed ones."""
    return [_finding(found, keys) for found in error.errors(include_url=False)]


def _finding(found: ErrorDetails, keys: Iterable[str]) -> str:
    place = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        allowed = f"; allowed are {', '.join(keys)}" if len(found["loc"]) == 1 else ""
        return f"unknown key {place!r}{allowed}"
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] != "value_error":
        message = message[:1].lower() + message[1:]
    return f"{place}: {message}" if place else message
