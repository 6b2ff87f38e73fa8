"""The home's own Dagster instance, which `zentra run` writes to and the Dagster UI reads; no asset belongs here."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import Engine, event

from zentra_pipeline.settings import Home

_CONFIGURATION = """\
# Dagster's state of this home: SQLite files beside this one. Nothing is reported, nobody is asked to sign up.
telemetry:
  enabled: false
nux:
  enabled: false
"""


@contextmanager
def dagster_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance below the home, made when it is missing."""
    prepare_instance(home)
    with _kept_open(home.dagster), dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


@contextmanager
def _kept_open(folder: Path) -> Iterator[None]:
    """Spare Dagster's SQLite files below `folder` most of their waiting for the disk.

    Dagster makes an engine and opens a connection an event. A new engine compiles every statement anew, so engines
    are kept. SQLite writes the whole log back and syncs it when the last connection closes; so one of ours stays open
    beside them. `synchronous = NORMAL` never leaves a write-ahead log broken: a power cut may cost Dagster its last
    events, and no fact of ours, for those are in the operational store.
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

        _keep_engines(kept)
        event.listen(Engine, "connect", on_connect)
        kept.callback(event.remove, Engine, "connect", on_connect)
        yield


def _keep_engines(kept: ExitStack) -> None:
    """Until `kept` closes, Dagster's SQLite storages get the same engine whenever they make one with the same words."""
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        make = storage.create_engine
        engines: dict[str, Engine] = {}

        def one_engine(url: str, *, make: Any = make, engines: dict[str, Engine] = engines, **options: Any) -> Engine:
            words = f"{url} {sorted(options.items(), key=str)}"
            if words not in engines:
                engines[words] = make(url, **options)
            return engines[words]

        kept.callback(setattr, storage, "create_engine", make)
        setattr(storage, "create_engine", one_engine)  # noqa: B010


def prepare_instance(home: Home) -> None:
    """Make the folder that `DAGSTER_HOME` names for the UI of this home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
