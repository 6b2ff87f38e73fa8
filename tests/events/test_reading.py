"""The log has one order, the order of commits, and a cursor neither repeats nor skips an event."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import log_reading, types
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.engine import reading as snapshot
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.on_postgresql

NOW = datetime(2026, 4, 27, 6, tzinfo=UTC)


def single(name: str, event_type: str = types.RUN_CREATED) -> dict[str, Any]:
    data = {"owner": "o'Brien", "note": 'é "x"'}
    return cloud_event(
        event_type, tenant="acme", fact=[name], subject=name, run_id="run_1", actor="ada", at=NOW, data=data
    )


def append(tenant: Tenant, name: str, event_type: str = types.RUN_CREATED) -> bool:
    with tenant.writing() as connection:
        return event_log.append(connection, single(name, event_type))


def append_segment(tenant: Tenant, name: str, subjects: Sequence[str]) -> None:
    relative = f"lake/events/provider=p/ledger_window=2026-04-26/{name}.parquet"
    path = tenant.paths.root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ", ".join(
        f"({offset}, 'evt_{subject}', '{types.MATCH_CREATED}', '{subject}', timestamp '2026-04-27 06:00:00.000001', "
        f"'system', 'run_1', '{{\"n\":{offset}}}')"
        for offset, subject in enumerate(subjects)
    )
    columns = '"offset", event_id, event_type, subject, event_time, actor, run_id, data'
    with duckdb.connect() as connection:
        connection.execute(f"copy (from (values {rows}) as events ({columns})) to '{path}' (format parquet)")
    with tenant.writing() as connection:
        event_log.append_file(connection, run_id="run_1", events=len(subjects), path=relative, sha256="0" * 64)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> TenantPaths:
    """Two single events, five in a file, one single, three in a file: eleven places."""
    tenant = Tenant.of(Home(tmp_path_factory.mktemp("log")), "acme")
    append(tenant, "a")
    append(tenant, "b", types.RUN_FAILED)
    append_segment(tenant, "one[1]*", [f"m{number}" for number in range(5)])
    append(tenant, "c")
    append_segment(tenant, "two", ["n0", "n1", "n2"])
    return tenant.paths


ORDER = ["a", "b", "m0", "m1", "m2", "m3", "m4", "c", "n0", "n1", "n2"]


def test_position_order_is_the_order_of_commits(log: TenantPaths) -> None:
    page = log_reading.read(log)
    assert [(position, event["subject"]) for position, event in page.events] == list(enumerate(ORDER, start=1))
    assert page.last == len(ORDER)


@pytest.mark.parametrize("after", [0, 2, 4, 8, 11, 12])
@pytest.mark.parametrize("limit", [1, 2, 5, 11, 12])
def test_pages_of_any_size_from_any_cursor_neither_repeat_nor_skip(log: TenantPaths, limit: int, after: int) -> None:
    subjects: list[str] = []
    cursor = after
    while (page := log_reading.read(log, cursor, limit)).events:
        assert len(page.events) <= limit
        subjects += [event["subject"] for _, event in page.events]
        cursor = page.last
    assert subjects == ORDER[after:]
    assert cursor == max(after, len(ORDER))


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_of_a_file_join_up(log: TenantPaths, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "_BATCH", batch)
    assert [event["subject"] for _, event in log_reading.read(log).events] == ORDER


def test_a_filtered_page_goes_on_behind_what_it_left_out(log: TenantPaths) -> None:
    page = log_reading.read(log, 0, None, types.RUN_CREATED)
    assert [event["subject"] for _, event in page.events] == ["a", "c"]
    assert page.last == len(ORDER)
    first = log_reading.read(log, 0, 2, types.MATCH_CREATED)
    rest = log_reading.read(log, first.last, 100, types.MATCH_CREATED)
    assert [event["subject"] for _, event in [*first.events, *rest.events]] == [s for s in ORDER if s[0] in "mn"]


def test_published_rows_are_the_events_as_read(log: TenantPaths) -> None:
    with snapshot(operational_store(log)) as connection:
        entries = event_log.entries(connection)
    segments = log_reading.segments_sql(log, entries)
    assert segments is not None
    rows = [*log_reading.single_rows(entries), *duckdb.connect().execute(segments).fetchall()]
    names = [definition.split()[0] for definition in log_reading.EVENT_COLUMNS.split(", ")]
    reported = {
        position: (
            event["id"],
            event["type"],
            event["subject"],
            datetime.fromisoformat(event["time"]).replace(tzinfo=None),
            event["tenant"],
            event["actor"],
            event["runid"],
            event["data"],
        )
        for position, event in log_reading.read(log).events
    }
    assert names[0] == "position"
    assert {row[0]: (*row[1:-1], json.loads(row[-1])) for row in rows} == reported


def test_a_log_without_files_has_no_select_of_them(tmp_path: Path) -> None:
    assert log_reading.segments_sql(TenantPaths(tmp_path), []) is None


def test_the_same_fact_is_emitted_once(tmp_path: Path) -> None:
    tenant = Tenant.of(Home(tmp_path), "acme")
    assert [append(tenant, "a"), append(tenant, "b"), append(tenant, "a")] == [
        True,
        True,
        False,
    ]
    assert [event["subject"] for _, event in log_reading.read(tenant.paths).events] == ["a", "b"]


def test_eight_concurrent_appenders_leave_no_gap_and_no_repeat(tmp_path: Path) -> None:
    tenant = Tenant.of(Home(tmp_path), "acme")
    assert tenant.store

    def work(writer: int) -> None:
        for number in range(6):
            if number % 3 == 2:
                append_segment(tenant, f"w{writer}_{number}", [f"s{writer}_{number}_{part}" for part in range(4)])
            else:
                append(tenant, f"s{writer}_{number}")
            append(tenant, "shared")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    events = log_reading.read(tenant.paths).events
    assert [position for position, _ in events] == list(range(1, 8 * (4 + 2 * 4) + 1 + 1))
    assert len({event["id"] for _, event in events}) == len(events)
    for writer in range(8):
        own = [event["subject"] for _, event in events if event["subject"].startswith(f"s{writer}_")]
        assert own == sorted(own)


def test_a_cursor_sorts_as_text_and_reads_back() -> None:
    places = [0, 1, 9, 10, 99, 10**18]
    assert [log_reading.position_of(log_reading.cursor_text(place)) for place in places] == places
    assert sorted(map(log_reading.cursor_text, places)) == list(map(log_reading.cursor_text, places))
    assert log_reading.position_of("7") == 7


@pytest.mark.parametrize("cursor", ["", "-1", "1.0", "x", "9" * 20, "1" * 21, "٣", " 1", "+1"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        log_reading.position_of(cursor)
