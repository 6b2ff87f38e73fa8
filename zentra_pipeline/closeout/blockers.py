"""What keeps a run from being closed, each with what clears it; closing itself does not belong here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.instants import instant_of
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import continuity
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.files import StagedFile

QUARANTINE_ACCEPTED: Final = "accept_quarantine"
_CLOSABLE: Final = ("in_review", "closing", "closed")
# The run carries the subject of an exception of an earlier run, so it is in the evidence as well.
_IS_SEALED: Final = """(
    (subject_type = 'settlement_line' and subject_id in (select line_id from items where line_id is not null))
    or (subject_type = 'ledger_transaction' and (subject_id, currency) in (
        select (transaction_id, currency) from items where transaction_id is not null
    ))
    or (subject_type = 'callback' and subject_id in (
        select provider_event_id from items where provider_event_id is not null
    ))
)"""


@dataclass(frozen=True)
class Blocker:
    """One blocker: what it is (`open_exception`, …), what it is about, the fact, and what clears it."""

    kind: str
    subject: str
    explanation: str
    remedy: Remedy


def of_run(run: run_store.Run) -> list[Blocker]:
    """A run that has published nothing, is at work or has failed cannot be closed."""
    if run.revision and run.status in _CLOSABLE:
        return []
    state = f"it is {run.status}" + (f": {run.failure}" if run.failure else "")
    remedy = Remedy("run the window again, and close it when it is in review", "run_window", _about(run))
    return [Blocker("run_not_in_review", run.run_id, state, remedy)]


def of_facts(
    run: run_store.Run, revision: run_store.Revision, files: Sequence[StagedFile], window_ends_at: datetime
) -> list[Blocker]:
    """Files that arrived after the revision was made, and hold rows it should have seen."""
    known = revision.files_seen
    return [
        Blocker(
            "newer_facts",
            file.file_id,
            f"{file.kind} file {file.file_id} arrived after revision {revision.revision} and may belong to it",
            Remedy("run the window again", "run_window", _about(run)),
        )
        for file in files
        if file.sequence not in known and file.rows_staged and _concerns(run, file, window_ends_at)
    ]


def _concerns(run: run_store.Run, file: StagedFile, window_ends_at: datetime) -> bool:
    first_at = instant_of(file.first_at) if file.first_at else None
    if file.kind == staged_tables.BANK_KIND:
        return identifiers.account_of(run.provider) is not None and (first_at is None or first_at < window_ends_at)
    if file.kind == "settlement":
        return (file.provider, file.file_id) == (run.provider, run.settlement_file)
    if file.kind == "ledger":
        return file.provider == run.provider and (first_at is None or first_at < window_ends_at)
    return file.provider == run.provider and (first_at is None or first_at <= instant_of(run.as_of))


def of_opening(connection: Connection, paths: TenantPaths, run: run_store.Run) -> list[Blocker]:
    """The run, or one before it, has to be made again first; or it does not open with what that one closed with."""
    waiting = run_queue.waiting_before(connection, run)
    if waiting:
        return [
            Blocker(
                "stale_opening" if before.run != run or before.is_rerun_after_change else "newer_facts",
                before.run.run_id,
                f"{before.reason or 'it was asked for again'}, {before.failure or 'and waits for its turn'}",
                Remedy("run that window again", "run_window", _about(before.run)),
            )
            for before in waiting
        ]
    earlier = run_store.earlier_runs(connection, run)
    revision = run_store.current_revision(connection, run.run_id)
    changed = continuity.outdated(revision, {item.run_id: item.revision for item in earlier})
    if changed:
        explanation = f"{', '.join(changed)} changed after it was made"
        return [
            Blocker("stale_opening", run.run_id, explanation, Remedy("run the window again", "run_window", _about(run)))
        ]
    before_it = continuity.predecessor(earlier, run)
    if before_it is None:
        return []
    closed_with = run_store.current_revision(connection, before_it.run_id)
    return [
        Blocker("stale_opening", run.run_id, str(gap), Remedy("run the window again", "run_window", _about(run)))
        for gap in continuity.gaps(paths, closed_with, revision)
    ]


def of_tables(opened: CloseoutTables, decisions: Sequence[Decision]) -> list[Blocker]:
    """Open exceptions of a type that blocks, which the run opened or whose subject it seals; and quarantined rows."""
    return [*_open_exceptions(opened), *_quarantine(opened, decisions)]


def _open_exceptions(opened: CloseoutTables) -> list[Blocker]:
    blocking = {row.exception_type for row in vocabulary.exception_types() if row.is_blocking}
    rows = opened.rows(
        f"""select exception_id, exception_type, status, owner, explanation, run_id from exceptions
            where status <> 'resolved' and (run_id = '{opened.run.run_id}' or {_IS_SEALED}) order by exception_id"""
    )
    return [
        Blocker(
            "open_exception",
            row["exception_id"],
            f"{row['exception_type']} is {row['status'].replace('_', ' ')} ({row['owner']}): {row['explanation']}"
            + (f"; run {row['run_id']} opened it" if row["run_id"] != opened.run.run_id else ""),
            _remedy(row["exception_id"], row["status"]),
        )
        for row in rows
        if row["exception_type"] in blocking
    ]


def _remedy(exception_id: str, status: str) -> Remedy:
    if status == "pending_approval":
        return Remedy("have a second person approve or reject it", "approve_exception", {"exception_id": exception_id})
    return Remedy("resolve it, or accept it as timing", "resolve_exception", {"exception_id": exception_id})


def _quarantine(opened: CloseoutTables, decisions: Sequence[Decision]) -> list[Blocker]:
    (found,) = opened.rows("select cast(coalesce(sum(quarantined), 0) as bigint) as rows from conservation")
    rows = int(found["rows"])
    accepted = {
        decision.details.get("quarantined_rows")
        for decision in decisions
        if decision.action == QUARANTINE_ACCEPTED and decision.run_id == opened.run.run_id
    }
    if not rows or rows in accepted:
        return []
    return [
        Blocker(
            "quarantined_rows",
            opened.run.run_id,
            f"{rows} input row{'s are' if rows > 1 else ' is'} in quarantine and in no total",
            Remedy(
                "correct and ingest them again, or accept them with a reason",
                "accept_quarantine",
                {"run_id": opened.run.run_id},
            ),
        )
    ]


def _about(run: run_store.Run) -> dict[str, str]:
    """What a request for the run names."""
    return {name: getattr(run, name) for name in ("provider", "settlement_file", "ledger_window", "owner")}


def registered(connection: Connection) -> list[StagedFile]:
    """Every registered file of every kind."""
    return [file for kind in identifiers.FILE_KINDS for file in file_store.staged_files(connection, kind)]
