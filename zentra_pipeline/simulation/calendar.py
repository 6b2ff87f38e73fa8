"""The days of a world: windows, the runs that look at them, cut-offs and business days (contract §10.4, §10.14).

Written for the answer key alone: the engine has a calendar of its own, and the two must agree without sharing a line.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from zentra_pipeline.simulation.terms import Terms

_SATURDAY = 5
_CLOSED = (1, 1, 2)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every window of the world in order, and the windows that have a run, with the instant each run is as of.

    `closed` are the runs whose window is closed before the next one runs. `late` names the run whose window gets
    further files once the other, a later one, has run; null when no file of this world is that late.
    """

    days: tuple[date, ...]
    runs: tuple[date, ...]
    as_of: tuple[datetime, ...]
    terms: Terms
    closed: frozenset[int] = frozenset()
    late: tuple[int, int] | None = None

    @property
    def closed_again(self) -> tuple[int, ...]:
        """The runs whose seal is amended once the late files have come: they and what followed are made again."""
        if self.late is None:
            return ()
        first, last = self.late
        return tuple(sorted(run for run in self.closed if first <= run <= last))

    def start(self, day: date) -> datetime:
        """The instant a window begins: its local day at the cut-off."""
        zone = ZoneInfo(self.terms.timezone)
        return datetime.combine(day, time.fromisoformat(self.terms.window_cutoff), zone).astimezone(UTC)

    def end(self, day: date) -> datetime:
        """The instant a window ends, which is the first of the next."""
        return self.start(day + timedelta(days=1))

    def window_of(self, instant: datetime) -> date:
        """The window that holds an instant."""
        day = instant.astimezone(ZoneInfo(self.terms.timezone)).date()
        return day if self.start(day) <= instant else day - timedelta(days=1)

    def review_cutoff(self, run: int) -> datetime:
        """The instant after which a callback is late for a match of this run."""
        return self.end(self.runs[run]) + timedelta(minutes=self.terms.callback_grace_minutes)

    def run_seeing(self, day: date) -> int:
        """The first run that sees the rows of a window; the last window of a world always has a run."""
        return next(index for index, run in enumerate(self.runs) if day <= run)

    def days_of(self, run: int) -> tuple[date, ...]:
        """The windows a run is the first to see: its own, and those before it that have no run."""
        return tuple(day for day in self.days if self.run_seeing(day) == run)

    def run_hearing(self, received_at: datetime) -> int | None:
        """The first run that a callback received at this instant reaches, null when it comes after the last."""
        return next((index for index, as_of in enumerate(self.as_of) if received_at <= as_of), None)

    def run_that_sees(self, received_at: datetime, match_run: int) -> int | None:
        """The first run, from that of its match on, that sees a callback; later ones see none after their window."""
        window = self.window_of(received_at)
        runs = enumerate(zip(self.runs, self.as_of, strict=True))
        seeing = (
            run
            for run, (day, as_of) in runs
            if run >= match_run and received_at <= as_of and (run == match_run or window <= day)
        )
        return next(seeing, None)

    def age(self, day: date, run: int) -> int:
        """Business days after a window, up to and including the run's."""
        return business_days(day, self.runs[run])

    def first_overdue(self, day: date) -> int | None:
        """The first run in which an item of this window is older than the settlement lag, null when there is none."""
        lag = self.terms.settlement_lag_days
        return next((index for index in range(len(self.runs)) if self.age(day, index) > lag), None)


def business_days(after: date, up_to: date) -> int:
    """Mondays to Fridays after one day, up to and including another; 0 when the other comes first."""
    count = max((up_to - after).days, 0)
    return sum((after + timedelta(days=step)).weekday() < _SATURDAY for step in range(1, count + 1))


def draw_calendar(rng: Random, terms: Terms, windows: int) -> Calendar:
    """A stretch of days with `windows` runs; some weekend days have a run of their own, the others none."""
    day = date(2026, 1, 5) + timedelta(days=rng.randrange(330))
    days: list[date] = []
    runs: list[date] = []
    while len(runs) < windows:
        days.append(day)
        if day.weekday() < _SATURDAY or rng.random() < 0.3:
            runs.append(day)
        day += timedelta(days=1)
    bare = Calendar(tuple(days), tuple(runs), (), terms)
    as_of = tuple(
        bare.review_cutoff(run) + timedelta(minutes=rng.randrange(30, 600), milliseconds=rng.randrange(1000))
        for run in range(windows)
    )
    closed = {min(rng.randrange(windows) for _ in range(2)) for _ in range(rng.choice(_CLOSED))}
    late = sorted(rng.sample(range(windows), 2)) if windows > 1 else None
    return replace(bare, as_of=as_of, closed=frozenset(closed), late=None if late is None else (late[0], late[1]))
