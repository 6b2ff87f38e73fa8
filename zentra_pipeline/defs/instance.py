"""The home's own Dagster instance, which `zentra run` writes to and the Dagster UI reads; no asset belongs here."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Engine, event

from zentra_pipeline.settings import Home

_SILENCE = """\
# Dagster's state of this home: SQLite files beside this one. Nothing is reported, nobody is asked to sign up.
telemetry:
  enabled: false
nux:
  enabled: false
"""
_CONFIGURATION = f"""\
{_SILENCE}event_log_storage:
  module: zentra_pipeline.defs.event_log
  class: KeptSqliteEventLogStorage
  config:
    base_dir: {{base_dir}}
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


def prepare_instance(home: Home) -> None:
    """Make the folder that `DAGSTER_HOME` names for the UI of this home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    ours = _CONFIGURATION.format(base_dir=json.dumps(str(home.dagster.absolute() / "history" / "runs")))
    if not configuration.exists() or configuration.read_text(encoding="utf-8") == _SILENCE:
        configuration.write_text(ours, encoding="utf-8")
