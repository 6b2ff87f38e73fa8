"""Which ledger windows a registered file speaks of, and which window of a home is the first. No Dagster here."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import duckdb
import polars as pl

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.config.profile import Profile, load_profile
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.instants import instant_of
from zentra_pipeline.ledger_windows import calendar, window_of
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

# The instant that places a row in a window.
_PLACED_BY: Final = {
    "settlement": "settled_at",
    "ledger": "posted_at",
    "callbacks": "received_at",
    "internal_events": "occurred_at",
}


@dataclass(frozen=True)
class WindowRows:
    """How many rows of a file, all of one provider, lie in one window."""

    provider: str
    window: date
    rows: int


def named_window(profile: Profile, file_id: str) -> date | None:
    """The window that a settlement file's id names by the profile's `settlement_file_name`, where it names one."""
    with suppress(ValueError):
        day = datetime.strptime(file_id, profile.settlement_file_name).date()
        if profile.settlement_file(day) == file_id:
            return day
    return None


def rows_by_window(paths: TenantPaths, file: StagedFile) -> list[WindowRows]:
    """The staged rows of a file by the provider and window they belong to, in that order.

    A settlement file that its name assigns to a window belongs there whole, also when it is empty.
    """
    named = _named(paths, file)
    if named is not None:
        return [WindowRows(file.provider, named, file.rows_staged)]
    if file.staged_path is None:
        return []
    instant = _PLACED_BY[file.kind]
    source = sql_text.parquet_scan([paths.root / file.staged_path], f"provider varchar, {instant} timestamp")
    with private_database.opened() as connection:
        ranges = connection.execute(
            f"select provider, min({instant}), max({instant}) from {source} group by provider order by provider"
        ).fetchall()
        found = []
        for provider, first, last in ranges:
            _name_windows(connection, _profile(paths, provider), first, last)
            placed = f"select {instant} as at from {source} where provider = $provider"
            days = connection.execute(
                f"""select named_windows.day, count(*) from ({placed}) as placed
                    asof join named_windows on placed.at >= named_windows.starts_at
                    group by named_windows.day order by named_windows.day""",
                {"provider": provider},
            ).fetchall()
            found += [WindowRows(provider, day, int(rows)) for day, rows in days]
    return found


def quarantined_windows(paths: TenantPaths, file: StagedFile) -> set[tuple[str, date | None]]:
    """Whose the quarantined rows of a file are and in which windows, as they say themselves; null where one does not.

    A settlement file that its name assigns to a window belongs there whole. A row that names no provider is the file's.
    """
    named = _named(paths, file)
    if file.quarantine_path is None or named is not None:
        return set() if named is None else {(file.provider, named)}
    rows = pl.read_parquet(paths.root / file.quarantine_path, columns=["raw"])
    said = {_said(file, raw) for raw in rows["raw"]}
    profiles = {provider: _profile(paths, provider) for provider, _ in said}
    return {(provider, _window_or_none(profiles[provider], instant)) for provider, instant in said}


def _said(file: StagedFile, raw: str | None) -> tuple[str, str]:
    """The provider and instant that a row as received states."""
    try:
        content = json.loads(raw or "")
    except (ValueError, RecursionError):  # a line of text of another format
        content = None
    row = content if isinstance(content, dict) else {}
    provider = row.get("provider")
    return provider if isinstance(provider, str) and provider else file.provider, str(row.get(_PLACED_BY[file.kind]))


def _window_or_none(profile: Profile, instant: str) -> date | None:
    try:
        return _window(profile, instant)
    except (ValueError, OverflowError):
        return None


def home_window(paths: TenantPaths, file: StagedFile) -> date:
    """The one window under which a file's quarantined rows are looked for: they may have no instant of their own.

    The window its name says, else that of its last accepted row, else that of its receipt.
    """
    return _named(paths, file) or window_at(paths, file.provider, file.last_at or file.received_at)


def window_at(paths: TenantPaths, provider: str, instant: str) -> date:
    """The window of a provider in which an instant of the store's form lies."""
    return _window(_profile(paths, provider), instant)


def _window(profile: Profile, instant: str) -> date:
    return window_of(instant_of(instant), profile.timezone, profile.window_cutoff)


def quarantined_rows(tenant: Tenant, provider: str, window: date) -> int:
    """How many rows of the provider's files of a window are in quarantine."""
    with tenant.reading() as connection:
        files = [file for kind in _PLACED_BY for file in file_store.staged_files(connection, kind)]
    suspects = [file for file in files if file.rows_quarantined and file.provider == provider]
    return sum(file.rows_quarantined for file in suspects if home_window(tenant.paths, file) == window)


def first_window(home: Home) -> date | None:
    """The earliest window of a home: of its runs, its ledger entries and the names of its settlement files."""
    if not tenancy.is_initialised(home):
        return None
    days = [day for tenant in tenancy.tenants(home) for day in _first_days(tenant)]
    return min(days, default=None)


def _first_days(tenant: Tenant) -> Iterator[date]:
    with tenant.reading() as connection:
        runs = run_store.list_runs(connection)
        files = [file for kind in ("settlement", "ledger") for file in file_store.staged_files(connection, kind)]
    yield from (date.fromisoformat(run.ledger_window) for run in runs)
    for file in files:
        if file.kind == "settlement":
            named = _named(tenant.paths, file)
            if named is not None:
                yield named
        elif file.first_at is not None:
            profile = _profile(tenant.paths, file.provider)
            yield window_of(instant_of(file.first_at), profile.timezone, profile.window_cutoff)


def _named(paths: TenantPaths, file: StagedFile) -> date | None:
    return named_window(_profile(paths, file.provider), file.file_id) if file.kind == "settlement" else None


def _profile(paths: TenantPaths, provider: str) -> Profile:
    """The provider's profile; the defaults where it is broken, for that is refused where it decides a result."""
    try:
        return load_profile(paths, provider)
    except ZentraError:
        return Profile()


def _name_windows(connection: duckdb.DuckDBPyConnection, profile: Profile, first: datetime, last: datetime) -> None:
    """Give `connection` the windows between two instants (UTC, naive) as table `named_windows` (day, starts_at)."""
    days = [window_of(at.replace(tzinfo=UTC), profile.timezone, profile.window_cutoff) for at in (first, last)]
    windows = list(calendar(days[0], days[1], profile.timezone, profile.window_cutoff))
    connection.execute(
        "create or replace temp table named_windows as select unnest($days) as day, unnest($starts) as starts_at",
        {
            "days": [window.day for window in windows],
            "starts": [window.starts_at.replace(tzinfo=None) for window in windows],
        },
    )
