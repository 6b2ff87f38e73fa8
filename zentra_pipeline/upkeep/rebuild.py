"""Remakes staged files, the lake and the catalog from landed bytes and the operational store, and proves them equal.

Everything is made in a folder beside and compared with the recorded digests first. Then files that are missing or
damaged are replaced, each by one rename and only by what was proven, so that a process killed anywhere leaves right
files and a rerun heals the rest. Does not belong here: making a file or a revision (remake), finding faults (doctor).
"""

import filecmp
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import blobs, durable_files, locks
from zentra_pipeline.closeout import chain_heads
from zentra_pipeline.errors import VerificationError, ZentraError
from zentra_pipeline.events import segment_rows
from zentra_pipeline.ingest import landing, staging
from zentra_pipeline.published import lake, lake_files, store_age
from zentra_pipeline.reconcile import dbt_project, row_keys
from zentra_pipeline.reconcile.inputs import RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import file_facts
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.event_log import Entry
from zentra_pipeline.store.file_facts import FileFacts
from zentra_pipeline.store.runs import Revision
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import evidence, fetched, records, remake
from zentra_pipeline.upkeep.records import Records, RevisionKey

WORKSPACE: Final = "rebuild"
EQUAL: Final = "equal"
SAME_ROWS: Final = "equal rows in other bytes"
RULES_CHANGED: Final = "differs (rules changed)"
NOT_COMPARABLE: Final = "not comparable"
OTHER_EVENTS: Final = "equal tables, other events"
UNEXPLAINED: Final = "differs (unexplained)"

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class RevisionVerdict:
    """How a revision made again compares with what it published: which tables differ, or its inputs, and why."""

    run_id: str
    revision: int
    ledger_window: str
    verdict: str
    differs: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class SealVerdict:
    """Whether the evidence made again has the root that was sealed; else why not."""

    closeout_id: str
    run_id: str
    evidence_root: str
    verdict: str
    detail: str


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild found and did, paths relative to the tenant's folder.

    `lost` are recorded files that are missing or damaged and that nothing here makes again as they were; `refused`
    says why nothing was put in place, null when everything that could be was. `deleted` says of which files retention
    deleted the bytes: their rows were taken as staged, and not made from bytes.
    """

    files: int
    revisions: tuple[RevisionVerdict, ...]
    seals: tuple[SealVerdict, ...]
    restored: tuple[str, ...]
    lost: tuple[str, ...]
    refused: str | None
    deleted: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the tenant's files are now exactly what was recorded."""
        return self.refused is None and not self.lost


@dataclass
class _Work:
    """What the steps of one rebuild share.

    `tables` says where the recorded bytes of a revision's tables are, `inputs` what it was made from; `proven` are the
    files made again with the recorded digest, `lost` those that have it nowhere.
    """

    made: TenantPaths
    records: Records
    report: Progress
    tables: dict[RevisionKey, dict[str, Path]] = field(default_factory=dict)
    inputs: dict[RevisionKey, RunInputs] = field(default_factory=dict)
    revisions: dict[RevisionKey, RevisionVerdict] = field(default_factory=dict)
    seals: list[SealVerdict] = field(default_factory=list)
    proven: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.records.paths

    def locate(self, path: str, recorded: str | None, made: str | None) -> Path | None:
        """Where a recorded file has its recorded bytes: made again, else as published; null when it is lost.

        What was made with other bytes is taken away, lest something later is made from it.
        """
        here, published = self.made.root / path, self.paths.root / path
        if made is not None and made == recorded:
            self.proven.append(path)
            return here
        here.unlink(missing_ok=True)
        if landing.digest_of(published) == recorded:
            return published
        self.lost.append(path)
        return None


def rebuild(tenant: Tenant, progress: Progress | None = None) -> Rebuilt:
    """Remake what a tenant's readers see and replace what is missing or damaged; runs and ingests wait meanwhile.

    VerificationError when landed bytes are damaged or do not come to the rows registered, or when the store is older
    than what was published; nothing is changed then.
    """
    fetched.everything(tenant)
    store_age.require_newest(tenant.paths)
    with _alone(tenant), remake.workspace(tenant.paths, WORKSPACE) as made:
        work = _Work(made, records.read(tenant), progress or _silent)
        _remake_files(work)
        for revision in remake.in_order(work.records.revisions):
            _remake_revision(work, revision)
        _remake_events(work)
        _remake_evidence(work)
        refused = _reason_to_refuse(work)
        restored = [] if refused else _put_in_place(work)
    if not refused and not work.lost:
        refresh_readers(tenant)
    return Rebuilt(
        files=len(work.records.files),
        revisions=tuple(work.revisions.values()),
        seals=tuple(work.seals),
        restored=tuple(restored),
        lost=tuple(work.lost),
        refused=refused,
        deleted=tuple(what for file in work.records.files if (what := remake.deleted(work.records, file))),
    )


