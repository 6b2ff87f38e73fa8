"""A claim: a few rows and everything the windows say about them.

Many claims share one world and its runs, which cost seconds. Each claim's ids and references are set apart by a prefix,
so no claim can answer for another. Does not belong here: the claims themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.scenarios.rows import MON, Row, flat
from tests.scenarios.world import World

Said = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Claim:
    """`says` is the claim in words; `gives` the expected new statements of each run, nothing where none is named."""

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
    """Run the windows once over the rows of all claims; what each claim was given, in its own ids."""
    return played(folders, name, claims, windows, profile)[0]


def played(
    folders: pytest.TempPathFactory,
    name: str,
    claims: Sequence[Claim],
    windows: Sequence[str] = (MON,),
    profile: Mapping[str, Any] | None = None,
) -> tuple[list[Said], World]:
    """As outcomes, with the world that the claims share."""
    world = World(folders.mktemp(name), {"amount_date_rule": "off", **(profile or {})})
    for number, each in enumerate(claims):
        world.add(*(row.prefixed(_prefix(number)) for row in each.rows))
    said: list[dict[str, list[str]]] = [{} for _ in claims]
    for window in windows:
        for statement in world.run(window):
            for number in {int(name[1:4]) for name in statement.ids}:
                said[number].setdefault(window, []).append(statement.text.replace(_prefix(number), ""))
    return [{window: sorted(texts) for window, texts in each.items()} for each in said], world


def expected(each: Claim) -> dict[str, list[str]]:
    """A claim's statements in the order `outcomes` has them."""
    return {window: sorted(texts) for window, texts in each.gives.items() if texts}


def _prefix(number: int) -> str:
    return f"c{number:03d}."
