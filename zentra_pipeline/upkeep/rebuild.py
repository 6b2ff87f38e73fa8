"""Remakes staged files, the lake and the catalog from landed bytes and the operational store, and proves them equal.

Everything is made in a folder beside and compared with the recorded digests first. Then files that are missing or
damaged are replaced, each by one rename and only by what was proven, so that a process killed anywhere leaves right
files and a rerun heals the rest. Does not belong here: making a file or a revision (remake), finding faults (doctor).
"""

import filecmp
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from zentra_pipeline import lake, landing, locks, staging, transform
from zentra_pipeline.errors import VerificationError, ZentraError
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.runs import Revision
from zentra_pipeline.tenancy import require_tenant
from zentra_pipeline.upkeep import remake
from zentra_pipeline.upkeep.remake import Books, RevisionKey

WORKSPACE: Final = "rebuild"
EQUAL: Final = "equal"
SAME_ROWS: Final = "equal rows in other bytes"
RULES_CHANGED: Final = "differs (rules changed)"
NOT_COMPARABLE: Final = "not comparable"
UNEXPLAINED: Final = "differs (unexplained)"

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class RevisionVerdict:
    """How a revision made anew compares with what it published: which tables, or its inputs, are others, and why."""

    run_id: str
    revision: int
    ledger_window: str
    verdict: str
    differs: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild found and did, paths relative to the tenant's folder.

    `lost` are recorded files that are missing or damaged and that nothing here makes again as they were; `refused`
    says why nothing was put in place, null when everything that could be was.
    """

    files: int
    revisions: tuple[RevisionVerdict, ...]
    restored: tuple[str, ...]
    lost: tuple[str, ...]
    refused: str | None

    @property
    def holds(self) -> bool:
        """Whether the tenant's files are now exactly what was recorded."""
        return self.refused is None and not self.lost


@dataclass
class _Work:
    """What the steps of one rebuild share; `tables` says where the recorded bytes of a revision's tables are."""

    paths: TenantPaths
    made: TenantPaths
    books: Books
    report: Progress
    tables: dict[RevisionKey, dict[str, Path]] = field(default_factory=dict)
    verdicts: list[RevisionVerdict] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def rebuild(home: Home, tenant: str, progress: Progress | None = None) -> Rebuilt:
    """Remake what a tenant's readers see and replace what is missing or damaged; runs and ingests wait meanwhile.

    VerificationError when landed bytes are damaged or do not come to the rows registered; nothing is changed then.
    """
    paths = require_tenant(home, tenant)
    engine = operational_store(paths)
    with _alone(paths, engine), remake.workspace(paths, WORKSPACE) as made:
        work = _Work(paths, made, remake.read_books(engine), progress or _silent)
        _remake_files(work)
        for revision in remake.in_order(work.books.revisions.values()):
            _remake_revision(work, revision)
        refused = _reason_to_refuse(work)
        restored = [] if refused else _put_in_place(work)
    if not refused and not work.lost:
        lake.refresh(paths)
    verdicts = tuple(work.verdicts)
    return Rebuilt(len(work.books.files), verdicts, tuple(restored), tuple(work.lost), refused)


def refresh_readers(home: Home, tenant: str) -> None:
    """Write pointers and catalog anew from the operational store; no table is remade."""
    lake.refresh(require_tenant(home, tenant))


def _alone(paths: TenantPaths, engine: Engine) -> AbstractContextManager[None]:
    providers = {run.provider for run in remake.read_books(engine).runs.values()}
    return locks.holding(paths, *sorted({locks.INGEST, *map(locks.provider_lock, providers)}))


def _remake_files(work: _Work) -> None:
    broken = []
    for file in work.books.files.values():
        work.report("restage", f"{file.kind} file {file.file_id} of {file.provider}")
        try:
            remake.remake_file(work.paths, work.made, file, work.books)
        except VerificationError as error:
            broken.append(str(error))
    if broken:
        raise VerificationError("\n".join(["nothing was changed, for the inputs do not hold:", *broken]))


