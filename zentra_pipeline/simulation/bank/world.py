"""A bank's world of a seed: stories of payouts and credits, the statements that hold them, and what happens to those.

Nothing is written here. Does not belong here: any single case (cases).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from zentra_pipeline.errors import UsageError
from zentra_pipeline.simulation.bank.cases import CASES, LONGEST_LAG
from zentra_pipeline.simulation.bank.story import BankLine, BankStory, BankTerms, ExpectedException
from zentra_pipeline.simulation.world import seeded

ACCOUNT: Final = "000123456789"
DEFAULT_WINDOWS: Final = 10
FEWEST_WINDOWS: Final = LONGEST_LAG + 1
_FIRST: Final = date(2026, 3, 2)  # a Monday
_BEFORE: Final = 2  # days of the account before the first story: one statement, and one that is lost
_OF_SEVERAL_DAYS: Final = frozenset(("one_in_two_days", "returned_and_resent", "booked_twice"))


@dataclass(frozen=True)
class BankStatement:
    """A statement as the bank closed it, and the step with which it comes; null: it never does.

    `repeats` is the id of the statement that this one says once more.
    """

    statement_id: str
    on: date
    opening_minor: int
    lines: tuple[BankLine, ...]
    arrives: int | None
    repeats: str | None = None

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + sum(line.amount for line in self.lines)


@dataclass(frozen=True)
class BankWorld:
    """What a seed gives: days, terms, stories, and the statements in the order of their days."""

    seed: int
    days: tuple[date, ...]
    terms: BankTerms
    stories: tuple[BankStory, ...]
    statements: tuple[BankStatement, ...]
    exceptions: tuple[ExpectedException, ...]

    @property
    def steps(self) -> Sequence[date]:
        """The days that run: those of the stories."""
        return self.days[_BEFORE:]

    @property
    def payouts(self) -> int:
        return sum(len(story.payouts) for story in self.stories)


def build_bank_world(
    seed: int, payouts: int, windows: int = DEFAULT_WINDOWS, only_cases: Sequence[str] = ()
) -> BankWorld:
    """The world of a seed: every case once, then cases by weight, until the provider has paid out so often.

    UsageError for an unknown case, or sizes in which no story has room.
    """
    unknown = [name for name in only_cases if name not in CASES]
    if unknown:
        raise UsageError(f"there is no case {unknown[0]!r} of a bank; cases are {', '.join(CASES)}")
    if payouts < 1 or windows < FEWEST_WINDOWS:
        raise UsageError(f"a bank's world needs at least one payout and {FEWEST_WINDOWS} windows")
    rng = seeded("bank", seed, windows)
    days = tuple(_business_days(_FIRST, windows + _BEFORE))
    terms = BankTerms(lag_days=rng.choice((2, 3)), fee_tolerance_minor=rng.choice((50, 100, 250)))
    stories: list[BankStory] = []
    for number, name in enumerate(_sequence(rng, [name for name in CASES if not only_cases or name in only_cases]), 1):
        story = BankStory(name, number, seeded("bank story", seed, number), days[_BEFORE:], terms)
        CASES[name][1](story)
        stories.append(story)
        if sum(max(len(each.payouts), 1) for each in stories) >= payouts:
            break
    statements, exceptions = _statements(rng, days, stories)
    return BankWorld(seed, days, terms, tuple(stories), tuple(statements), tuple(exceptions))


def _business_days(first: date, count: int) -> Iterator[date]:
    day = first
    while count:
        if day.weekday() < 5:
            yield day
            count -= 1
        day += timedelta(days=1)


def _sequence(rng: Random, names: Sequence[str]) -> Iterator[str]:
    once = list(names)
    rng.shuffle(once)
    yield from once
    weights = [CASES[name][0] for name in once]
    while True:
        yield from rng.choices(once, weights, k=64)


def _statements(
    rng: Random, days: Sequence[date], stories: Sequence[BankStory]
) -> tuple[list[BankStatement], list[ExpectedException]]:
    """A statement for each day: one before the stories is lost, one comes a step late, one comes twice."""
    last = len(days) - 1 - _BEFORE
    by_day: dict[int, list[BankLine]] = {place: [] for place in range(-_BEFORE, last + 1)}
    for story in stories:
        for line in story.lines:
            by_day[line.day].append(line)
    for place in range(-_BEFORE, 0):
        by_day[place].append(BankLine(place, f"R0000{-place}", -rng.randint(1_000, 90_000), "RENT BEFORE"))
    several = {line.day for story in stories if story.case in _OF_SEVERAL_DAYS for line in story.lines}
    may_be_late = [place for place in range(last) if place not in several and by_day[place]]
    late = rng.choice(may_be_late) if may_be_late else None
    found: list[BankStatement] = []
    balance = rng.randint(1, 500_000) * 100
    for place, lines in by_day.items():
        on = days[place + _BEFORE]
        rng.shuffle(lines)
        arrives = None if place == -1 else max(place, 0) + (place == late)
        found.append(BankStatement(on.isoformat(), on, balance, tuple(lines), arrives))
        balance = found[-1].closing_minor
    doubled = rng.choice([each for each in found if each.arrives is not None and each.lines])
    assert doubled.arrives is not None
    again = BankStatement(
        f"{doubled.statement_id}-again",
        doubled.on,
        doubled.opening_minor,
        doubled.lines,
        min(doubled.arrives + 1, last),
        doubled.statement_id,
    )
    first = days[_BEFORE].isoformat()
    exceptions = [
        ExpectedException("statement_gap", first, is_open=True),
        ExpectedException("duplicate_statement", again.statement_id, is_open=True),
    ]
    return [*found, again], exceptions