def refresh_readers(tenant: Tenant) -> None:
    """Write pointers, catalog and lists of seals again from the operational store; no table is remade."""
    store_age.require_newest(tenant.paths)
    lake.refresh(tenant.paths)
    known = records.read(tenant)
    for provider in sorted({closeout.provider for closeout in known.sealed}):
        chain_heads.write_head(tenant, provider)
    if any(sign_off.is_sealed for sign_off in known.sign_offs):
        chain_heads.write_period_head(tenant)


def _alone(tenant: Tenant) -> AbstractContextManager[None]:
    """Keep ingests and the runs and closeouts of every provider out."""
    found = records.read(tenant)
    names = {locks.INGEST, *(locks.provider_lock(run.provider) for run in found.runs)}
    return found.tenant.holding(*sorted(names))


def _remake_files(work: _Work) -> None:
    """Stage every file again in the order of arrival, for a file's rows may contradict those of the files before it."""
    here = [file for file in work.records.files if remake.deleted(work.records, file) is None]
    broken = [problem for file in here if (problem := remake.damage_of_landed(work.paths, file))]
    if broken:
        raise VerificationError("\n".join(["nothing was changed, for landed bytes are damaged:", *broken]))
    for file in work.records.files:
        work.report("restage", f"{file.kind} file {file.file_id} of {file.provider}")
        remake.remake_file(work.paths, work.made, file, work.records)


def _remake_revision(work: _Work, revision: Revision) -> None:
    """Make one revision again and note how it compares; later ones start from what it published."""
    key = (revision.run_id, revision.revision)
    window = work.records.runs_by_id[revision.run_id].ledger_window
    work.report("remake", f"window {window}, revision {revision.revision} of {revision.run_id}")
    lost = [before for before in remake.made_from(revision) if before not in work.tables]
    inputs: RunInputs | None = None
    found: remake.Remade | None = None
    reason = ""
    if not revision.manifest:
        reason = "it was published before Zentra kept what a revision is made from"
    elif lost:
        reason = f"the recorded tables of {lost[0][0]} revision {lost[0][1]}, which it was made from, are lost"
    else:
        try:
            inputs = remake.inputs_of(revision, work.records, work.tables)
            found = remake.remake_revision(inputs, revision, work.made)
        except (ZentraError, ValueError) as error:
            reason = f"it could not be made: {' '.join(str(error).split())}"
    differs = _differences(revision, found)
    verdict = _verdict(work, revision, found, differs, is_comparable=bool(revision.manifest) and not lost)
    digests = {name: table.sha256 for name, table in found.tables.items()} if found else {}
    located = {
        name: work.locate(entry["path"], entry["sha256"], digests.get(name)) for name, entry in revision.tables.items()
    }
    tables = {name: path for name, path in located.items() if path is not None}
    if len(tables) == len(located):
        work.tables[key] = tables
    if inputs is not None:
        work.inputs[key] = inputs
    work.revisions[key] = RevisionVerdict(*key, window, verdict, tuple(differs), reason)


def _remake_events(work: _Work) -> None:
    """Make the events of every revision again, in their order: earlier ones decide what later ones say."""
    for revision in sorted(work.records.revisions, key=lambda item: item.published_at):
        key = (revision.run_id, revision.revision)
        entry = evidence.entry_of(work.records, revision)
        same = False
        try:
            whole = entry is not None and segment_rows.matches_path(str(entry.path)) is None
            made = evidence.remake_events(work.made, work.records, work.inputs[key], revision, work.tables, whole=whole)
            digest = made.sha256 if made.rows else None
            same = _same_events(work, entry, made)
        except (KeyError, duckdb.Error):
            digest = None  # something the events were made from is lost
        if entry is not None and entry.path is not None:
            work.locate(entry.path, entry.sha256, digest)
            matches = segment_rows.matches_path(entry.path)
            evidence.borrow(work.paths, work.made, [entry.path, *([matches] if matches else [])])
        if not same:
            known = work.revisions[key]
            verdict = OTHER_EVENTS if known.verdict == EQUAL else known.verdict
            work.revisions[key] = replace(known, verdict=verdict, differs=(*known.differs, "events"))


def _same_events(work: _Work, entry: Entry | None, made: lake_files.PublishedFile) -> bool:
    """Whether the events are those that were recorded; another release may write the same rows in other bytes."""
    if entry is None or entry.path is None or not made.rows:
        return (entry is None) == (not made.rows)
    published = work.paths.root / entry.path
    if made.sha256 == entry.sha256 or landing.digest_of(published) != entry.sha256:
        return made.sha256 == entry.sha256
    return not remake.rows_apart(published, work.made.root / made.path, limit=1)