def _remake_revision(work: _Work, revision: Revision) -> None:
    """Make one revision anew and note how it compares; later ones start from what it published."""
    window = work.books.runs[revision.run_id].ledger_window
    work.report("remake", f"window {window}, revision {revision.revision} of {revision.run_id}")
    unknown = [key for key in remake.made_from(revision) if key not in work.tables]
    found: remake.Remade | None = None
    reason = ""
    if not revision.manifest:
        reason = "it was published before Zentra kept what a revision is made from"
    elif unknown:
        reason = f"the recorded tables of {unknown[0][0]} revision {unknown[0][1]}, which it was made from, are lost"
    else:
        try:
            found = remake.remake_revision(
                remake.inputs_of(revision, work.books, work.tables), revision.revision, work.made
            )
        except (ZentraError, ValueError) as error:
            reason = f"it could not be made: {' '.join(str(error).split())}"
    differs = _differences(revision, found)
    verdict = _verdict(work, revision, found, differs, is_comparable=bool(revision.manifest) and not unknown)
    _locate_tables(work, revision, found)
    work.verdicts.append(RevisionVerdict(revision.run_id, revision.revision, window, verdict, tuple(differs), reason))


def _differences(revision: Revision, found: remake.Remade | None) -> list[str]:
    """The recorded tables whose bytes are others now, and `inputs` when other rows went in."""
    if found is None:
        return ["inputs", *sorted(revision.tables)]
    tables = [
        name
        for name, entry in sorted(revision.tables.items())
        if name not in found.tables or found.tables[name].sha256 != entry["sha256"]
    ]
    return tables if found.inputs_digest == revision.inputs_digest else ["inputs", *tables]


def _verdict(
    work: _Work, revision: Revision, found: remake.Remade | None, differs: list[str], is_comparable: bool
) -> str:
    if not differs:
        return EQUAL
    if not is_comparable:
        return NOT_COMPARABLE
    if found is not None and all(_same_rows(work, revision, found, name) for name in differs):
        return SAME_ROWS
    return RULES_CHANGED if revision.manifest["rules"] != transform.rules_digest() else UNEXPLAINED


def _same_rows(work: _Work, revision: Revision, found: remake.Remade, name: str) -> bool:
    """Whether a table that is intact where it was published has the rows of the one made anew."""
    entry = revision.tables.get(name)
    if entry is None or name not in found.tables or not _is_intact(work.paths, entry):
        return False
    return not remake.rows_apart(work.paths.root / entry["path"], work.made.root / found.tables[name].path, limit=1)


def _is_intact(paths: TenantPaths, entry: dict[str, str]) -> bool:
    return landing.digest_of(paths.root / entry["path"]) == entry["sha256"]


def _locate_tables(work: _Work, revision: Revision, found: remake.Remade | None) -> None:
    """Note where the recorded bytes of each table are: made anew, else as published, else lost."""
    located = {}
    for name, entry in revision.tables.items():
        if found is not None and name in found.tables and found.tables[name].sha256 == entry["sha256"]:
            located[name] = work.made.root / entry["path"]
        elif _is_intact(work.paths, entry):
            located[name] = work.paths.root / entry["path"]
        else:
            work.lost.append(entry["path"])
    if len(located) == len(revision.tables):
        work.tables[revision.run_id, revision.revision] = located


def _reason_to_refuse(work: _Work) -> str | None:
    apart = [verdict for verdict in work.verdicts if verdict.verdict == UNEXPLAINED]
    if not apart:
        return None
    named = ", ".join(f"{verdict.run_id} revision {verdict.revision}" for verdict in apart)
    return f"nothing was put in place: made from the same inputs by the same rules, other tables came out for {named}"


def _put_in_place(work: _Work) -> list[str]:
    """Replace missing and damaged files by those made anew; the paths that were."""
    paths, made = work.paths, work.made
    staged = [path for file in work.books.files.values() for path in (file.staged_path, file.quarantine_path) if path]
    damaged = [path for path in staged if not _same_bytes(paths.root / path, made.root / path)]
    for tables in work.tables.values():
        relative = [path.relative_to(made.root) for path in tables.values() if path.is_relative_to(made.root)]
        damaged += [str(path) for path in relative if not _same_bytes(paths.root / path, made.root / path)]
    for path in damaged:
        target = paths.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (made.root / path).replace(target)
        landing.sync_folder(target.parent)
    landing.discard_arriving(paths)
    staging.discard_arriving(paths)
    staging.discard_unregistered(paths, max(work.books.files, default=0) + 1)
    return damaged


def _same_bytes(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _silent(step: str, message: str) -> None:
    del step, message
