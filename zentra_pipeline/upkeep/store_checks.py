"""Checks of the operational store itself: its file, and what its records say of each other. Nothing is changed.

What files hold does not belong here (file_checks, reader_checks, seal_checks).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence, Set
from datetime import date
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select

from zentra_pipeline import locks
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.ingest.staging import QUARANTINE, StagedName
from zentra_pipeline.instants import instant_of
from zentra_pipeline.store import audit, digests, leases, models
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.migrations import NEWEST_REVISION
from zentra_pipeline.store.sqlite import read_only_uri
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.queue_checks import run_again
from zentra_pipeline.upkeep.records import Records

_WORKING = ("ingesting", "matching", "comparing")
_RESTORE = "stop what uses the home and restore {} from a backup; landed bytes and sealed bundles are not concerned"


def check_database(database: Path, tables: Sequence[str], revision: bool) -> Iterator[Finding]:
    """The file as SQLite sees it: pages, indexes, references, tables; `revision`: whether it is under migrations."""
    name, restore = database.name, _RESTORE.format(database.name)
    if not database.is_file():
        yield Finding("store", name, ERROR, "the file is gone", restore)
        return
    log = database.with_name(f"{name}-wal")
    if log.is_file() and (damage := _damage_of_log(log.read_bytes())):
        yield Finding("store", log.name, ERROR, damage, restore)
        return  # opening the file would end in a log without what is damaged
    try:
        connection = sqlite3.connect(read_only_uri(database) or f"file:{quote(str(database))}?mode=rw", uri=True)
        try:
            connection.execute("PRAGMA query_only = ON")
            for (problem,) in connection.execute("PRAGMA integrity_check(20)").fetchall():
                if problem != "ok":
                    yield Finding("store", name, ERROR, f"its pages are damaged: {problem}", restore)
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
                what = f"row {row} of {table} names a row of {parent} that is not there"
                yield Finding("store", name, ERROR, what, restore)
            yield from _check_schema(connection, database, tables, revision)
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # also its message may quote damaged text
        yield Finding("store", name, ERROR, f"SQLite cannot read it: {error}", restore)


def _check_schema(
    connection: sqlite3.Connection, database: Path, tables: Sequence[str], revision: bool
) -> Iterator[Finding]:
    """Every table is there, and the schema is this program's; one of an older program is brought up to date first."""
    found = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    if revision and "alembic_version" in found:
        (stored,) = connection.execute("select max(version_num) from alembic_version").fetchone()
        what = f"its schema is at {stored or 'no revision'}, this program's at {NEWEST_REVISION}"
        if stored and stored < NEWEST_REVISION:
            remedy = command("runs", "list", "--tenant", database.parent.name)
            yield Finding("store", database.name, ERROR, f"{what}: the next command brings it up to date", remedy)
            return
        if stored != NEWEST_REVISION:
            remedy = "use the version of Zentra that wrote it, or a newer one"
            yield Finding("store", database.name, ERROR, what, remedy)
    for table in sorted(set(tables) - found):
        yield Finding("store", database.name, ERROR, f"table {table} is gone", _RESTORE.format(database.name))


def _damage_of_log(content: bytes) -> str | None:
    """What is wrong with a write-ahead log: SQLite drops, without a word, all from the first frame that does not fit.

    A last frame that is torn is what a killed writer leaves. Source: https://www.sqlite.org/fileformat2.html#walformat
    """
    if len(content) < 32:
        return None
    order = "big" if content[:4] == b"\x37\x7f\x06\x83" else "little"
    page = int.from_bytes(content[8:12], "big")
    sums = _checksum(content[:24], (0, 0), order)
    if page < 512 or sums != _pair(content[24:32]):
        return "its header is damaged, so that what was written last is lost"
    frames = [content[start : start + 24 + page] for start in range(32, len(content), 24 + page)]
    for number, frame in enumerate(frames):
        sums = _checksum(frame[24:], _checksum(frame[:8], sums, order), order)
        if len(frame) < 24 + page or frame[8:16] != content[16:24] or sums != _pair(frame[16:24]):
            # What follows of an older log has other salts; of a write that was never finished, no frame that ends it.
            ends = [later[4:8] != bytes(4) for later in frames[number + 1 :] if later[8:16] == content[16:24]]
            return f"frame {number + 1} is damaged, so that {sum(ends)} transactions are lost" if any(ends) else None
    return None


