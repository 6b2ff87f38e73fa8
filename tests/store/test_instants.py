"""Instants have one text form in the stores, and it sorts as they do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline.instants import instant_of, instant_text

pytestmark = pytest.mark.on_postgresql

INSTANTS = st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))


@given(INSTANTS, INSTANTS)
def test_texts_read_back_and_sort_as_instants(one: datetime, other: datetime) -> None:
    assert instant_of(instant_text(one)) == one
    assert (instant_text(one) < instant_text(other)) == (one < other)


def test_offsets_become_utc() -> None:
    local = datetime(2026, 4, 26, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert instant_text(local) == "2026-04-25T23:00:00.000000Z"


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        instant_text(datetime(2026, 4, 26))
    with pytest.raises(ValueError, match="does not end in Z"):
        instant_of("2026-04-26T00:00:00")
