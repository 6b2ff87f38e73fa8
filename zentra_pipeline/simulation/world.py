"""A world: terms, a calendar and as many stories as it takes, all from one seed. Nothing is written here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from random import Random

from zentra_pipeline.errors import UsageError
from zentra_pipeline.simulation.calendar import Calendar, draw_calendar
from zentra_pipeline.simulation.cases import Case, all_cases
from zentra_pipeline.simulation.statements import CaseDoesNotFitError
from zentra_pipeline.simulation.story import CaseScript
from zentra_pipeline.simulation.terms import Terms, draw_terms

DEFAULT_WINDOWS = 6
_ATTEMPTS = 12
_SMALL_MINOR = 100

Amounts = set[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a seed gives: one provider's rows over some windows, and every case's statements about them."""

    seed: int
    terms: Terms
    calendar: Calendar
    stories: tuple[CaseScript, ...]

    @property
    def movements(self) -> int:
        return sum(len(story.movements) for story in self.stories)


def build_world(
    seed: int,
    movements: int,
    windows: int = DEFAULT_WINDOWS,
    only_cases: Sequence[str] = (),
    *,
    has_late_files: bool = True,
) -> Dataset:
    """The world of a seed: every case that fits it once, then cases by weight, until it has `movements` movements.

    Without `has_late_files` no window runs again after a later one. A story without a movement counts as one.
    UsageError for an unknown case, sizes below 1, or cases that never fit.
    """
    if movements < 1 or windows < 1:
        raise UsageError("a world needs at least one movement and one window")
    cases = _chosen(only_cases)
    rng = seeded("world", seed, windows)
    terms = draw_terms(rng)
    calendar = draw_calendar(rng, terms, windows)
    if not has_late_files:
        calendar = replace(calendar, late=None)
    stories: list[CaseScript] = []
    taken: Amounts = set()
    count = 0
    for number, case in enumerate(_sequence(rng, cases)):
        story = _story(seed, number, case, calendar, terms, taken)
        if story is not None:
            stories.append(story)
            count += max(len(story.movements), 1)
        if count >= movements:
            break
        if not stories and number > len(cases) * _ATTEMPTS:
            raise UsageError(f"none of {', '.join(sorted(cases))} fits a world of {windows} windows with seed {seed}")
    kept = _without_lone_refusals(stories)
    if not any(story.before for story in kept):
        calendar = replace(calendar, late=None)
    return Dataset(seed, terms, calendar, tuple(kept))


def seeded(*parts: object) -> Random:
    """A source of chance that gives the same draws for the same parts, on any machine."""
    return Random(" ".join(str(part) for part in parts))  # noqa: S311 - chance for test data, not for secrets


def _chosen(only_cases: Sequence[str]) -> dict[str, Case]:
    known = all_cases()
    unknown = [name for name in only_cases if name not in known]
    if unknown:
        raise UsageError(f"there is no case {unknown[0]!r}; cases are {', '.join(known)}")
    return {name: known[name] for name in known if not only_cases or name in only_cases}


def _sequence(rng: Random, cases: dict[str, Case]) -> Iterator[Case]:
    """Every case once in some order, then without end by weight."""
    once = list(cases.values())
    rng.shuffle(once)
    yield from once
    weights = [case.weight for case in once]
    while True:
        yield from rng.choices(once, weights, k=256)


def _story(seed: int, number: int, case: Case, calendar: Calendar, terms: Terms, taken: Amounts) -> CaseScript | None:
    """A story of the case none of whose amounts another story has; null when the case does not fit this world."""
    for attempt in range(_ATTEMPTS):
        story = CaseScript(case.name, number, seeded("story", seed, number, attempt), calendar, terms)
        try:
            case.build(story)
        except CaseDoesNotFitError:
            continue
        amounts = _amounts(story)
        if amounts.isdisjoint(taken):
            taken |= amounts
            return story
    return None


def _amounts(story: CaseScript) -> Amounts:
    """Amounts by which a line or movement could be taken for one of another story; small ones have references."""
    lines = ((line.row.currency, abs(line.compared_minor)) for line in story.lines)
    movements = ((movement.currency, abs(movement.amount_minor)) for movement in story.movements)
    return {(currency, amount) for currency, amount in chain(lines, movements) if amount > _SMALL_MINOR}


def _without_lone_refusals(stories: list[CaseScript]) -> list[CaseScript]:
    """The stories less those whose refused row would be all that a file brings: such a file is rejected whole."""
    while True:
        brought = {("settlement", placed.run) for story in stories for placed in story.lines}
        brought |= {("ledger", run) for story in stories for run, _ in story.entries}
        brought |= {
            ("callbacks", run)
            for story in stories
            for callback in story.callbacks
            if (run := story.calendar.run_hearing(callback.received_at)) is not None
        }
        kept = [story for story in stories if all((row.kind, row.run) in brought for row in story.refused)]
        if len(kept) == len(stories):
            return kept
        stories = kept
