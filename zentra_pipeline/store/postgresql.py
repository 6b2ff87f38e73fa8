"""Engines on PostgreSQL: one pool a process, a schema a store, the same transactions as on SQLite, errors that help.

What a connection shall be is said at each transaction's start and holds for it alone, so that a pooler between (such as
PgBouncer in transaction mode) changes nothing. Does not belong here: which schema is whose, which tables it has.
"""

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DisconnectionError

from zentra_pipeline.errors import UnavailableError, UsageError, ZentraError
from zentra_pipeline.settings import DATABASE_VARIABLE, database_url
from zentra_pipeline.store.sqlite import READING

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

_SCHEMA: Final = "zentra_schema"
_LOCK_TIMEOUT: Final = "30s"  # as long as SQLite waits
# A process that was stopped within a transaction holds up nobody for longer: the server ends its session.
_IDLE_TIMEOUT: Final = "5min"
_TRUSTED_SECONDS: Final = 1.0  # a connection used so recently is not asked whether it is still good
_DRIVER: Final = "postgresql+psycopg"
_SCHEMES: Final = ("postgresql", "postgres", _DRIVER)
_CONNECT_DEFAULTS: Final = {"application_name": "zentra", "connect_timeout": "10"}
# The server's rows of https://www.postgresql.org/docs/15/errcodes-appendix.html that an operator can do something about
_REMEDIES: Final = {
    "42501": "have the owner of the database grant it: GRANT CREATE, CONNECT, TEMPORARY ON DATABASE … TO …",
    "53100": "its disk is full: make room; nothing of the transaction was kept",
    "53300": "it has no connection left: raise max_connections, or run fewer processes",
    "57014": "the server cancelled the statement: try again, or raise statement_timeout for this role",
    "55P03": f"another process has been writing for more than {_LOCK_TIMEOUT}: wait for it, or end it",
}
# What a server, or a pooler before it, says when it refuses a connection for now; there is no sqlstate then.
_FULL: Final = ("too many clients", "too many connections", "remaining connection slots", "query_wait_timeout")

_engines: dict[tuple[int, str], Engine] = {}
_making = threading.Lock()


def schema_engine(schema: str) -> Engine:
    """Engine whose transactions see one schema of the database that ZENTRA_DATABASE_URL names, and no other."""
    url = _configured_url()
    key = os.getpid(), url.render_as_string(hide_password=False)
    with _making:
        if key not in _engines:
            _engines[key] = _engine(url)
        return _engines[key].execution_options(**{_SCHEMA: schema})


def prepare(connection: Connection, schema: str, *, is_new: bool) -> None:
    """See that the schema is there, and make it where the store is new; needs the write transaction of its engine."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise UsageError(f"{_shown(_configured_url())} is encoded in {encoding}: make a database with ENCODING 'UTF8'")
    found = connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema}).scalar()
    if found is None and not is_new:
        raise UsageError(
            f"there is no schema {schema} in {_shown(_configured_url())}: {DATABASE_VARIABLE} names another database "
            "than the one this home's stores were made in, or they are to be restored from a backup"
        )
    if found is None:
        connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')


def _configured_url() -> URL:
    """The database's URL with the driver that is installed; UsageError that shows nothing of its content."""
    configured = database_url()
    if configured is None:
        raise UsageError(f"this home keeps its stores in PostgreSQL: set {DATABASE_VARIABLE} to its database")
    try:
        url = make_url(configured)
    except (ArgumentError, ValueError):
        raise UsageError(
            f"{DATABASE_VARIABLE} is not a URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None
    if "@" in (url.host or ""):
        raise UsageError(
            f"{DATABASE_VARIABLE} has more than one @: write the @ of a user or password as %40 "
            "(and / as %2F, : as %3A, # as %23, ? as %3F, % as %25)"
        )
    if url.drivername not in _SCHEMES:
        raise UsageError(f"{DATABASE_VARIABLE} begins with {url.drivername}: it has to be a postgresql:// URL")
    # libpq takes both in the query as well, where they would be shown
    user, password = (
        url.query.get(name, given) for name, given in (("user", url.username), ("password", url.password))
    )
    if not isinstance(user, str | None) or not isinstance(password, str | None):
        raise UsageError(f"{DATABASE_VARIABLE} names its user or password twice: write it once")
    url = url.difference_update_query(["user", "password"])
    return url.set(drivername=_DRIVER, username=user, password=password)


def _engine(url: URL) -> Engine:
    defaults = {name: value for name, value in _CONNECT_DEFAULTS.items() if name not in url.query}
    engine = create_engine(
        url,
        pool_size=5,
        max_overflow=15,
        pool_use_lifo=True,
        connect_args={**defaults, "prepare_threshold": None},  # one text means other tables in another schema
        hide_parameters=True,
    )
    secrets = [value for value in (url.password, url.query.get("sslpassword")) if isinstance(value, str) and value]

    def explain(context: "ExceptionContext") -> BaseException | None:
        return _explained(context, _shown(url), secrets)

    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "checkout", _on_checkout)
    event.listen(engine, "checkin", _on_checkin)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", explain)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    connection.autocommit = True  # `_on_begin` begins, and says in the same exchange what the transaction shall be
    record.info.update(pid=os.getpid(), used=time.monotonic())