def _checksum(content: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    for start in range(0, len(content) - len(content) % 8, 8):
        one = (one + int.from_bytes(content[start : start + 4], order) + two) & 0xFFFFFFFF  # type: ignore[arg-type]
        two = (two + int.from_bytes(content[start + 4 : start + 8], order) + one) & 0xFFFFFFFF  # type: ignore[arg-type]
    return one, two


def _pair(content: bytes) -> tuple[int, int]:
    return int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")


def check_rows(records: Records) -> Iterator[Finding]:
    """Each row says what was recorded: its digest is of what it holds; how far deliveries have come can be true."""
    with records.tenant.reading() as connection:
        for table in models.metadata.sorted_tables:
            if digests.COLUMN in table.columns:
                for key in digests.rows_apart(connection, table):
                    what = "it is not what was recorded: its digest is of something else"
                    yield Finding("rows", f"{table.name}, {key}", ERROR, what, _RESTORE.format("ops.db"))
        for table, kind, stages in _ON_THE_WAY:
            query = select(table.c.sequence, table.c.batch, stages).order_by(table.c.sequence)
            known = {file.file_id for file in records.files if file.kind == kind}
            for sequence, batch, stage in connection.execute(query):
                if not _is_on_its_way(batch, stage, known):
                    what = f"it is {stage!r} in batch {batch!r}, which is not an ingested file"
                    yield Finding("rows", f"{table.name}, sequence {sequence}", ERROR, what, _RESTORE.format("ops.db"))


# Deliveries and intents, the kind of file they go into, and the column that says how far they have come.
_ON_THE_WAY = (
    (models.callback_inbox, "callbacks", models.callback_inbox.c.status),
    (models.intents, "internal_events", models.intents.c.staging),
)


def _is_on_its_way(batch: str | None, stage: str, files: Set[str]) -> bool:
    if stage == "pending":
        return batch is None
    return batch is not None and (batch in files if stage == "ingested" else stage in ("assigned", "set_aside"))


def check_registrations(records: Records) -> Iterator[Finding]:
    """Each registered file says of itself what follows from its own sequence and digest."""
    for file in records.files:
        problem = _problem_of_registration(file)
        if problem:
            subject = f"{file.kind} file {file.file_id} (sequence {file.sequence})"
            yield Finding("registrations", subject, ERROR, problem, _RESTORE.format("ops.db"))


def _problem_of_registration(file: StagedFile) -> str | None:
    name = StagedName(file.sequence, file.sha256).file_name
    for path, rows, table in (
        (file.staged_path, file.rows_staged, contract_of(file.kind).table),
        (file.quarantine_path, file.rows_quarantined, QUARANTINE),
    ):
        if path != (f"staged/{table}/{name}" if rows else None):
            return f"{rows} rows of {table} cannot be in {path}"
    try:
        instants = [instant_of(text) for text in (file.first_at, file.last_at, file.received_at) if text]
        columns = json.loads(file.unknown_columns)
    except ValueError as error:
        return f"it cannot be read: {error}"
    if len(instants) == 3 and instants[0] > instants[1]:
        return f"its first instant {file.first_at} comes after its last {file.last_at}"
    return None if isinstance(columns, list) else "its unknown columns are not a list"


def check_runs(records: Records) -> Iterator[Finding]:
    """Each run is the one its id names, and agrees with its revisions and with how its status changed."""
    for run in records.runs:
        for problem in _problems_of_run(records, run):
            yield Finding("runs", run.run_id, ERROR, problem, _RESTORE.format("ops.db"))
    sequences = [run.sequence for run in records.runs]
    if sequences != list(range(1, len(sequences) + 1)):
        what = f"{len(sequences)} runs are numbered {sequences[:1]} to {sequences[-1:]}, so that some are lost"
        yield Finding("runs", "order of creation", ERROR, what, _RESTORE.format("ops.db"))


def _problems_of_run(records: Records, run: run_store.Run) -> Iterator[str]:
    try:
        window = date.fromisoformat(run.ledger_window)
    except ValueError:
        yield f"its window {run.ledger_window!r} is not a day"
        return
    if run_store.run_id_of(records.tenant.name, run.provider, run.settlement_file, window) != run.run_id:
        yield "its id belongs to another provider, settlement file or window"
    numbers = [item.revision for item in records.revisions if item.run_id == run.run_id]
    if numbers != list(range(1, run.revision + 1)):
        yield f"it is at revision {run.revision}, and its revisions are {numbers}"
    current = records.current.get(run.run_id)
    if current is not None and current.inputs_digest != run.inputs_digest:
        yield "its inputs digest is not that of its current revision"
    changes = records.transitions[run.run_id]
    if not changes or changes[-1].status != run.status:
        yield f"it is {run.status}, and its history ends in {changes[-1].status if changes else 'nothing'}"


def check_manifests(records: Records) -> Iterator[Finding]:
    """What a revision was made from is registered, and published."""
    for item in records.revisions:
        for problem in _problems_of_manifest(records, item):
            subject = f"{item.run_id} revision {item.revision}"
            yield Finding("manifests", subject, ERROR, problem, _RESTORE.format("ops.db"))


def _problems_of_manifest(records: Records, revision: run_store.Revision) -> Iterator[str]:
    manifest = revision.manifest
    if not manifest:
        return
    about = manifest["run"]
    if (about["run_id"], about["as_of"], about["owner"]) != (revision.run_id, revision.as_of, revision.owner):
        yield "its manifest speaks of another run, owner or as_of"
    for entry in [*manifest["files"], *manifest.get("files_without_effect", ())]:
        file = records.files_by_sequence.get(entry["sequence"])
        registered = file and (file.kind, file.provider, file.file_id, file.sha256, file.byte_size)
        if registered != (entry["kind"], entry["provider"], entry["file_id"], entry["sha256"], entry["size"]):
            yield f"it was made from {entry['kind']} file {entry['file_id']}, which is not registered so"
    for entry in manifest["earlier"]:
        if (entry["run_id"], entry["revision"]) not in records.revisions_by_key:
            yield f"it was made from {entry['run_id']} revision {entry['revision']}, which never was published"


def check_stuck_runs(records: Records) -> Iterator[Finding]:
    """Runs in a working state that nobody works on: their process died."""
    for run in records.runs:
        if run.status in _WORKING and not leases.is_held(records.paths, locks.provider_lock(run.provider)):
            since = records.transitions[run.run_id][-1].at
            what = f"it has been {run.status} since {since}, and no process works on it"
            yield Finding("stuck_runs", run.run_id, ERROR, what, run_again(records.tenant.name, run))


def check_event_log(records: Records) -> Iterator[Finding]:
    """Places follow one another from 1 without a gap; a single event is the one its row names."""
    restore = _RESTORE.format("ops.db")
    expected = 1
    for entry in records.entries:
        if entry.first_position != expected:
            what = f"place {expected} is followed by {entry.first_position}: events are lost or there twice"
            yield Finding("event_log", f"place {expected}", ERROR, what, restore)
        expected = entry.first_position + entry.events
        if entry.content is not None:
            problem = _problem_of_event(entry.content, entry.event_id, entry.event_type, entry.run_id)
            if problem:
                yield Finding("event_log", f"place {entry.first_position}", ERROR, problem, restore)


def _problem_of_event(content: str, event_id: str | None, event_type: str | None, run_id: str | None) -> str | None:
    try:
        event = json.loads(content)
        said = (event["id"], event["type"], event.get("runid"))
        instant_of(event["time"])
    except (ValueError, KeyError, TypeError) as error:
        return f"the event cannot be read: {error}"
    return None if said == (event_id, event_type, run_id) else f"the event says {said}, its row another"


def check_audit(records: Records) -> Iterator[Finding]:
    """The audit log is a whole chain and cites each decision as it is; one made anew is seen by a head alone."""
    with records.tenant.reading() as connection:
        checked = audit.check(connection)
    for place, what in checked.problems:
        yield Finding("audit", f"place {place}", ERROR, what, _RESTORE.format("ops.db"))


def check_decisions(records: Records) -> Iterator[Finding]:
    """The log counts up from 1; no decision was made before the one it follows."""
    numbers = [decision.sequence for decision in records.decisions]
    if numbers != list(range(1, len(numbers) + 1)):
        what = f"{len(numbers)} decisions are numbered {numbers[:1]} to {numbers[-1:]}, so that some are lost"
        yield Finding("decisions", "order of the log", ERROR, what, _RESTORE.format("ops.db"))
    for before, after in pairwise(records.decisions):
        if after.decided_at < before.decided_at:
            what = f"it was decided at {after.decided_at}, before the one it follows ({before.decided_at})"
            yield Finding("decisions", after.decision_id, NOTE, what, "check the clocks of the machines that decide")
