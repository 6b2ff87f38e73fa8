"""Ledger windows: where a window begins and ends, and which business day it is. Pure; no clock, no store.

A window is named for the local day on which it begins: window D runs from D at the cut-off, local time, to D + 1 at the
cut-off. Where a clock change skips that local time, the window begins at the first instant after the gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Window:
    """One ledger window: [starts_at, ends_at) in UTC, and the number of business days up to and including its day."""

    day: date
    starts_at: datetime
    ends_at: datetime
    business_day_number: int


def window_start(day: date, timezone: str, cutoff: str) -> datetime:
    """The UTC instant at which window `day` begins; `cutoff` is HH:MM local time."""
    zone = ZoneInfo(timezone)
    local = datetime.combine(day, time.fromisoformat(cutoff), tzinfo=zone)
    return local.astimezone(UTC)


def window_of(instant: datetime, timezone: str, cutoff: str) -> date:
    """The day whose window holds an aware instant."""
    day = instant.astimezone(ZoneInfo(timezone)).date()
    if instant < window_start(day, timezone, cutoff):
        return day - timedelta(days=1)
    return day


def calendar(first: date, last: date, timezone: str, cutoff: str) -> Iterator[Window]:
    """Every window from `first` to `last` inclusive; business days are Monday to Friday, counted from a fixed origin."""
    day = first
    starts_at = window_start(day, timezone, cutoff)
    while day <= last:
        following = day + timedelta(days=1)
        ends_at = window_start(following, timezone, cutoff)
        yield Window(day, starts_at, ends_at, business_day_number(day))
        day, starts_at = following, ends_at


def business_day_number(day: date) -> int:
    """Business days (Monday to Friday) from 0001-01-01, a Monday, up to and including `day`."""
    weeks, weekday = divmod(day.toordinal() - 1, 7)
    return weeks * 5 + min(weekday + 1, 5)