def _remake_evidence(work: _Work) -> None:
    """Make the evidence of every seal again and compare its root with the sealed one."""
    if not work.records.sealed:
        return
    evidence.copy_store(work.paths, work.made)
    recorded = (entry["path"] for revision in work.records.revisions for entry in revision.tables.values())
    evidence.borrow(work.paths, work.made, recorded)
    for closeout in work.records.sealed:
        work.report("evidence", f"window {closeout.ledger_window}, closeout {closeout.closeout_id}")
        root, digest, reason = _evidence_of(work, closeout)
        if closeout.evidence_path:
            work.locate(closeout.evidence_path, closeout.evidence_sha256, digest)
        verdict = EQUAL if root == closeout.evidence_root else NOT_COMPARABLE if root is None else UNEXPLAINED
        detail = reason if root in (None, closeout.evidence_root) else f"the root came out as {root}"
        work.seals.append(SealVerdict(closeout.closeout_id, closeout.run_id, closeout.evidence_root, verdict, detail))


def _evidence_of(work: _Work, closeout: Closeout) -> tuple[str | None, str | None, str]:
    """Root of a seal's evidence and digest of its lake file as made again, else why they cannot be made."""
    key = (closeout.run_id, closeout.run_revision)
    if closeout.run_revision and key not in work.tables:
        return None, None, "tables of the sealed revision are lost"
    try:
        made = evidence.remake_evidence(work.made, work.records, closeout)
    except (ZentraError, duckdb.Error) as error:
        return None, None, f"it could not be made: {' '.join(str(error).split())}"
    return made.root, landing.digest_of(made.table), ""


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
    return RULES_CHANGED if revision.manifest["rules"] != dbt_project.digest() else UNEXPLAINED


def _same_rows(work: _Work, revision: Revision, found: remake.Remade, name: str) -> bool:
    """Whether a table that is intact where it was published has the rows of the one made again."""
    entry = revision.tables.get(name)
    if entry is None or name not in found.tables or not _is_intact(work.paths, entry):
        return False
    return not remake.rows_apart(work.paths.root / entry["path"], work.made.root / found.tables[name].path, limit=1)


def _is_intact(paths: TenantPaths, entry: dict[str, str]) -> bool:
    return landing.digest_of(paths.root / entry["path"]) == entry["sha256"]


def _reason_to_refuse(work: _Work) -> str | None:
    apart = [
        f"{item.run_id} revision {item.revision}" for item in work.revisions.values() if item.verdict == UNEXPLAINED
    ]
    apart += [f"the evidence of {item.closeout_id}" for item in work.seals if item.verdict == UNEXPLAINED]
    if not apart:
        return None
    return (
        f"nothing was put in place: the same inputs and rules do not come to what was recorded for {', '.join(apart)}"
    )


def _put_in_place(work: _Work) -> list[str]:
    """Replace missing and damaged files by those made again, clear away what dead ingests left; the paths replaced."""
    staged = [path for file in work.records.files for path in (file.staged_path, file.quarantine_path) if path]
    replaced = []
    for path in [*staged, *work.proven]:
        made, target = work.made.root / path, work.paths.root / path
        if not _same_bytes(target, made):
            target.parent.mkdir(parents=True, exist_ok=True)
            made.replace(target)
            durable_files.sync_folder(target.parent)
            replaced.append(path)
    for path in replaced:
        blobs.push(work.paths, path, landing.digest_of(work.paths.root / path) or "")
    _record_digests(work)
    shutil.rmtree(work.paths.root / row_keys.FOLDER, ignore_errors=True)  # each run writes those it lacks
    landing.discard_arriving(work.paths)
    staging.discard_arriving(work.paths)
    staging.discard_unregistered(work.paths, max(work.records.files_by_sequence, default=0) + 1)
    return replaced


def _record_digests(work: _Work) -> None:
    """Staged files were made again from the landed bytes: their digests are proven now."""
    for file in work.records.files:
        digests = [
            path and landing.digest_of(work.paths.root / path) for path in (file.staged_path, file.quarantine_path)
        ]
        known = work.records.facts.get(file.sequence)
        if known is None or (known.staged_sha256, known.quarantine_sha256, known.is_proven) != (*digests, True):
            with work.records.tenant.writing() as connection:
                if known is None:
                    rows = file.rows_staged + file.rows_quarantined
                    file_facts.record(
                        connection, [FileFacts(file.sequence, rows, digests[0], digests[1], True, "{}", "[]", None)]
                    )
                else:
                    file_facts.change_digests(connection, file.sequence, digests[0], digests[1])


def _same_bytes(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _silent(step: str, message: str) -> None:
    del step, message
