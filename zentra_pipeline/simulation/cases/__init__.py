"""The cases of a world, by name: each a function that lets one story happen and states what must come of it.

A case's docstring is what the world's README says of it. Does not belong here: which cases a world has, and how often.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from zentra_pipeline.simulation.story import CaseScript

_MODULES = (
    "references",
    "groups",
    "duplicates",
    "amounts",
    "currencies",
    "timing",
    "callbacks",
    "deliveries",
    "postings",
    "refunds",
    "failures",
    "fees",
    "batches",
    "suggestions",
    "write_offs",
    "revisions",
)

Build = Callable[[CaseScript], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of story. `weight` is how often it comes beside the others once each has come once."""

    name: str
    build: Build
    weight: int

    @property
    def description(self) -> str:
        return " ".join((self.build.__doc__ or "").split())


_registered: dict[str, Case] = {}


def case(weight: int = 1) -> Callable[[Build], Build]:
    """Register the decorated function as the case of its name."""

    def register(build: Build) -> Build:
        name = build.__name__
        if name in _registered:
            raise ValueError(f"case {name!r} is defined twice")
        _registered[name] = Case(name, build, weight)
        return build

    return register


@cache
def all_cases() -> dict[str, Case]:
    """Every case by name, in the order of the modules and of the functions in them."""
    for module in _MODULES:
        importlib.import_module(f"{__name__}.{module}")
    return dict(_registered)
