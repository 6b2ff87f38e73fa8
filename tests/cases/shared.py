"""Where the shared cases lie, and the ledger cases as data. Nothing runs here.

The cases lie in `shared/cases` beside the checkout (also beside a worktree's), or where ZENTRA_SHARED_CASES says. Tests
read them in place and skip where they are absent.
"""

import ast
import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scenarios.rows import Row

VARIABLE = "ZENTRA_SHARED_CASES"
DAYS = ("2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10", "2026-03-11")
_HEADER = re.compile(r"(settlement (?P<file>\S+)|ledger|callbacks) \(p(?P<phase>\d)\):")
_MATCHES = re.compile(r"confirmed matches (?:after run (?P<run>\d)|at the end)$")
_EXCEPTIONS = re.compile(r"exceptions (?:after run (?P<run>\d)|at the end) \(type, subject, window opened, state\)$")
_OPEN_ITEMS = re.compile(r"open items of run (?P<run>\d)$")


@dataclass(frozen=True)
class LedgerCase:
    """One case: `profile` and `holidays`, the windows that run, rows by run they come before, and what is right.

    `matches`, `exceptions` and `open_items` go by the number of the run after which they hold; run 0 is the last.
    """

    name: str
    profile: Mapping[str, Any]
    holidays: tuple[str, ...]
    windows: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    matches: Mapping[int, list[list[Any]]] = field(default_factory=dict)
    exceptions: Mapping[int, list[list[Any]]] = field(default_factory=dict)
    open_items: Mapping[int, list[str]] = field(default_factory=dict)


def folder() -> Path | None:
    """The folder of the shared cases, where there is one."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    beside = (parent / "shared" / "cases" for parent in Path(__file__).resolve().parents)
    return next((path for path in beside if path.is_dir()), None)


def need(path: str) -> Path:
    """A file or folder of the shared cases; the test is skipped where it is absent."""
    found = folder()
    if found is None or not (found / path).exists():
        pytest.skip(f"shared/cases/{path} is absent: it lies beside the checkout, or where {VARIABLE} says")
    return found / path


@cache
def ledger_cases() -> Mapping[str, LedgerCase]:
    """The cases of ledger_cases.md that are given as rows, by name."""
    text = need("ledger_cases.md").read_text(encoding="utf-8")
    sections = text.split("# Cases with steps of their own")[0].split("\n## ")[1:]
    return {case.name: case for case in map(_ledger_case, sections)}


def _ledger_case(section: str) -> LedgerCase:
    name, rest = section.split("\n", 1)
    about, block, _ = rest.split("```")
    profile, runs = re.search(r"profile: `(.*?)`.*; runs (\[.*\])", about).groups()  # type: ignore[union-attr]
    calendar = re.search(r"calendar `holidays: (\[.*?\])`", about)
    numbers = ast.literal_eval(runs)
    inputs, expected = block.split("expected:\n")
    return LedgerCase(
        name,
        {key: value for part in profile.split("; ") for key, value in yaml.safe_load(part).items()},
        tuple(json.loads(calendar[1])) if calendar else (),
        tuple(run if isinstance(run, str) else DAYS[run - 1] for run in numbers),
        tuple(_rows(inputs)),
        **_expected(expected),
    )


def _rows(text: str) -> list[tuple[int, Row]]:
    found: list[tuple[int, Row]] = []
    blocks = re.split(r"\n(?=\S)", text.strip("\n"))
    for block in blocks:
        header, *lines = block.split("\n")
        about = _HEADER.match(header)
        assert about is not None, header
        lines = [line.removeprefix("  ") for line in lines]
        kind = header.split()[0]
        if kind == "callbacks":
            # The cases leave out what plays no part in them.
            values = [{"event_type": "payment", **ast.literal_eval(line)} for line in lines]
        else:
            values = list(csv.DictReader([header.split(": ", 1)[1], *lines]))
        found += [(int(about["phase"]), Row(kind, each, about["file"])) for each in values]
    return found


def _expected(text: str) -> dict[str, Any]:
    found: dict[str, dict[int, Any]] = {"matches": {}, "exceptions": {}, "open_items": {}}
    for line in text.strip().split("\n"):
        what, _, value = line.strip().partition(": ")
        for name, pattern in (("matches", _MATCHES), ("exceptions", _EXCEPTIONS), ("open_items", _OPEN_ITEMS)):
            if (about := pattern.match(what)) is not None:
                found[name][int(about["run"] or 0)] = sorted(ast.literal_eval(value))
    return found


def groups(names: Sequence[str]) -> list[list[LedgerCase]]:
    """Cases that share a profile, a calendar and windows, and so can share a world."""
    cases = ledger_cases()
    found: dict[str, list[LedgerCase]] = {}
    for name in names:
        case = cases[name]
        found.setdefault(json.dumps([case.profile, case.holidays, case.windows], sort_keys=True), []).append(case)
    return list(found.values())
