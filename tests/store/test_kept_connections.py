"""A server keeps its stores open: quicker, safe with threads and forks, and never into a file that was replaced."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import engine as stores
from zentra_pipeline.store import event_log
from zentra_pipeline.store.engine import control_store, kept_connections, operational_store, reading

pytestmark = [pytest.mark.on_postgresql, pytest.mark.usefixtures("stores_reopened")]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path: Path, database: str) -> Iterator[TenantPaths]:
    with kept_connections():
        yield TenantPaths(tmp_path / "acme")


def append(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        event_log.append(connection, {"id": f"event {number}", "type": "t"})


def count(engine: Engine) -> int:
    with reading(engine) as connection:
        return event_log.count(connection)


def test_a_kept_store_is_opened_once(paths: TenantPaths) -> None:
    store = operational_store(paths)
    assert operational_store(paths) is store
    opened = []
    event.listen(store, "connect", lambda *_: opened.append(1))
    for number in range(5):
        append(store, number)
        assert count(operational_store(paths)) == number + 1
    assert len(opened) <= 1


def test_a_control_store_is_kept_as_well(paths: TenantPaths) -> None:
    home = Home(paths.root / "home")
    assert control_store(home) is control_store(home)


@pytest.mark.usefixtures("sqlite")
def test_nothing_is_kept_outside(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path / "acme")
    with kept_connections():
        append(operational_store(paths), 1)
        assert open_files(paths)
    assert not open_files(paths)
    append(operational_store(paths), 2)
    assert not open_files(paths)


def open_files(paths: TenantPaths) -> list[Path]:
    targets = (entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return [target for target in targets if paths.root in target.parents]


def test_reading_leaves_a_connection_that_can_write(paths: TenantPaths) -> None:
    store = operational_store(paths)
    for number in range(6):
        with reading(store) as reader, pytest.raises(DBAPIError, match=r"read-?only"):
            reader.exec_driver_sql("DELETE FROM event_log")
        append(store, number)
    assert count(store) == 6


def test_threads_write_one_after_another_and_read_meanwhile(paths: TenantPaths) -> None:
    def work(number: int) -> int:
        append(operational_store(paths), number)
        return count(operational_store(paths))

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(work, range(100)))
    assert count(operational_store(paths)) == 100
    assert max(seen) == 100


@pytest.mark.usefixtures("sqlite")
def test_a_store_that_was_restored_from_a_backup_is_the_one_that_is_used(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path / "acme")
    append(operational_store(paths), 1)
    backup = paths.operational_store.read_bytes()
    with kept_connections():
        store = operational_store(paths)
        append(store, 2)
        for file in paths.root.glob("ops.db*"):
            file.unlink()
        paths.operational_store.write_bytes(backup)
        append(store, 3)
        assert count(store) == count(operational_store(paths)) == 2
    assert count(operational_store(paths)) == 2


@pytest.mark.usefixtures("sqlite")
def test_a_deleted_store_is_created_again(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path / "acme")
    with kept_connections():
        append(operational_store(paths), 1)
        for file in paths.root.glob("ops.db*"):
            file.unlink()
        assert count(operational_store(paths)) == 0


@pytest.mark.usefixtures("sqlite")
def test_no_more_than_a_bounded_number_of_stores_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_MOST_KEPT", 2)
    tenants = [TenantPaths(tmp_path / f"tenant{number}") for number in range(4)]
    with kept_connections():
        for number, paths in enumerate(tenants):
            append(operational_store(paths), number)
        assert [bool(open_files(paths)) for paths in tenants] == [False, False, True, True]
        assert [count(operational_store(paths)) for paths in tenants] == [1] * 4


def test_a_forked_process_uses_connections_of_its_own(tmp_path: Path, database: str) -> None:
    program = (
        "import os, sys; from pathlib import Path; from zentra_pipeline.settings import TenantPaths\n"
        "from zentra_pipeline.store import event_log\n"
        "from zentra_pipeline.store.engine import kept_connections, operational_store\n"
        "with kept_connections():\n"
        "    store = operational_store(TenantPaths(Path(sys.argv[1])))\n"
        "    def append(name):\n"
        "        with store.begin() as connection: event_log.append(connection, {'id': name, 'type': 't'})\n"
        "    append('first')\n"
        "    child = os.fork()\n"
        "    for number in range(20): append(f'{child == 0} {number}')\n"
        "    if child == 0: os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    append('last')\n"
    )
    paths = TenantPaths(tmp_path / "acme")
    subprocess.run([sys.executable, "-c", program, str(paths.root)], check=True, cwd=ROOT, timeout=60)
    assert count(operational_store(paths)) == 42
    with operational_store(paths).begin() as connection:
        if database == "sqlite":
            assert connection.execute(sqlalchemy.text("PRAGMA integrity_check")).scalar() == "ok"
