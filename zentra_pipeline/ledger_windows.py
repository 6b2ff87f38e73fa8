"""Ledger windows: where a window begins and ends, and which business day it is. Pure; no clock, no store.

A window is named for the local day on which it begins: window D runs from D at the cut-off, local time, to D + 1 at the
cut-off. Where a clock change skips that local time, the window begins at the first instant after the gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_WEEKEND: Final = frozenset({5, 6})


@dataclass(frozen=True)
class BusinessDays:
    """Which days count: all but the weekend (0 is Monday) and the holidays. By default Monday to Friday."""

    weekend: frozenset[int] = _WEEKEND
    holidays: frozenset[date] = frozenset()

    def __contains__(self, day: date) -> bool:
        return day.weekday() not in self.weekend and day not in self.holidays

    def after(self, day: date, last: date) -> int:
        """How many lie after `day`, up to and including `last`; none where `last` comes first."""
        weeks, rest = divmod(max((last - day).days, 0), 7)
        ordinary = weeks * (7 - len(self.weekend)) + sum(
            (last - timedelta(days=number)).weekday() not in self.weekend for number in range(rest)
        )
        return ordinary - sum(day < off <= last and off.weekday() not in self.weekend for off in self.holidays)


@dataclass(frozen=True)
class Window:
    """One ledger window: [starts_at, ends_at) in UTC, and the number of business days up to and including its day.

    The number counts from the first window of its calendar: only differences mean anything.
    """

    day: date
    starts_at: datetime
    ends_at: datetime
    business_day_number: int


def window_start(day: date, timezone: str, cutoff: str) -> datetime:
    """The UTC instant at which window `day` begins; `cutoff` is HH:MM local time."""
    zone = ZoneInfo(timezone)
    local = datetime.combine(day, time.fromisoformat(cutoff), tzinfo=zone)
    return local.astimezone(UTC)


def review_cutoff(day: date, timezone: str, cutoff: str, grace_minutes: int) -> datetime:
    """The UTC instant up to which callbacks of window `day` are in time: so long after it ends."""
    return window_start(day + timedelta(days=1), timezone, cutoff) + timedelta(minutes=grace_minutes)


def window_of(instant: datetime, timezone: str, cutoff: str) -> date:
    """The day whose window holds an aware instant."""
    day = instant.astimezone(ZoneInfo(timezone)).date()
    if instant < window_start(day, timezone, cutoff):
        return day - timedelta(days=1)
    return day


def calendar(
    first: date, last: date, timezone: str, cutoff: str, business_days: BusinessDays | None = None
) -> Iterator[Window]:
    """Every window from `first` to `last` inclusive, numbered by the business days up to and including it."""
    counted = business_days or BusinessDays()
    day, number = first, 0
    starts_at = window_start(day, timezone, cutoff)
    while day <= last:
        following = day + timedelta(days=1)
        ends_at = window_start(following, timezone, cutoff)
        number += day in counted
        yield Window(day, starts_at, ends_at, number)
        day, starts_at = following, ends_at
