"""Checks that pointers and catalog show what the operational store says. Nothing is changed."""

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import duckdb

from zentra_pipeline import locks, sql_text
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.settings import DEFAULT_OWNER
from zentra_pipeline.store import leases
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.queue_checks import run_again
from zentra_pipeline.upkeep.records import Records

_PLACE: Final = re.compile(r"provider=(?P<provider>[^/]+)/ledger_window=(?P<window>[0-9]{4}-[0-9]{2}-[0-9]{2})/")


def check_pointers(records: Records) -> Iterator[Finding]:
    """Each published run has one pointer, to its current revision; one that is ahead means the store lost something."""
    folder = records.paths.lake / "_current"
    remedy = command("rebuild", "--tenant", records.tenant.name, "--readers-only")
    for run_id, revision in records.current.items():
        path = folder / f"{run_id}.json"
        found = _content(path.read_bytes()) if path.is_file() else None
        if isinstance(found, dict) and _number(found.get("revision")) > revision.revision:
            what = f"it names revision {found['revision']}, ops.db only {revision.revision}"
            yield _lost(path.name, what, run_again(records.tenant.name, records.runs_by_id[run_id]))
        elif found != _pointer(revision):
            what = "it is gone" if not path.is_file() else "it does not name the tables of the current revision"
            yield Finding("pointers", f"lake/_current/{path.name}", ERROR, what, remedy)
    for path in sorted(folder.glob("*")):
        if path.suffix == ".json" and path.stem not in records.current:
            what = "it names a run of which ops.db knows no revision"
            yield _lost(path.name, what, _run_of(records, _content(path.read_bytes())))
        elif path.suffix != ".json" and not locks.is_held(records.paths, "catalog"):
            what = "a process that ended early left it"
            yield Finding("pointers", f"lake/_current/{path.name}", NOTE, what, remedy)


def _pointer(revision: run_store.Revision) -> dict[str, Any]:
    return {"run_id": revision.run_id, "revision": revision.revision, "tables": revision.tables}


def _content(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _run_of(records: Records, pointer: Any) -> str:
    """The command that makes a run again of which only its published files are known; empty where they are not."""
    place = _PLACE.search(str(pointer))
    if place is None:
        return ""
    provider, window = place["provider"], date.fromisoformat(place["window"])
    words = ("--tenant", records.tenant.name, "--provider", provider, "--ledger-window", place["window"])
    file = load_profile(records.paths, provider).settlement_file(window)
    return command("run", *words, "--settlement-file", file, "--owner", DEFAULT_OWNER)


def _lost(name: str, what: str, again: str) -> Finding:
    remedy = "ops.db is older than what was published: restore its newest backup"
    if again:
        remedy += f"; where there is none, ingest what `landing` names, then {again}"
    return Finding("pointers", f"lake/_current/{name}", ERROR, what, remedy)


def check_catalog(records: Records) -> Iterator[Finding]:
    """The catalog opens, every table in it answers, and it shows the runs, files and closeouts of the store."""
    remedy = command("rebuild", "--tenant", records.tenant.name, "--readers-only")
    catalog = records.paths.catalog
    if not catalog.is_file():
        yield Finding("catalog", catalog.name, ERROR, "it is gone", remedy)
        return
    problem = _problem_of_catalog(records)
    if problem is None:
        return
    busy = (locks.INGEST, *(locks.provider_lock(run.provider) for run in records.runs))
    if any(leases.is_held(records.paths, name) for name in busy):
        yield Finding("catalog", catalog.name, NOTE, f"{problem}; a command is at work", "look again when it has ended")
    else:
        yield Finding("catalog", catalog.name, ERROR, problem, remedy)


def _problem_of_catalog(records: Records) -> str | None:
    try:
        with duckdb.connect(str(records.paths.catalog), read_only=True) as connection:
            views = connection.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
            root = sql_text.file_literal(records.paths.root)[1:-1]
            for name, definition in views:
                if "read_parquet(" in definition and root not in definition:
                    return f"{name} reads files of another folder: the home was moved or copied"
                connection.execute(f'select count(*) from "{name}"').fetchall()
            shown = dict(connection.execute("select run_id, revision from runs where revision > 0").fetchall())
            seals = connection.execute("select seal_digest from closeouts where seal_digest is not null").fetchall()
            rows = connection.execute(
                "select (select count(*) from settlement_lines) + (select count(*) from ledger_entries) "
                "+ (select count(*) from callbacks) + (select count(*) from internal_events) "
                "+ (select count(*) from bank_statements) + (select count(*) from bank_lines)"
            ).fetchall()[0][0]
    except duckdb.Error as error:
        return f"it cannot be read: {' '.join(str(error).split())}"
    void = {run.run_id for run in records.runs if run.is_void}
    current = {run_id: revision.revision for run_id, revision in records.current.items()}
    if {run_id: revision for run_id, revision in shown.items() if run_id not in void} != current:
        return "it shows other runs or revisions than ops.db"
    if {digest for (digest,) in seals} != {closeout.seal_digest for closeout in records.sealed}:
        return "it shows other seals than ops.db"
    registered = sum(file.rows_staged for file in records.files)
    return None if rows == registered else f"it shows {rows:,} input rows, and {registered:,} are registered"
