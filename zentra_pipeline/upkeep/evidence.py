"""Makes again what a revision told and what a closeout sealed: its events and its evidence, from tables made anew.

Both read the tenant's records from a copy of the store beside the remade lake. Does not belong here: making tables
(remake), or judging what came out.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from zentra_pipeline import lake
from zentra_pipeline.closeout import books as closeout_books
from zentra_pipeline.closeout import bundle_files
from zentra_pipeline.closeout.closing import APPROVE
from zentra_pipeline.events import run_events
from zentra_pipeline.scratch import EarlierRun, RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.instants import instant_of
from zentra_pipeline.store.runs import Revision, Run


@dataclass(frozen=True)
class RemadeEvidence:
    """The evidence of a closeout made anew: root, rows, the leaves as a bundle holds them, and the lake's file."""

    root: str
    rows: int
    leaves: Path
    table: Path


def copy_store(paths: TenantPaths, made: TenantPaths) -> None:
    """Give `made` a store of its own that says what the tenant's says at this moment."""
    with (
        closing(sqlite3.connect(paths.operational_store)) as source,
        closing(sqlite3.connect(made.operational_store)) as target,
    ):
        source.backup(target)


def borrow(paths: TenantPaths, made: TenantPaths, relative: Iterable[str]) -> None:
    """Let published files be found below `made` where they were not made anew."""
    for path in relative:
        here, there = made.root / path, paths.root / path
        if not here.exists() and there.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(there)


def remake_evidence(
    made: TenantPaths, closeout: Closeout, run: Run, revision: Revision, decisions: Sequence[Decision]
) -> RemadeEvidence:
    """The evidence of a closeout from the tables below `made`, judged by the decisions it knew."""
    known = decisions_known(closeout, decisions)
    opened: AbstractContextManager[closeout_books.Books] = closeout_books.opened(made, run, revision, known)
    leaves = made.root / "evidence" / f"{closeout.closeout_id}.jsonl"
    table = made.root / str(closeout.evidence_path or f"evidence/{closeout.closeout_id}.parquet")
    for path in (leaves, table):
        path.parent.mkdir(parents=True, exist_ok=True)
    with opened as books:
        root, rows = bundle_files.write_evidence(books, leaves)
        bundle_files.write_evidence_table(books, closeout.closeout_id, table)
    return RemadeEvidence(root, rows, leaves, table)


def decisions_known(closeout: Closeout, decisions: Sequence[Decision]) -> list[Decision]:
    """The log as it was when the closeout was sealed."""
    approvals = [
        decision.sequence
        for decision in decisions
        if decision.action == APPROVE and decision.details.get("closeout_id") == closeout.closeout_id
    ]
    return [decision for decision in decisions if not approvals or decision.sequence < approvals[0]]


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
    engine: Engine,
    made: TenantPaths,
    inputs: RunInputs,
    revision: Revision,
    tables: Mapping[tuple[str, int], Mapping[str, Path]],
    told: Sequence[Path],
) -> lake.PublishedTable:
    """The events a revision told when it was published, from the revisions that stood then; `told` came before."""
    with reading(engine) as connection:
        runs = {run.run_id: run for run in run_store.list_runs(connection, inputs.provider)}
        revisions = [item for run_id in runs for item in run_store.revisions(connection, run_id)]
        changes = run_store.transitions(connection, revision.run_id)
    before = [item for item in revisions if item.published_at < revision.published_at]
    stood = {item.run_id: item for item in before if runs[item.run_id].sequence < runs[revision.run_id].sequence}
    former = tables.get((revision.run_id, revision.revision - 1), {})
    telling = run_events.Telling(
        inputs=replace(inputs, earlier=[_earlier(runs[run_id], item, tables) for run_id, item in stood.items()]),
        revision=revision.revision,
        actor=next((change.actor for change in changes if change.at == revision.published_at), inputs.owner),
        now=instant_of(revision.published_at),
        marts=tables[revision.run_id, revision.revision],
        previous=former if told else {},
        told=told,
    )
    return run_events.write(made, telling)


def _earlier(run: Run, revision: Revision, tables: Mapping[tuple[str, int], Mapping[str, Path]]) -> EarlierRun:
    return EarlierRun(
        run_id=run.run_id,
        sequence=run.sequence,
        revision=revision.revision,
        content_digest="",
        settlement_file=run.settlement_file,
        ledger_window=inputs_day(run),
        tables=dict(tables[revision.run_id, revision.revision]),
    )
