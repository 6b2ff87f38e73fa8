"""Where ledger windows begin and end, across cut-offs and clock changes, and which business day they are."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from zentra_pipeline.config.business_days import parse_business_days
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ledger_windows import BusinessDays, calendar, window_of, window_start


def test_window_in_utc_is_the_calendar_day() -> None:
    assert window_start(date(2026, 4, 26), "UTC", "00:00") == datetime(2026, 4, 26, tzinfo=UTC)
    assert window_of(datetime(2026, 4, 26, 23, 59, 59, tzinfo=UTC), "UTC", "00:00") == date(2026, 4, 26)


def test_window_is_named_for_the_local_day_on_which_it_begins() -> None:
    # 17:00 in New York is 21:00 UTC in summer; the evening before belongs to the window of the day before.
    assert window_start(date(2026, 7, 1), "America/New_York", "17:00") == datetime(2026, 7, 1, 21, tzinfo=UTC)
    assert window_of(datetime(2026, 7, 1, 20, 59, tzinfo=UTC), "America/New_York", "17:00") == date(2026, 6, 30)
    assert window_of(datetime(2026, 7, 1, 21, 0, tzinfo=UTC), "America/New_York", "17:00") == date(2026, 7, 1)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_window_over_a_clock_change_is_an_hour_shorter_or_longer(day: date, hours: int) -> None:
    (window,) = calendar(day, day, "Europe/Berlin", "00:00")
    assert window.ends_at - window.starts_at == timedelta(hours=hours)


def test_windows_follow_one_another_without_gap_or_overlap() -> None:
    windows = list(calendar(date(2026, 1, 1), date(2026, 12, 31), "Europe/Berlin", "02:30"))
    assert all(before.ends_at == after.starts_at for before, after in pairwise(windows))


def _age(item: date, run: date, business_days: BusinessDays | None = None) -> int:
    numbers = {window.day: window.business_day_number for window in calendar(item, run, "UTC", "00:00", business_days)}
    return numbers[run] - numbers[item]


def test_age_counts_business_days_after_the_items_own_window_up_to_the_runs() -> None:
    wednesday, friday, monday = date(2026, 4, 22), date(2026, 4, 24), date(2026, 4, 27)
    assert [_age(wednesday, wednesday), _age(wednesday, friday), _age(wednesday, monday)] == [0, 2, 3]
    assert _age(friday, date(2026, 4, 26)) == 0


def test_holidays_and_other_weekends_do_not_age_an_item() -> None:
    days = parse_business_days({"weekend": ["friday", "saturday"], "holidays": ["2026-04-27"]}, "calendar.yml")
    assert _age(date(2026, 4, 23), date(2026, 4, 28), days) == 2


@pytest.mark.parametrize("content", [{"weekend": ["caturday"]}, {"holidays": ["2026-02-30"]}, {"hollidays": []}])
def test_calendar_that_says_nothing_sensible_is_refused_by_name(content: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"calendar\.yml"):
        parse_business_days(content, "calendar.yml")
