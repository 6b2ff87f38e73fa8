"""A claim: a few rows and everything the windows say about them. Many claims share one world and its runs, which cost seconds.

Each claim's ids and references are set apart by a prefix, so no claim can answer for another. Does not belong here: the
claims themselves.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, Row, flat
from tests.scenarios.world import World

Said = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Claim:
    """`says` is the claim in words; `gives` what each window's run says for the first time, nothing where none is named."""

    says: str
    rows: tuple[Row, ...]
    gives: Said


def claim(says: str, *rows: Row | tuple[Row, ...], gives: Sequence[str] | Said) -> Claim:
    """A claim about one window (a list of statements) or about several (a list a window)."""
    said = gives if isinstance(gives, Mapping) else {MON: gives}
    return Claim(says, tuple(flat(rows)), said)


def outcomes(
    folders: pytest.TempPathFactory,
    name: str,
    claims: Sequence[Claim],
    windows: Sequence[str] = (MON,),
    profile: Mapping[str, Any] | None = None,
) -> list[Said]:
    """Run the windows once over the rows of all claims; what each claim was given, in its own ids.

    Where tests run in several processes, one of them runs the windows and the others read what it found.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _outcomes(folders.mktemp(name), claims, windows, profile)
    shared = folders.getbasetemp().parent / f"{name}.json"
    with shared.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            found = _outcomes(folders.mktemp(name), claims, windows, profile)
            shared.write_text(json.dumps(found), encoding="utf-8")
        said: list[Said] = json.loads(shared.read_text(encoding="utf-8"))
    return said


def _outcomes(
    folder: Path, claims: Sequence[Claim], windows: Sequence[str], profile: Mapping[str, Any] | None
) -> list[Said]:
    world = World(folder, {"amount_date_rule": "off", **(profile or {})})
    for number, each in enumerate(claims):
        world.add(*(row.prefixed(_prefix(number)) for row in each.rows))
    said: list[dict[str, list[str]]] = [{} for _ in claims]
    for window in windows:
        for statement in world.run(window):
            for number in {int(name[1:4]) for name in statement.ids}:
                said[number].setdefault(window, []).append(statement.text.replace(_prefix(number), ""))
    return [{window: sorted(texts) for window, texts in each.items()} for each in said]


def expected(each: Claim) -> dict[str, list[str]]:
    """A claim's statements in the order `outcomes` has them."""
    return {window: sorted(texts) for window, texts in each.gives.items() if texts}


def _prefix(number: int) -> str:
    return f"c{number:03d}."
