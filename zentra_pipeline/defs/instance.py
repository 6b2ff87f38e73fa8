"""The home's Dagster instance, which `zentra run` writes to and the Dagster UI reads; no asset belongs here.

It is below the home's folder. Where hosts share a home it is the one that `DAGSTER_HOME` configures (ADR 0076).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from sqlalchemy import Engine, event

from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import dagster_files


@contextmanager
def dagster_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance below the home, made when it is missing; safe when several come first at once."""
    prepare_instance(home)
    with _kept_open(home.dagster):
        with dagster_files.being_set_up(home):
            instance = dg.DagsterInstance.from_ref(_reference(home))
            assert instance.run_storage and instance.event_log_storage and instance.schedule_storage
        with instance:
            yield instance


def prepare_instance(home: Home) -> None:
    """Make Dagster's folder of this home; where the instance is its own, `DAGSTER_HOME` names it for the UI."""
    dagster_files.prepare(home)


def _reference(home: Home) -> InstanceRef:
    """The instance by its configuration; what Dagster keeps in files is below the home's folder in any case."""
    shared = dagster_files.shared_configuration(home)
    if shared is not None:
        return InstanceRef.from_dir(str(home.dagster), config_dir=str(shared))
    return InstanceRef.from_dir(str(home.dagster), overrides=_overrides(home))


def _overrides(home: Home) -> dict[str, Any]:
    """Where the event log is, said to this process and those it starts: only a UI has DAGSTER_HOME to find it by."""
    if not dagster_files.is_ours(home):
        return {}
    storage = yaml.safe_load(dagster_files.OURS)["event_log_storage"]
    return {"event_log_storage": {**storage, "config": {"base_dir": str(home.dagster / dagster_files.EVENT_LOG)}}}


@contextmanager
def kept_connected(instance: dg.DagsterInstance) -> Iterator[None]:
    """Have an instance in PostgreSQL keep its connections while a run reports some hundred events.

    Its storages open one for each statement, but for a web server. An instance in files stays as it is.
    """
    if not _postgresql_engines(instance):
        yield
        return
    instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
    try:
        yield
    finally:
        for engine in _postgresql_engines(instance):
            engine.dispose()


def _postgresql_engines(instance: dg.DagsterInstance) -> list[Engine]:
    stores = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    engines = [getattr(each, "_engine", None) for each in stores]
    return [each for each in engines if isinstance(each, Engine) and each.dialect.name == "postgresql"]


@contextmanager
def _kept_open(folder: Path) -> Iterator[None]:
    """Spare Dagster's SQLite files below `folder` most of their waiting for the disk.

    Its stores of runs and schedules open a connection a statement, and SQLite writes the whole log back and syncs it
    when the last one closes; so one of ours stays open beside them. The event log keeps its own (event_log).
    `synchronous = NORMAL` never leaves a write-ahead log broken: a power cut may cost Dagster its last events, and no
    fact of ours, for those are in the operational store.
    """
    with ExitStack() as kept:
        files: set[str] = set()

        def on_connect(connection: Any, _record: object) -> None:
            if not isinstance(connection, sqlite3.Connection):
                return
            ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()
            if not Path(file).is_relative_to(folder):
                return
            connection.execute("PRAGMA synchronous = NORMAL")
            ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
            if mode == "wal" and file not in files:
                files.add(file)
                ours = kept.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
                ours.execute("SELECT count(*) FROM sqlite_master").fetchall()

        event.listen(Engine, "connect", on_connect)
        kept.callback(event.remove, Engine, "connect", on_connect)
        yield
