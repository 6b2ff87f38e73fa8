"""The files that Dagster keeps below a home, without Dagster: their configuration and state; running it is in defs."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from zentra_pipeline import locks, settings, storage
from zentra_pipeline.settings import Home
from zentra_pipeline.store.sqlite import read_only_uri

CONFIGURATION: Final = "dagster.yaml"
# Where the event log is, below the folder of the configuration: whoever moves or copies a home takes it along.
EVENT_LOG: Final = "history/runs"
_SILENCE: Final = """\
# Dagster's state of this home: SQLite files beside this one. Nothing is reported, nobody is asked to sign up.
telemetry:
  enabled: false
nux:
  enabled: false
"""
_STORAGE: Final = """\
event_log_storage:
  module: zentra_pipeline.defs.event_log
  class: KeptSqliteEventLogStorage
  config:
    base_dir: """
OURS: Final = f"{_SILENCE}{_STORAGE}{EVENT_LOG}\n"
# As homes had it before: nothing about the event log, or its absolute path.
_BEFORE: Final = re.compile(re.escape(_SILENCE) + f"({re.escape(_STORAGE)}" + r'"(?:[^"\\]|\\.)*"\n)?')
_STORES: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def prepare(home: Home) -> None:
    """Make the folder that `DAGSTER_HOME` names for this home, and mend an older configuration that nobody edited."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    if shared_configuration(home) is not None:
        return
    configuration = home.dagster / CONFIGURATION
    if not configuration.exists() or _BEFORE.fullmatch(configuration.read_text(encoding="utf-8")):
        temporary = configuration.with_name(f".{CONFIGURATION}.tmp")
        temporary.write_text(OURS, encoding="utf-8")
        temporary.replace(configuration)


def shared_configuration(home: Home) -> Path | None:
    """The folder of the instance that hosts share, null where the home's own folder has the instance.

    That is what `DAGSTER_HOME` names, on a host of a home whose files are in an object store: without a disk in common,
    an instance of the host's own would be seen by nobody.
    """
    named = settings.dagster_home()
    if named is None or named == home.dagster or storage.of_home(home).url is None:
        return None
    return named if (named / CONFIGURATION).is_file() else None


def is_ours(home: Home) -> bool:
    """Whether the configuration is the one that `prepare` writes."""
    return (home.dagster / CONFIGURATION).read_text(encoding="utf-8") == OURS


@contextmanager
def being_set_up(home: Home) -> Iterator[None]:
    """One process at a time opens Dagster's storage: several that made it at once left it with two schemas for good."""
    with locks.locked(home.dagster / "setup.lock"):
        yield


def absolute_paths(home: Home) -> list[str]:
    """What of the configuration names an absolute path below this home or another one."""
    configuration = home.dagster / CONFIGURATION
    if not configuration.exists():
        return []
    lines = configuration.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if re.search(r":\s*[\"']?/", line.partition("#")[0])]


def broken_stores(home: Home) -> list[tuple[Path, str]]:
    """Dagster's SQLite files that it will not open any more, each with what is wrong with it."""
    found = []
    for name in _STORES:
        file = home.dagster / name
        if file.is_file() and (problem := _problem_of(file)):
            found.append((file, problem))
    return found


def _problem_of(file: Path) -> str | None:
    try:
        with closing(
            sqlite3.connect(read_only_uri(file) or f"file:{quote(str(file))}?mode=rw", uri=True)
        ) as connection:
            connection.execute("PRAGMA query_only = ON")
            heads = sorted(head for (head,) in connection.execute("select version_num from alembic_version"))
            ((state,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        return f"SQLite cannot read it: {error}"
    if len(heads) != 1:
        return f"it is at {len(heads)} schemas at once ({', '.join(heads) or 'none'})"
    return None if state == "ok" else f"its pages are damaged: {state}"
