"""Proves that staged files are what ingest wrote: their digests were recorded with them and are compared when read.

A file is hashed once for each state of it (path, size, times, inode) that a process meets. Does not belong here:
writing staged files (staging), making them again (upkeep.rebuild).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from zentra_pipeline.errors import DamagedFilesError
from zentra_pipeline.ingest import landing
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import file_facts
from zentra_pipeline.store.file_facts import FileFacts
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants.tenant import Tenant

_State = tuple[str, int, int, int, int]
_digests: Final[dict[str, tuple[_State, str]]] = {}


def digest_of(path: Path) -> str | None:
    """Hex SHA-256 of a file, from memory while its state is the same; null where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    state = (str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    known = _digests.get(str(path))
    if known is not None and known[0] == state:
        return known[1]
    digest = landing.digest_of(path)
    if digest is not None:
        _digests[str(path)] = (state, digest)
    return digest


def check(tenant: Tenant, files: Sequence[StagedFile]) -> None:
    """DamagedFilesError when a staged file is not what ingest wrote; one of an older release is recorded as it is."""
    with tenant.reading() as connection:
        known = file_facts.recorded(connection)
    damaged = [problem for file in files for problem in problems(tenant.paths, file, known)]
    if damaged:
        raise DamagedFilesError(
            f"{damaged[0]}{f' (and {len(damaged) - 1:,} more)' if len(damaged) > 1 else ''}; nothing was read from it: "
            f"a rebuild of tenant {tenant.paths.root.name} makes it again from the bytes as received"
        )
    unknown = [file for file in files if file.sequence not in known]
    if unknown:
        with tenant.writing() as connection:
            met = file_facts.recorded(connection)
            file_facts.record(connection, [_as_met(tenant.paths, file) for file in unknown if file.sequence not in met])


def problems(paths: TenantPaths, file: StagedFile, known: Mapping[int, FileFacts]) -> Iterator[str]:
    """What is wrong with a registered file's staged and quarantine files, one sentence each."""
    facts = known.get(file.sequence)
    for path, recorded in _recorded(file, facts):
        if path is None or recorded is None:
            continue
        found = digest_of(paths.root / path)
        if found is None:
            yield f"{path} ({file.kind} file {file.file_id}) is gone"
        elif found != recorded:
            yield (
                f"{path} ({file.kind} file {file.file_id}) is not what ingest wrote: its digest is {found}, "
                f"recorded is {recorded}"
            )


def _recorded(file: StagedFile, facts: FileFacts | None) -> Iterable[tuple[str | None, str | None]]:
    if facts is None:
        return ()
    return ((file.staged_path, facts.staged_sha256), (file.quarantine_path, facts.quarantine_sha256))


def _as_met(paths: TenantPaths, file: StagedFile) -> FileFacts:
    """Facts of a file that was staged before digests were recorded: what it is now, which proves nothing of before."""

    def digest(path: str | None) -> str | None:
        return None if path is None else digest_of(paths.root / path)

    return FileFacts(
        sequence=file.sequence,
        rows_read=file.rows_staged + file.rows_quarantined,
        staged_sha256=digest(file.staged_path),
        quarantine_sha256=digest(file.quarantine_path),
        is_proven=False,
        notes="{}",
        restates="[]",
        received_by=None,
    )
