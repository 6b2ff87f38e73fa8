"""Which windows have a partition."""

from datetime import UTC, date, datetime, timedelta

from zentra_pipeline.defs.partitions import reaching, windows

ledger_windows = windows.get_partitions_def_for_dimension("ledger_window")


def test_a_window_ahead_of_the_clock_has_a_partition_when_it_is_asked_for() -> None:
    """A run of such a window once ended as a fault of the program: Dagster knew no partition of that day."""
    ahead = (datetime.now(UTC) + timedelta(days=400)).date()
    assert not ledger_windows.has_partition_key(ahead.isoformat())
    with reaching(ahead):
        assert ledger_windows.has_partition_key(ahead.isoformat())


def test_reaching_an_earlier_window_keeps_those_up_to_today() -> None:
    today = datetime.now(UTC).date().isoformat()
    with reaching(date(2000, 1, 1)):
        assert ledger_windows.has_partition_key("2000-01-01")
        assert ledger_windows.has_partition_key(today)
