"""What a case draws: runs, amounts, names, instants, by its own random numbers; rows do not belong here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from zentra_pipeline.simulation.calendar import Calendar
from zentra_pipeline.simulation.statements import CaseDoesNotFitError
from zentra_pipeline.simulation.terms import Terms

_NOISE = ("", "", "", "", "", "", ' "quoted", comma', " é", " 日本", "'; --", " 🧾", " ﷽", "|;\\")


@dataclass
class Draws:
    """A case of a world, by its number, and what it draws; stories never share a reference."""

    case: str
    number: int
    rng: Random
    calendar: Calendar
    terms: Terms
    _named: int = 0

    @property
    def last_run(self) -> int:
        return len(self.calendar.runs) - 1

    def any_run(self, spare: int = 0) -> int:
        """A run that has at least `spare` runs after it."""
        if self.last_run < spare:
            raise CaseDoesNotFitError(self.case)
        return self.rng.randint(0, self.last_run - spare)

    def later_run(self, run: int, spare: int = 0) -> int:
        """A run after `run` that itself has at least `spare` runs after it."""
        if run + 1 > self.last_run - spare:
            raise CaseDoesNotFitError(self.case)
        return self.rng.randint(run + 1, self.last_run - spare)

    def require(self, condition: bool) -> None:
        """The case makes no sense in this world unless the condition holds."""
        if not condition:
            raise CaseDoesNotFitError(self.case)

    def currency(self, among: Sequence[str] = ("USD", "USD", "EUR", "JPY", "KWD")) -> str:
        return self.rng.choice(among)

    def amount(self, least: int = 1_000) -> int:
        """A positive amount between `least` and the order of 10^5 to 10^12; small ones are the most common."""
        return least + self.rng.randrange(10 ** self.rng.choice([5, 5, 6, 6, 7, 9, 12]))

    def name(self, prefix: str) -> str:
        """An id that no other row of the world has."""
        self._named += 1
        return f"{prefix}{self.number:08d}{self.rng.choice('0123456789')}{self._named:02d}"

    def reference(self) -> str:
        """A reference that no other reference equals, normalized or not; some are awkward text."""
        return self.name("PR-") + self.rng.choice(_NOISE)

    def instant_in(self, day: date) -> datetime:
        """An instant of a window, its first and last millisecond now and then."""
        start, end = self.calendar.start(day), self.calendar.end(day)
        span = int((end - start) / timedelta(milliseconds=1))
        offset = self.rng.choice([0, span - 1] + [self.rng.randrange(span) // 1000 * 1000 for _ in range(12)])
        return start + timedelta(milliseconds=offset)

    def instant_between(self, after: datetime, up_to: datetime) -> datetime:
        """An instant later than one and no later than another, the latter now and then."""
        span = int((up_to - after) / timedelta(milliseconds=1))
        if span < 1:
            raise CaseDoesNotFitError(self.case)
        offset = self.rng.choice([span, self.rng.randint(1, span), self.rng.randint(1, span)])
        return after + timedelta(milliseconds=offset)

    def late_runs(self) -> tuple[int, int]:
        """The run whose window gets late files, and the last that runs without them."""
        if self.calendar.late is None:
            raise CaseDoesNotFitError(self.case)
        return self.calendar.late
