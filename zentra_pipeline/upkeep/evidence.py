"""Makes again what a revision emitted and what a closeout sealed: its events and its evidence, from tables made again.

Both read the tenant's records from a copy of the store beside the remade lake. Does not belong here: making tables
(remake), or judging what came out.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zentra_pipeline.closeout import bundle_files, closeout_tables
from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import revision_events
from zentra_pipeline.reconcile.inputs import RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.copying import copy_operational_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.event_log import Entry
from zentra_pipeline.store.runs import Revision, Run
from zentra_pipeline.upkeep import remake
from zentra_pipeline.upkeep.records import Records
from zentra_pipeline.upkeep.remake import Tables


@dataclass(frozen=True)
class RemadeEvidence:
    """The evidence of a closeout made again: root, rows, the leaves as a bundle holds them, and the lake's file."""

    root: str
    rows: int
    leaves: Path
    table: Path


def copy_store(paths: TenantPaths, made: TenantPaths) -> None:
    """Give `made` a store of its own that says what the tenant's says at this moment."""
    copy_operational_store(paths, made)


def borrow(paths: TenantPaths, made: TenantPaths, relative: Iterable[str]) -> None:
    """Let published files be found below `made` where they were not made again."""
    for path in relative:
        here, there = made.root / path, paths.root / path
        if not here.exists() and there.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(there)


def remake_evidence(made: TenantPaths, records: Records, closeout: Closeout) -> RemadeEvidence:
    """The evidence of a closeout from the tables and the store below `made`, judged by the decisions it knew."""
    known = decisions_known(closeout, records.decisions)
    leaves = made.root / "evidence" / f"{closeout.closeout_id}.jsonl"
    table = made.root / str(closeout.evidence_path or f"evidence/{closeout.closeout_id}.parquet")
    for path in (leaves, table):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(made, records, closeout, known) as opened:
        root, rows = bundle_files.write_evidence(opened, leaves)
        bundle_files.write_evidence_table(opened, closeout.closeout_id, table)
    return RemadeEvidence(root, rows, leaves, table)


def _opened(
    made: TenantPaths, records: Records, closeout: Closeout, known: Sequence[Decision]
) -> AbstractContextManager[closeout_tables.CloseoutTables]:
    run = records.runs_by_id.get(closeout.run_id)
    if run is None or not closeout.run_revision:  # closed as a window without a run, which came later or was taken back
        return closeout_tables.without_activity(*_idle(closeout), known)
    revision = records.revisions_by_key[closeout.run_id, closeout.run_revision]
    sealed = sealed_revision(revision, records.paths.root / str(closeout.bundle))
    return closeout_tables.opened(replace(records.tenant, paths=made), run, sealed, known)


def _idle(closeout: Closeout) -> tuple[Run, Revision]:
    """The run and revision that a window without a run is closed as."""
    run = Run(
        run_id=closeout.run_id,
        sequence=0,
        provider=closeout.provider,
        settlement_file=closeout.settlement_file,
        ledger_window=closeout.ledger_window,
        owner=closeout.prepared_by,
        actor=closeout.prepared_by,
        as_of=closeout.prepared_at,
        status="in_review",
        closeout_status="open",
        revision=0,
        inputs_digest=None,
        failure=None,
        created_at=closeout.prepared_at,
    )
    return run, Revision(closeout.run_id, 0, "", "", run.owner, run.as_of, {}, run.as_of, {})


def decisions_known(closeout: Closeout, decisions: Sequence[Decision]) -> list[Decision]:
    """The log as it was when the closeout was sealed."""
    position = decision_store.sealed_position(closeout.closeout_id, decisions)
    return [decision for decision in decisions if position is None or decision.sequence <= position]


def sealed_manifest(bundle: Path) -> dict[str, Any] | None:
    """What a sealed run was made from, as its bundle has it; null where that cannot be read."""
    try:
        content = json.loads((bundle / "files" / "inputs.json").read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sealed_revision(revision: Revision, bundle: Path) -> Revision:
    """The revision as it was sealed: its manifest may have been confirmed with later files since."""
    sealed = sealed_manifest(bundle)
    if sealed is None:
        return revision
    return replace(revision, manifest={**sealed, "decisions": revision.manifest.get("decisions")})


def remake_events(
    made: TenantPaths, records: Records, inputs: RunInputs, revision: Revision, tables: Tables, *, whole: bool
) -> lake_files.PublishedFile:
    """The events a revision emitted when it was published: from the revisions of then, and the log so far.

    `whole` makes the file as older releases did, each event as it is read.
    """
    run = records.runs_by_id[revision.run_id]
    before = (item for item in records.revisions if item.published_at < revision.published_at)
    current = {item.run_id: item for item in before if _is_earlier(records.runs_by_id[item.run_id], run)}
    changes = records.transitions[run.run_id]
    context = revision_events.EventContext(
        inputs=replace(inputs, earlier=[remake.earlier_run(records, item, tables) for item in current.values()]),
        revision=revision.revision,
        actor=next((change.actor for change in changes if change.at == revision.published_at), run.actor),
        now=instant_of(revision.published_at),
        marts=tables[run.run_id, revision.revision],
        previous=tables[run.run_id, revision.revision - 1] if revision.revision > 1 else {},
        log=log_before(records, revision),
    )
    return revision_events.write_events(made, context, whole=whole)


def entry_of(records: Records, revision: Revision) -> Entry | None:
    """The entry of the log that names a revision's events; null when it emitted none."""
    name = f"{revision.run_id}-r{revision.revision}.parquet"
    return next((entry for entry in records.entries if entry.path and Path(entry.path).name == name), None)


def log_before(records: Records, revision: Revision) -> list[Entry]:
    """The log as it was when a revision was published."""
    own = entry_of(records, revision)
    if own is not None:
        return [entry for entry in records.entries if entry.first_position < own.first_position]
    segments = {entry.path: item for item in records.revisions if (entry := entry_of(records, item)) is not None}
    return [entry for entry in records.entries if _time_of(entry, segments) < revision.published_at]


def _time_of(entry: Entry, segments: dict[str | None, Revision]) -> str:
    """When an entry was added, as near as the log knows."""
    if entry.content is None:
        return segments[entry.path].published_at if entry.path in segments else ""
    return str(json.loads(entry.content)["time"])


def _is_earlier(run: Run, than: Run) -> bool:
    return run.provider == than.provider and run.sequence < than.sequence
