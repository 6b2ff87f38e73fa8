"""Engines on SQLite files: settings, transactions, pooling; which file and which tables does not belong here."""

import os
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

from zentra_pipeline.errors import RefusedError, UnavailableError, ZentraError
from zentra_pipeline.machine_errors import NOTHING_KEPT

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

READING: Final = "zentra_reading"  # execution option of connections that only query
_BUSY_TIMEOUT_MS: Final = 30_000
_IDLE_CONNECTIONS: Final = 2
_PRIMARY_CODE: Final = 0xFF  # of an extended result code, https://www.sqlite.org/rescode.html


@lru_cache(maxsize=64)
def sqlite_engine(database: Path) -> Engine:
    """An engine without a pool: nothing outlives its transaction, so forks, threads and deleted homes are no matter.

    A process uses the same one again, for what SQLAlchemy has made of its queries.
    """
    return _with_settings(create_engine(_url(database), poolclass=NullPool, hide_parameters=True))


def pooled_engine(database: Path) -> Engine:
    """An engine that keeps connections between transactions, for a server; safe with threads and after a fork.

    A file that was replaced meanwhile, as by restoring a backup, is noticed before the next transaction.
    """
    engine = create_engine(
        _url(database),
        poolclass=QueuePool,
        pool_size=_IDLE_CONNECTIONS,
        max_overflow=-1,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )
    _with_settings(engine)

    def remember(_connection: Any, record: Any) -> None:
        record.info["opened"] = (os.getpid(), file_identity(database))

    def check(_connection: Any, record: Any, _proxy: object) -> None:
        if record.info["opened"] != (os.getpid(), file_identity(database)):
            if record.info["opened"][0] != os.getpid():
                record.dbapi_connection = None  # the parent's: closing it here would drop the parent's file locks
            raise DisconnectionError(f"{database}: opened by another process, or replaced since")

    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", check)
    event.listen(engine, "reset", _on_reset)
    return engine


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that took its place; null where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def use_write_ahead_log(engine: Engine) -> None:
    """Set the journal mode, which is kept in the file and cannot be set within a transaction."""
    connection = engine.raw_connection()
    try:
        (mode,) = connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()
    finally:
        connection.close()
    if mode != "wal":
        raise ZentraError(f"{engine.url.database}: no write-ahead log on this file system ({mode}); use a local disk")


def _url(database: Path) -> URL:
    return URL.create("sqlite", database=str(database))


def _with_settings(engine: Engine) -> Engine:
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _explained)
    return engine


def _explained(context: "ExceptionContext") -> ZentraError | None:
    """The error to raise instead of SQLite's, null to leave it: what happened, to which file, and what to do."""
    cause = context.original_exception
    code = getattr(cause, "sqlite_errorcode", None)
    is_forbidden = code == sqlite3.SQLITE_READONLY and _is_reading(context.connection)  # a fault of the program
    if not isinstance(cause, sqlite3.Error) or code is None or is_forbidden:
        return None
    file = context.engine.url.database if context.engine is not None else "the store"
    if code & _PRIMARY_CODE == sqlite3.SQLITE_FULL:
        return UnavailableError(f"{file}: the disk is full: {NOTHING_KEPT}")
    if code & _PRIMARY_CODE == sqlite3.SQLITE_READONLY:
        return RefusedError(f"{file} cannot be written: copy the home to a folder that you may write to")
    if code & _PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        waited = _BUSY_TIMEOUT_MS // 1_000
        return UnavailableError(f"{file}: another process has been writing for more than {waited} s: try again later")
    if code & _PRIMARY_CODE == sqlite3.SQLITE_IOERR:
        return UnavailableError(f"{file}: the disk does not answer as it should ({cause}): check it, then try again")
    return None


def _is_reading(connection: Connection | None) -> bool:
    return connection is not None and bool(connection.get_execution_options().get(READING, False))


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite would begin late and commit before DDL; `_on_begin` begins instead
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    if _is_reading(connection):
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN DEFERRED")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _on_reset(connection: Any, _record: object, _state: object) -> None:
    connection.execute("PRAGMA query_only = OFF")
