"""Reads YAML that the package ships; a file of an operator is config.strict_yaml's to read."""

from functools import cache
from pathlib import Path
from typing import Any


@cache
def read(path: Path) -> Any:
    """The content of a shipped file, read once and changed by nobody."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader, in C where there is one
