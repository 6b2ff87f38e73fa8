"""The stores open quickly, safely and with the schema that the code expects, the same on both databases."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.support import quick
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import control, event_log, migrations, models
from zentra_pipeline.store.engine import _engine, control_store, operational_store, reading
from zentra_pipeline.store.place import operational_place

pytestmark = [pytest.mark.on_postgresql, pytest.mark.usefixtures("stores_reopened")]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path: Path, database: str) -> TenantPaths:
    return TenantPaths(tmp_path / "50% of a home" / "acme")


def test_migrations_make_exactly_the_tables_of_the_models(paths: TenantPaths) -> None:
    with operational_store(paths).begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found = compare_metadata(context, models.metadata)
    # Comments are in the models alone.
    assert [change for change in found if change[0][0] != "modify_comment"] == []


def test_migrated_tables_keep_every_constraint_of_the_models(paths: TenantPaths) -> None:
    def constraints(connection: sqlalchemy.Connection) -> dict[str, object]:
        inspector = sqlalchemy.inspect(connection)
        return {
            table: (
                sorted((c["name"] or "", tuple(c["column_names"])) for c in inspector.get_unique_constraints(table)),
                inspector.get_pk_constraint(table)["constrained_columns"],
                [(k["constrained_columns"], k["referred_table"]) for k in inspector.get_foreign_keys(table)],
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            )
            for table in models.metadata.tables
        }

    engine = operational_store(paths)
    with engine.begin() as connection:
        migrated = constraints(connection)
        models.metadata.drop_all(connection)
        models.metadata.create_all(connection)
        assert migrated == constraints(connection)


def test_newest_revision_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.NEWEST_REVISION]


def test_control_store_has_its_tables(tmp_path: Path, database: str) -> None:
    with reading(control_store(Home(tmp_path / "home"))) as connection:
        assert set(sqlalchemy.inspect(connection).get_table_names()) == set(control.metadata.tables)


def test_a_control_store_of_an_older_version_gets_the_tables_that_came_since(tmp_path: Path, database: str) -> None:
    home = Home(tmp_path / "home")
    with control_store(home).begin() as connection:
        connection.execute(control.tenants.insert().values(tenant_id="acme", created_at="2026-01-01"))
        for table in (control.tokens, control.actors):
            table.drop(connection)
    with reading(control_store(home)) as connection:
        assert set(sqlalchemy.inspect(connection).get_table_names()) == set(control.metadata.tables)
        assert connection.execute(sqlalchemy.select(control.tenants.c.tenant_id)).scalars().all() == ["acme"]


def test_alembic_is_not_imported_for_a_store_that_is_up_to_date(paths: TenantPaths) -> None:
    operational_store(paths)
    program = (
        "import sys; from pathlib import Path; from zentra_pipeline.settings import TenantPaths;"
        "from zentra_pipeline.store.engine import operational_store;"
        "operational_store(TenantPaths(Path(sys.argv[1]))); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(paths.root)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.usefixtures("sqlite")
def test_settings_are_durable_and_referential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick.as_shipped(monkeypatch)
    paths = TenantPaths(tmp_path / "acme")
    with reading(operational_store(paths)) as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_foreign_keys_are_enforced(paths: TenantPaths) -> None:
    with pytest.raises(IntegrityError), operational_store(paths).begin() as connection:
        connection.execute(
            models.run_transitions.insert().values(run_id="run_none", status="created", actor="a", at="2026-01-01")
        )


@pytest.mark.ci
def test_processes_that_come_first_at_once_all_find_the_store(tmp_path: Path, database: str) -> None:
    program = (
        "import sys; from pathlib import Path; from zentra_pipeline.settings import Home, TenantPaths;"
        "from zentra_pipeline.store.engine import control_store, operational_store, reading;"
        "e = operational_store(TenantPaths(Path(sys.argv[1]) / 't')); control_store(Home(Path(sys.argv[1])))\n"
        "with e.begin() as c: print(c.exec_driver_sql('select count(*) from runs').scalar())"
    )

    def start(home: Path) -> "subprocess.Popen[str]":
        arguments = [sys.executable, "-c", program, str(home)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    started = [start(tmp_path / "home") for _ in range(6)]
    results = [(process.communicate(timeout=60), process.returncode) for process in started]
    assert results == [(("0\n", ""), 0)] * 6


def test_threads_that_come_first_at_once_all_find_the_store(tmp_path: Path, database: str) -> None:
    def count(number: int) -> int | None:
        with operational_store(TenantPaths(tmp_path / str(number // 8))).begin() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM files").scalar()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count, range(32))) == [0] * 32


def test_a_killed_migration_leaves_nothing_half_made(paths: TenantPaths) -> None:
    program = (
        "import os, sys; from pathlib import Path; from zentra_pipeline.settings import TenantPaths;"
        "from zentra_pipeline.store import engine; from alembic import command; upgrade = command.upgrade;"
        "command.upgrade = lambda *a: (upgrade(*a), os.kill(os.getpid(), 9));"
        "engine.operational_store(TenantPaths(Path(sys.argv[1])))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(paths.root)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert not operational_place(paths).witness.exists() or operational_place(paths).schema is None
    with reading(_engine(operational_place(paths))) as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
    with reading(operational_store(paths)) as connection:
        assert (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == migrations.NEWEST_REVISION
        )


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(paths: TenantPaths) -> None:
    with operational_store(paths).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        ZentraError, match=r"(ops\.db|schema zentra_\w+): its schema .*9999.* use the version that wrote"
    ):
        operational_store(paths)


def test_reading_waits_for_no_writer_and_cannot_write(paths: TenantPaths) -> None:
    engine = operational_store(paths)
    with engine.begin() as writer:
        writer.exec_driver_sql("DELETE FROM runs")
        with reading(engine) as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0
            with pytest.raises(DBAPIError, match=r"read-?only"):
                reader.exec_driver_sql("DELETE FROM runs")


def test_reading_shows_one_moment_whatever_is_committed_meanwhile(paths: TenantPaths) -> None:
    engine = operational_store(paths)
    with reading(engine) as reader:
        assert event_log.count(reader) == 0
        append(engine, 1)
        assert event_log.count(reader) == 0
    with reading(engine) as reader:
        assert event_log.count(reader) == 1


def test_what_a_writer_has_read_stays_so_until_it_has_written(paths: TenantPaths) -> None:
    engine = operational_store(paths)

    def take_a_place(number: int) -> None:
        with engine.begin() as connection:
            count = event_log.count(connection)
            event_log.append(connection, {"id": f"event {number} after {count}", "type": "t"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_a_place, range(40)))
    with reading(engine) as connection:
        reported = [str(entry.event_id).split(" after ")[1] for entry in event_log.entries(connection)]
    assert reported == [str(number) for number in range(40)]


def test_a_write_that_fails_leaves_nothing(paths: TenantPaths) -> None:
    engine = operational_store(paths)
    with pytest.raises(RuntimeError, match="on purpose"), engine.begin() as connection:
        event_log.append(connection, {"id": "e", "type": "t"})
        raise RuntimeError("on purpose")
    append(engine, 1)
    with reading(engine) as connection:
        assert [entry.event_id for entry in event_log.entries(connection)] == ["event 1"]


@pytest.mark.parametrize("text", ["é 漢字 🎉", "%s %% %(name)s :name \\ ' \"", "a" * 100_000])
def test_texts_come_back_as_they_were(paths: TenantPaths, text: str) -> None:
    engine = operational_store(paths)
    event = {"id": "e", "type": "t", "data": text}
    with engine.begin() as connection:
        event_log.append(connection, event)
    with reading(engine) as connection:
        (entry,) = event_log.entries(connection)
    assert json.loads(str(entry.content)) == event


def append(engine: sqlalchemy.Engine, number: int) -> None:
    with engine.begin() as connection:
        event_log.append(connection, {"id": f"event {number}", "type": "t"})
