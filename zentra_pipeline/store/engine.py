"""Opens the stores: SQLite settings, transactions and an up-to-date schema; queries and tables do not belong here."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import control
from zentra_pipeline.store.migrations import NEWEST_REVISION

_BUSY_TIMEOUT_MS = 30_000
_DEFERRED = "zentra_deferred"
_ALEMBIC = threading.Lock()  # Alembic keeps the running migration in module globals


def operational_store(paths: TenantPaths) -> Engine:
    """Engine of a tenant's `ops.db`, made and migrated when needed; safe when several processes come first at once.

    `engine.begin()` takes the write lock at once (BEGIN IMMEDIATE), so what it reads cannot change before it writes;
    use `reading(engine)` for queries that shall wait for nobody.
    """
    engine = _engine(paths.operational_store)
    if _stored_revision(engine, paths.operational_store) != NEWEST_REVISION:
        with _alone(paths.operational_store):
            _use_write_ahead_log(engine)
            with engine.begin() as connection:
                _migrate(connection, paths.operational_store)
    return engine


def control_store(home: Home) -> Engine:
    """Engine of the home's `control.db`, made when needed; its tables are only ever added to, never altered."""
    engine = _engine(home.control_store)
    if not _has_tables(engine, home.control_store, set(control.metadata.tables)):
        with _alone(home.control_store):
            _use_write_ahead_log(engine)
            with engine.begin() as connection:
                control.metadata.create_all(connection)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries: one consistent snapshot, no lock taken; a write through it fails."""
    with engine.connect().execution_options(**{_DEFERRED: True}) as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        yield connection


def _engine(database: Path) -> Engine:
    """An engine without a pool: nothing outlives its transaction, so forks, threads and deleted homes are no matter."""
    engine = create_engine(URL.create("sqlite", database=str(database)), poolclass=NullPool)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite would begin late and commit before DDL; `_on_begin` begins instead
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    deferred = connection.get_execution_options().get(_DEFERRED, False)
    connection.exec_driver_sql("BEGIN DEFERRED" if deferred else "BEGIN IMMEDIATE")


def _use_write_ahead_log(engine: Engine) -> None:
    """Set the journal mode, which is kept in the file and cannot be set within a transaction."""
    connection = engine.raw_connection()
    try:
        (mode,) = connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()
    finally:
        connection.close()
    if mode != "wal":
        raise ZentraError(f"{engine.url.database}: no write-ahead log on this file system ({mode}); use a local disk")


def _has_tables(engine: Engine, database: Path, names: set[str]) -> bool:
    if not database.exists():
        return False
    with reading(engine) as connection:
        return names <= set(engine.dialect.get_table_names(connection))


def _stored_revision(engine: Engine, database: Path) -> str | None:
    """The schema revision a store is at, null before the first migration."""
    if not _has_tables(engine, database, {"alembic_version"}):
        return None
    with reading(engine) as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(connection: Connection, database: Path) -> None:
    """Bring the schema up to date within the caller's transaction: all of it or none of it."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    from zentra_pipeline.store import migrations

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    try:
        with _ALEMBIC:
            command.upgrade(config, "head")
    except CommandError as cause:
        raise ZentraError(
            f"{database}: its schema is not one this version of Zentra knows ({cause}); "
            "use the version that wrote it, or a newer one"
        ) from cause


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold a lock file beside a store while it is set up; the system releases it if the process dies."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
