"""How old an exception is and how far past its due date, at an instant that the caller names; no clock is read here.

Days are the business days of the tenant's calendar, in the time zone of the provider's windows. What follows from being
overdue does not belong here (escalation).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from zentra_pipeline.config.business_days import load_business_days
from zentra_pipeline.config.profile import Profile, load_profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.ledger_windows import window_of
from zentra_pipeline.settings import TenantPaths

# What to select exceptions from with what their clock needs; `seen` takes the two columns off again.
TIMED: Final = (
    "(SELECT exceptions.*, runs.provider AS run_provider, runs.ledger_window AS run_window "
    "FROM exceptions JOIN runs USING (run_id)) AS exceptions"
)
IS_ABOUT: Final = "? IN (provider_reference, subject_id)"
IS_OVERDUE: Final = "status <> 'resolved' AND due_at <= CAST(? AS TIMESTAMP)"

_YEARS: Final = range(1900, 9000)


@dataclass(frozen=True)
class Clock:
    """Business days since the exception's window, and whole ones since it was due; a resolved one's clock is stopped.

    An exception is overdue from `due_at` on, and the first business day after that is over a day later.
    """

    age_business_days: int | None
    is_overdue: bool
    overdue_business_days: int


class Clocks:
    """The clocks of a tenant's exceptions at one instant; errors as load_profile's and load_business_days'."""

    def __init__(self, paths: TenantPaths, as_of: datetime) -> None:
        if as_of.year not in _YEARS:
            raise UsageError(f"as_of {instant_text(as_of)} is out of range: use a year from 1900 to 8999")
        self.as_of = as_of
        days = load_business_days(paths)

        @cache
        def profile(provider: str) -> Profile:
            return load_profile(paths, provider)

        self._profile = profile
        self._days_after = cache(days.after)

    @property
    def instant(self) -> datetime:
        """The instant as published tables have it: UTC without a zone; for IS_OVERDUE."""
        return self.as_of.astimezone(UTC).replace(tzinfo=None)

    def of(self, provider: str, opened_window: date, due_at: datetime | None, *, is_resolved: bool) -> Clock:
        """The clock of one exception; `due_at` is UTC without a zone, as published."""
        if is_resolved:
            return Clock(None, False, 0)
        profile = self._profile(provider)
        today = window_of(self.as_of, profile.timezone, profile.window_cutoff)
        age = self._days_after(opened_window, today)
        if due_at is None or due_at > self.instant:
            return Clock(age, False, 0)
        return Clock(age, True, self._days_after(self.due_day(provider, due_at), today - timedelta(days=1)))

    def due_day(self, provider: str, due_at: datetime) -> date:
        """The last day on which an exception is not overdue; `due_at` is UTC without a zone, as published."""
        # It is due at the end of a window: that window's day is the one that holds the moment before.
        profile = self._profile(provider)
        last_moment = due_at.replace(tzinfo=UTC) - timedelta(microseconds=1)
        return window_of(last_moment, profile.timezone, profile.window_cutoff)

    def seen(self, row: dict[str, Any]) -> Clock:
        """The clock of a row of TIMED, which loses the columns that only the clock needs."""
        provider, window = row.pop("run_provider"), row.pop("run_window")
        return self.of(provider, window, row["due_at"], is_resolved=row["status"] == "resolved")
