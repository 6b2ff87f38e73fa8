"""Which files a store names, so that whoever reads the store finds them in the folder: pulled where hosts share them.

Does not belong here: moving a file (blobs), reading one.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from zentra_pipeline import blobs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import configuration, engine
from zentra_pipeline.store.models import closeouts, event_log, file_facts, files, run_revisions, runs, tombstones

_State = tuple[int, ...]
_MATCHES: Final = "matches"
_pulled: Final[dict[Path, _State]] = {}
_pulling: Final = threading.Lock()


@contextmanager
def reading(paths: TenantPaths) -> Iterator[Connection]:
    """A connection for queries on the tenant's store, one snapshot; files that it names for readers are in the folder.

    So are those of configuration, as the store has them.
    """
    are_shared = blobs.are_shared(paths)
    if are_shared:
        configuration.sync(paths)
    with engine.reading(engine.operational_store(paths)) as connection:
        if are_shared:
            _pull_new(paths, connection)
        yield connection


def pull_all(paths: TenantPaths) -> None:
    """See that every file that was ever recorded is in the folder: bytes as received and old revisions, too.

    Bytes that retention deleted are nowhere.
    """
    if blobs.are_shared(paths):
        with reading(paths) as connection:
            stones = connection.execute(select(tombstones.c.files)).scalars()
            deleted = {sequence for stone in stones for sequence in json.loads(stone)}
            received = connection.execute(select(files.c.sequence, files.c.sha256))
            kept = [digest for sequence, digest in received if sequence not in deleted]
            blobs.pull(paths, {f"landing/{digest}": digest for digest in kept})
            blobs.pull(paths, _published(connection, with_old=True))


def formats(connection: Connection) -> list[str]:
    """The formats that files were registered with, each once."""
    return sorted(connection.execute(select(files.c.format).distinct()).scalars())


def _pull_new(paths: TenantPaths, connection: Connection) -> None:
    """Pull what the snapshot names for readers, unless nothing was recorded since this process last did."""
    state = _state(connection)
    with _pulling:
        if _pulled.get(paths.root) != state:
            blobs.pull(paths, {**_staged(connection), **_published(connection), **_evidence(connection)})
            _pulled[paths.root] = state


def _state(connection: Connection) -> _State:
    """What grows whenever a file is recorded."""
    counts = (
        select(func.count()).select_from(files),
        select(func.count()).select_from(run_revisions),
        select(func.count()).select_from(event_log),
        select(func.count()).where(closeouts.c.chain_sequence.is_not(None)),
    )
    return tuple(int(connection.execute(count).scalar_one()) for count in counts)


def _staged(connection: Connection) -> dict[str, str]:
    columns = (files.c.staged_path, file_facts.c.staged_sha256, files.c.quarantine_path, file_facts.c.quarantine_sha256)
    found: dict[str, str] = {}
    for row in connection.execute(select(*columns).join(file_facts, file_facts.c.sequence == files.c.sequence)):
        for path, digest in (row[:2], row[2:]):
            if path is not None and digest is not None:
                found[path] = digest
    return found


def _published(connection: Connection, *, with_old: bool = False) -> dict[str, str]:
    """Tables of revisions that readers see, and the matches of old ones, which their events are about."""
    seen = {(run_id, number) for run_id, number in connection.execute(select(runs.c.run_id, runs.c.revision))}
    sealed = select(closeouts.c.run_id, closeouts.c.run_revision).where(closeouts.c.chain_sequence.is_not(None))
    seen |= {(run_id, number) for run_id, number in connection.execute(sealed)}
    found: dict[str, str] = {}
    for row in connection.execute(select(run_revisions.c.run_id, run_revisions.c.revision, run_revisions.c.tables)):
        for name, entry in json.loads(row.tables).items():
            if with_old or name == _MATCHES or (row.run_id, row.revision) in seen:
                found[entry["path"]] = entry["sha256"]
    segments = select(event_log.c.path, event_log.c.sha256).where(event_log.c.path.is_not(None))
    return found | {row.path: row.sha256 for row in connection.execute(segments)}


def _evidence(connection: Connection) -> dict[str, str]:
    found = connection.execute(select(closeouts.c.evidence_path, closeouts.c.evidence_sha256))
    return {row.evidence_path: row.evidence_sha256 for row in found if row.evidence_path and row.evidence_sha256}
