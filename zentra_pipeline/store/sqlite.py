"""Engines on SQLite files: settings, transactions, pooling; which file and which tables does not belong here."""

import os
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote

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
    """What distinguishes a file from another one that took its place; null where there is none."""
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


def read_only_uri(database: Path) -> str | None:
    """The URI under which a database is read whose folder cannot be written, as an auditor's copy; null for any other.

    A reader of a write-ahead log keeps a file beside it. Where it cannot, and nobody else has one there, no process has
    the database open, and it is read as a file that does not change (https://www.sqlite.org/uri.html, `immutable`).
    """
    if not database.is_file() or os.access(database.parent, os.W_OK):
        return None
    beside = [database.with_name(f"{database.name}-{end}") for end in ("wal", "shm")]
    is_at_rest = not any(path.is_file() and path.stat().st_size for path in beside)
    return f"file:{quote(str(database))}?mode=ro{'&immutable=1' if is_at_rest else ''}"


def _url(database: Path) -> URL:
    uri = read_only_uri(database)
    if uri is None:
        return URL.create("sqlite", database=str(database))
    path, _, parameters = uri.partition("?")
    return URL.create("sqlite", database=path, query={**dict(parse_qsl(parameters)), "uri": "true"})


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
    file = _file_of(context.engine)
    if code & _PRIMARY_CODE == sqlite3.SQLITE_FULL:
        return UnavailableError(f"{file}: the disk is full: {NOTHING_KEPT}")
    if code & _PRIMARY_CODE in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        cannot = "written" if code & _PRIMARY_CODE == sqlite3.SQLITE_READONLY else "opened"
        return RefusedError(f"{file} cannot be {cannot}: copy the home to a folder that you may write to")
    if code & _PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        waited = _BUSY_TIMEOUT_MS // 1_000
        return UnavailableError(f"{file}: another process has been writing for more than {waited} s: try again later")
    if code & _PRIMARY_CODE == sqlite3.SQLITE_IOERR:
        return UnavailableError(f"{file}: the disk does not answer as it should ({cause}): check it, then try again")
    return None


def _file_of(engine: Engine | None) -> str:
    if engine is None or engine.url.database is None:
        return "the store"
    name = engine.url.database
    return unquote(name.removeprefix("file:")) if name.startswith("file:") else name


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
