"""Spares every test what costs time and proves nothing: waiting for the disk, new stores' migrations, Dagster's log.

Stores stay open from one transaction to the next, as a server has it. Tests kill processes, not machines, so what they
write need not have reached the disk. The first new store of a process is migrated; those after it replay the statements
that this took. `catalog.duckdb` stays as a tenant's first moment has it: queries do not read it. What a decision or a
command has made again is reconciled as Dagster's asset does it and not recorded in Dagster, which costs more than the
run. Does not belong here: anything a test relies on; one that is about durability or migrations says `as_shipped`, a
module that reads the catalog or Dagster's log asks for the fixture `catalog_as_shipped` or `dagster_as_shipped`.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event

from zentra_pipeline.defs import launch
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.published import catalog, lake
from zentra_pipeline.published.lake_views import Snapshot
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import Followed, Progress, WindowResult
from zentra_pipeline.settings import DEFAULT_OWNER, TenantPaths
from zentra_pipeline.store import engine, sqlite
from zentra_pipeline.store.place import StorePlace
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

_fsync, _on_connect, _migrate = os.fsync, sqlite._on_connect, engine._migrate
_write_catalog = lake._write_catalog
_materialize = launch._materialize
# Objects made since the last look for cycles; Python's own 700 cost a fifteenth of the suite.
_COLLECTED_AFTER: Final = 100_000
_READING: Final = ("SELECT", "PRAGMA")
_statements: dict[str, list[tuple[str, Any]]] = {}


@contextmanager
def without_waiting() -> Iterator[None]:
    """Have this process wait for no disk and migrate one new store of each kind."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        patched.setattr(sqlite, "_on_connect", _connect)
        patched.setattr(engine, "_migrate", _make)
        patched.setattr(lake, "_write_catalog", _write_first_catalog)
        patched.setattr(launch, "_materialize", _without_dagster)
        # What is imported by now stays, and need not be looked through again and again; what a test leaves is little.
        gc.freeze()
        before = gc.get_threshold()
        gc.set_threshold(_COLLECTED_AFTER, *before[1:])
        try:
            with engine.kept_connections():
                yield
        finally:
            gc.set_threshold(*before)
            gc.unfreeze()


def as_shipped(patched: pytest.MonkeyPatch) -> None:
    """Have the test wait for the disk and migrate as the product does."""
    patched.setattr(os, "fsync", _fsync)
    patched.setattr(sqlite, "_on_connect", _on_connect)
    patched.setattr(engine, "_migrate", _migrate)
    nothing_kept(patched)
    catalog_as_shipped(patched)
    dagster_as_shipped(patched)


def nothing_kept(patched: pytest.MonkeyPatch) -> None:
    """Have every transaction open its store, as the command line does."""
    patched.setattr(engine, "_kept", None)


def catalog_as_shipped(patched: pytest.MonkeyPatch) -> None:
    """Have `catalog.duckdb` follow the store as the product has it."""
    patched.setattr(lake, "_write_catalog", _write_catalog)


def dagster_as_shipped(patched: pytest.MonkeyPatch) -> None:
    """Have what is launched be materialized in the home's Dagster instance, as the product has it."""
    patched.setattr(launch, "_materialize", _materialize)


@dataclass(frozen=True)
class _Reconciled:
    """What `launch` reads of a Reconciler."""

    results: list[WindowResult]
    followed: Followed


def _without_dagster(tenant: Tenant, request: RunRequest, progress: Progress | None) -> _Reconciled:
    """What the asset `reconciliation_window` does of one window."""
    try:
        tenant = tenancy.require_tenant(tenant.home, tenant.name)
        known = run_requests.find(tenant, request.provider, request.settlement_file, request.ledger_window)
        owner = request.owner or (None if known else DEFAULT_OWNER)
        result = window_run.run_window(tenant, replace(request, owner=owner), progress)
        return _Reconciled([result], window_run.run_queued(tenant, request.provider, progress))
    except ZentraError:
        raise
    except Exception as cause:
        raise launch._own_error(cause) from cause


def _write_first_catalog(paths: TenantPaths, snapshot: Snapshot) -> None:
    if not paths.catalog.exists():
        paths.catalog.write_bytes(catalog._template())


def _connect(connection: Any, record: object) -> None:
    _on_connect(connection, record)
    connection.execute("PRAGMA synchronous = OFF")


def _make(connection: Connection, place: StorePlace) -> None:
    kind = connection.dialect.name
    if connection.dialect.has_table(connection, "alembic_version"):
        _migrate(connection, place)
    elif kind in _statements:
        for statement, parameters in _statements[kind]:
            connection.exec_driver_sql(statement, parameters)
    else:
        _statements[kind] = _recorded(connection, place)


def _recorded(connection: Connection, place: StorePlace) -> list[tuple[str, Any]]:
    """Migrate a new store; the statements that changed it."""
    found: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(_READING):
            found.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", record)
    try:
        _migrate(connection, place)
    finally:
        event.remove(connection, "before_cursor_execute", record)
    return found
