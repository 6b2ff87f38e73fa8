"""The same rows give the same published bytes, whatever the threads of a run and the order and files of arrival."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.dataset import AS_OF, SETTLEMENT_FILE, WINDOW, Dataset, generate
from tests.scenarios.world import World
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_execute

pytestmark = pytest.mark.ci

# DuckDB gives work to a second thread from 122,880 rows on, in its own tables and in a Parquet file; the ledger has
# twice as many entries as there are movements. Forced, it parts its own tables every 2,048 rows: fewer movements then
# show an order that nobody stated more often than many do unforced.
MOVEMENTS = 130_000
MOVEMENTS_FORCED = 12_000
THREADS = (1, 2, 4)

Arrange = Callable[[list[bytes]], list[list[bytes]]]


def as_sent(rows: list[bytes]) -> list[list[bytes]]:
    return [rows]


def backwards(rows: list[bytes]) -> list[list[bytes]]:
    return [rows[::-1]]


def shuffled_in_parts(rows: list[bytes]) -> list[list[bytes]]:
    mixed = sorted(rows, key=lambda row: hashlib.sha256(row).digest())
    return [mixed[part::3] for part in range(3)]


ARRIVALS: tuple[Arrange, ...] = (as_sent, backwards, shuffled_in_parts)


def arrived(folder: Path, data: Dataset, arrange: Arrange, first: str) -> World:
    """A home in which the data's rows arrived as arranged, the kind `first` before the others."""
    world = World(folder)
    for kind in sorted(data.kinds, key=lambda kind: (kind != first, kind)):
        lines = data.kinds[kind].read_bytes().splitlines(keepends=True)
        header, rows = (b"", lines) if kind == "callbacks" else (lines[0], lines[1:])
        parts = arrange(rows)
        if kind == "settlement":  # one file, or a part would restate the one before
            parts = [[row for part in parts for row in part]]
        for number, part in enumerate(parts):
            file_id = SETTLEMENT_FILE if kind == "settlement" else f"{kind}_{number}"
            world.ingest_bytes(kind, file_id, header + b"".join(part))
    return world


class Forced:
    """A run's connection whose cursors part every table among the threads, however few rows it has."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        cursor.execute("pragma verify_parallelism")
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def digests(world: World, threads: int, monkeypatch: pytest.MonkeyPatch, *, force: bool) -> dict[str, str]:
    """SHA-256 of every file the run publishes with so many threads, and of its inputs."""
    connect, build, publish = duckdb.connect, dbt_execute.build, lake_files.publish

    def with_threads(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        options["config"] = {**(options.get("config") or {}), "threads": threads}
        return connect(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setenv("ZENTRA_THREADS", str(threads))
        patched.setattr(duckdb, "connect", with_threads)
        if force:
            patched.setattr(dbt_execute, "build", lambda database, *rest: build(Forced(database), *rest))  # type: ignore[arg-type]
            patched.setattr(
                lake_files, "publish", lambda database, *rest, **options: publish(Forced(database), *rest, **options)
            )
        world.reconcile(WINDOW, AS_OF.replace("Z", "+00:00"), SETTLEMENT_FILE)
    revision = world.revision(WINDOW, SETTLEMENT_FILE)
    for table in revision.tables.values():
        content = (world.paths.root / table["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == table["sha256"]
    published = {name: table["sha256"] for name, table in revision.tables.items()}
    return {**published, "inputs": revision.inputs_digest}


def check(
    folders: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    movements: int,
    runs: list[tuple[int, Arrange]],
    *,
    force: bool = False,
) -> None:
    data = generate(folders.mktemp("data"), movements)
    found = {}
    for number, (threads, arrange) in enumerate(runs):
        first = tuple(data.kinds)[number % 3]
        world = arrived(folders.mktemp(f"run_{number}"), data, arrange, first)
        found[threads, arrange.__name__, first] = digests(world, threads, monkeypatch, force=force)
    expected = next(iter(found.values()))
    assert len(expected) > 8
    assert {run: digest for run, digest in found.items() if digest != expected} == {}


def test_threads_and_arrival_change_no_byte(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread with the rows as sent, two with them backwards, four with them shuffled in parts."""
    runs = list(zip(THREADS, ARRIVALS, strict=True))
    check(tmp_path_factory, monkeypatch, MOVEMENTS_FORCED, runs, force=True)


@pytest.mark.slow
def test_every_number_of_threads_with_every_arrival_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many rows as DuckDB shares among threads by itself."""
    runs = [(threads, arrange) for arrange in ARRIVALS for threads in THREADS]
    check(tmp_path_factory, monkeypatch, MOVEMENTS, runs)