def _on_checkout(connection: Any, record: Any, _proxy: object) -> None:
    """See that a connection that lay idle is still good: a server that was restarted costs nobody an error."""
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = None  # the parent's: closing it here would end the parent's session
        raise DisconnectionError("opened by another process")
    if time.monotonic() - record.info["used"] > _TRUSTED_SECONDS:
        try:
            connection.execute("")
        except connection.Error as cause:
            raise DisconnectionError("the server went away") from cause


def _on_checkin(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _on_begin(connection: Connection) -> None:
    """Set the transaction up in one exchange: a snapshot for reading, or the store's write lock before any look at it.

    Writers read committed data, and nothing is committed to the store while they hold its lock.
    """
    options = connection.get_execution_options()
    schema = options[_SCHEMA]
    if options.get(READING, False):
        statements = [
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f'SET LOCAL search_path TO "{schema}"',
        ]
    else:
        statements = [
            "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
            f'SET LOCAL search_path TO "{schema}"',
            "SET LOCAL synchronous_commit TO on",
            f"SET LOCAL lock_timeout TO '{_LOCK_TIMEOUT}'",
            f"SET LOCAL idle_in_transaction_session_timeout TO '{_IDLE_TIMEOUT}'",
            f"SELECT pg_advisory_xact_lock({_lock_number(schema)})",
        ]
    connection.exec_driver_sql("; ".join(statements), execution_options={"no_parameters": True})


def _lock_number(schema: str) -> int:
    return int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], "big", signed=True)


def _explained(context: "ExceptionContext", where: str, secrets: list[str]) -> ZentraError | None:
    """The error to raise instead of the driver's, null to leave it: what happened, where, and what to do."""
    cause = context.original_exception
    said = " ".join(str(cause).split())
    for secret in secrets:
        said = said.replace(secret, "***")
    remedy = _REMEDIES.get(getattr(cause, "sqlstate", None) or "")
    if remedy is None and any(words in said for words in _FULL):
        remedy = _REMEDIES["53300"]
    if remedy is not None:
        return UnavailableError(f"{where}: {said}; {remedy}")
    if context.connection is None:
        return UnavailableError(f"{where} cannot be reached: {said}; start it, or correct {DATABASE_VARIABLE}")
    if context.is_disconnect:
        return UnavailableError(
            f"{where} went away ({said}): unless it was just committing, nothing was kept; do it again, "
            "what had been done is not done twice"
        )
    return None


def _shown(url: URL) -> str:
    """The database for messages, without its password or options."""
    host = url.host or url.query.get("host") or "local socket"
    place = f"{host}:{url.port}" if url.port else host
    return f"PostgreSQL database {url.database or url.username} at {place} (user {url.username or 'of the system'})"
