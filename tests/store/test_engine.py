"""The stores open quickly, safely and with the schema that the code expects."""

import sqlite3
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
from sqlalchemy.exc import IntegrityError, OperationalError

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import control, migrations, models
from zentra_pipeline.store.engine import control_store, operational_store, reading

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> TenantPaths:
    return TenantPaths(tmp_path / "50% of a home" / "acme")


def test_migrations_make_exactly_the_tables_of_the_models(paths: TenantPaths) -> None:
    with operational_store(paths).begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, models.metadata) == []


def test_migrated_tables_keep_every_constraint_of_the_models(paths: TenantPaths) -> None:
    def constraints(engine: sqlalchemy.Engine) -> dict[str, object]:
        inspector = sqlalchemy.inspect(engine)
        return {
            table: (
                sorted((c["name"] or "", tuple(c["column_names"])) for c in inspector.get_unique_constraints(table)),
                inspector.get_pk_constraint(table)["constrained_columns"],
                [(k["constrained_columns"], k["referred_table"]) for k in inspector.get_foreign_keys(table)],
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            )
            for table in models.metadata.tables
        }

    declared = sqlalchemy.create_engine("sqlite://")
    models.metadata.create_all(declared)
    assert constraints(operational_store(paths)) == constraints(declared)


def test_newest_revision_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.NEWEST_REVISION]


def test_control_store_has_its_tables(tmp_path: Path) -> None:
    engine = control_store(Home(tmp_path / "home"))
    assert set(sqlalchemy.inspect(engine).get_table_names()) == set(control.metadata.tables)


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


def test_settings_are_durable_and_referential(paths: TenantPaths) -> None:
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


def test_processes_that_come_first_at_once_all_find_the_store(tmp_path: Path) -> None:
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


def test_threads_that_come_first_at_once_all_find_the_store(tmp_path: Path) -> None:
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
    assert sqlite3.connect(paths.operational_store).execute("SELECT * FROM sqlite_master").fetchall() == []
    with reading(operational_store(paths)) as connection:
        assert (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == migrations.NEWEST_REVISION
        )


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(paths: TenantPaths) -> None:
    with operational_store(paths).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ZentraError, match=r"ops\.db: its schema .*9999.* use the version that wrote it"):
        operational_store(paths)


def test_reading_waits_for_no_writer_and_cannot_write(paths: TenantPaths) -> None:
    engine = operational_store(paths)
    with engine.begin() as writer:
        writer.exec_driver_sql("DELETE FROM runs")
        with reading(engine) as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0
            with pytest.raises(OperationalError, match="readonly"):
                reader.exec_driver_sql("DELETE FROM runs")
