"""A PostgreSQL server of the tests' own: from Debian's package, in a temporary folder, on a Unix socket alone.

`ZENTRA_TEST_STORES=postgresql` has the whole suite run on it. `ZENTRA_TEST_DATABASE_URL` does too, and names another
server to use instead (the role must be allowed to create databases). Does not belong here: any test.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import psycopg
import pytest
from sqlalchemy import Connection, Engine, Table, delete, func, insert, make_url, select, text

from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import control, engine, models
from zentra_pipeline.store.engine import control_store, reading
from zentra_pipeline.store.place import MARKER, operational_place
from zentra_pipeline.store.postgresql import schema_engine

URL_VARIABLE: Final = "ZENTRA_TEST_DATABASE_URL"
STORES_VARIABLE: Final = "ZENTRA_TEST_STORES"
REQUIRE_VARIABLE: Final = "ZENTRA_REQUIRE_POSTGRES"
_USER: Final = "zentra_tests"
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",  # the tests kill processes, not machines
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "lc_messages": "C",
}
# The role `locked` needs its password, all others of this machine need none.
_ACCESS: Final = "local all locked scram-sha-256\nlocal all all trust\n"


class Server:
    """A running server; `stop` and `start` it as a fault would."""

    def __init__(self, binaries: Path, folder: Path, user: str, settings: Mapping[str, str], access: str) -> None:
        self._binaries = binaries
        self._folder = folder
        self._data = folder / "data"
        self._user = user
        self._settings = {**_SETTINGS, **settings, "unix_socket_directories": str(folder)}
        self._as = _unprivileged(folder)
        self._command("initdb", "-D", self._data, "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        (self._data / "pg_hba.conf").write_text(access, encoding="utf-8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={self._folder}&user={self._user}"

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        self._command("pg_ctl", "-D", self._data, "-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is how a crash looks to those who are connected."""
        self._command("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def _command(self, name: str, *arguments: object) -> None:
        command = [*self._as, str(self._binaries / name), *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open as long as the server runs
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, cwd="/")
            said.seek(0)
            assert done.returncode == 0, said.read()


def _unprivileged(folder: Path) -> list[str]:
    """What to put before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres", "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return None if initdb is None else Path(initdb).resolve().parent


@contextmanager
def running_server(
    user: str = _USER, settings: Mapping[str, str] = MappingProxyType({}), access: str = _ACCESS
) -> Iterator[Server]:
    """A server that lives as long as the block; without the package the test is skipped, in CI it fails.

    `settings` go before the tests' own, `access` is its pg_hba.conf.
    """
    binaries = _binaries()
    if binaries is None:
        _missing("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="zentra-pg-", dir="/tmp"))  # a socket's path has to be short
    try:
        server = Server(binaries, folder, user, settings, access)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def is_for_all() -> bool:
    """Whether every home of the suite shall keep its stores in PostgreSQL, unless a test says otherwise."""
    return bool(os.environ.get(URL_VARIABLE)) or os.environ.get(STORES_VARIABLE) == "postgresql"


def _missing(reason: str) -> NoReturn:
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)")
    pytest.skip(reason)


@contextmanager
def server_url() -> Iterator[str]:
    """URL of a server to make databases in: the one the environment names, else one of the tests' own."""
    configured = os.environ.get(URL_VARIABLE)
    if configured:
        yield configured
        return
    with running_server() as server:
        yield server.url


@contextmanager
def fresh_database(server: str, **options: str) -> Iterator[str]:
    """URL of an empty database on a server, dropped afterwards whoever is connected; options as for CREATE DATABASE."""
    name = f"zentra_test_{secrets.token_hex(6)}"
    words = " ".join(f"{option} '{value}'" for option, value in options.items())
    administer(server, f'CREATE DATABASE "{name}" TEMPLATE template0 {words}')
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def administer(url: str, *statements: str) -> None:
    """Run statements outside a transaction."""
    with psycopg.connect(_conninfo(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def give_own_schemas(home: Home) -> None:
    """Part a copied home from the one it was copied from: where stores are in PostgreSQL, both name the same."""
    tables = {home.root / MARKER: control.metadata.sorted_tables}
    tables |= dict.fromkeys(sorted(home.tenants.glob(f"*/{MARKER}")), models.metadata.sorted_tables)
    for marker, copied in tables.items():
        if not marker.exists():
            continue
        schema = json.loads(marker.read_bytes())["schema"]
        marker.unlink()
        is_control = marker.parent == home.root
        own = control_store(home) if is_control else _store_of(home.tenant(marker.parent.name))
        with reading(schema_engine(schema)) as original, own.begin() as connection:
            if not is_control:
                connection.execute(delete(models.audit_log))  # a new store has a first entry of its own
            for table in copied:
                rows = [dict(row._mapping) for row in original.execute(select(table))]
                if rows:
                    connection.execute(insert(table), rows)
                _count_on(connection, table)


def _store_of(paths: TenantPaths) -> Engine:
    """A new store for a folder whose files show that there was another: the product refuses to make it."""
    return engine._store(paths.operational_store, lambda: operational_place(paths), engine._is_newest, engine._migrate)


def _count_on(connection: Connection, table: Table) -> None:
    """Have a table's counter go on behind the rows that were copied into it."""
    for column in table.primary_key.columns:
        name = {"table": table.name, "column": column.name}
        counter = connection.execute(text("select pg_get_serial_sequence(:table, :column)"), name).scalar()
        if counter is not None:
            last = connection.execute(select(func.max(column))).scalar()
            connection.execute(select(func.setval(counter, last or 1, last is not None)))
