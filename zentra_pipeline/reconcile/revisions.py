"""A run's revisions: its tables written, kept or recorded; the record is what publishes. Building them: window_run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import duckdb
from sqlalchemy import Connection

from zentra_pipeline.published import lake_files
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import dbt_project, fingerprint, revision_events, withdrawals
from zentra_pipeline.reconcile.inputs import RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.requests import Request
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class Execution:
    """One execution of a run as it was recorded before: who has it made, and the queued request that it answers."""

    tenant: Tenant
    run: run_store.Run
    actor: str
    asked: Request | None


def write_tables(
    tenant: Tenant, run: run_store.Run, database: duckdb.DuckDBPyConnection
) -> dict[str, lake_files.PublishedFile]:
    """Write the run's tables for its next revision.

    A sealed revision of an older release keeps its columns: where the rows in those are the same again, they are what
    is published, by the digests on record, so that a newer release alone never reopens a sealed run.
    """

    def publish(columns: Mapping[str, Sequence[str]] | None) -> dict[str, lake_files.PublishedFile]:
        return lake_files.publish(
            database,
            tenant.paths,
            provider=run.provider,
            ledger_window=run.ledger_window,
            run_id=run.run_id,
            revision=run.revision + 1,
            columns=columns,
        )

    if run.revision:
        with tenant.reading() as connection:
            current = run_store.current_revision(connection, run.run_id)
            is_sealed = _is_sealed(connection, current)
        columns = lake_files.columns_of(current.tables)
        declared = lake_files.declared_columns()
        if is_sealed and any(columns.get(name) != declared[name] for name in lake_files.tables_of(run.provider)):
            tables = publish(columns)
            recorded = current.tables.items()
            if all(
                tables[name].sha256 == entry["sha256"]
                or (
                    (tenant.paths.root / entry["path"]).is_file()
                    and lake_files.have_same_rows(
                        tenant.paths.root / tables[name].path, tenant.paths.root / entry["path"]
                    )
                )
                for name, entry in recorded
            ):
                return {name: replace(tables[name], sha256=entry["sha256"]) for name, entry in recorded}
    return publish(None)


def _is_sealed(connection: Connection, revision: run_store.Revision) -> bool:
    return any(
        closeout.chain_sequence is not None and closeout.run_revision == revision.revision
        for closeout in closeout_store.of_run(connection, revision.run_id)
    )


def made_from(tenant: Tenant, run: run_store.Run, digest: str) -> run_store.Revision | None:
    """The run's current revision when it was made from the same facts."""
    if not run.revision:
        return None
    with tenant.reading() as connection:
        current = run_store.current_revision(connection, run.run_id)
    return current if current.fingerprint == digest else None


def keep(
    execution: Execution, revision: run_store.Revision, inputs: RunInputs, digest: str
) -> tuple[run_store.Run, dict[str, lake_files.PublishedFile]]:
    """Leave a published revision as it is: in review, or closed when it is the one that was sealed.

    Files that came since and changed nothing stay apart from those it was made from: it counts no row of theirs, and
    the next run counts their repeats.
    """
    run, actor, now = execution.run, execution.actor, datetime.now(UTC)
    manifest = fingerprint.manifest(inputs)
    if revision.fingerprint == digest and "files" in revision.manifest:
        manifest = fingerprint.with_files_apart(manifest, revision.manifest["files"])
    with execution.tenant.writing() as connection:
        run_store.confirm_revision(connection, run.run_id, revision.revision, digest, manifest)
        if run.is_void:  # it was taken back, and is there again: later runs were made without it
            run_queue.follow(connection, run_store.get(connection, run.run_id), actor, now)
        run_queue.answer(connection, execution.asked, now)
        run = run_store.transition(connection, run.run_id, status_at_rest(connection, run), actor, now)
    return run, {name: lake_files.PublishedFile(**entry) for name, entry in revision.tables.items()}


def status_at_rest(connection: Connection, run: run_store.Run) -> str:
    """Where a published run is while nobody works on it and nothing is prepared."""
    return "closed" if _is_sealed(connection, run_store.current_revision(connection, run.run_id)) else "in_review"


def record(
    execution: Execution,
    inputs: RunInputs,
    inputs_digest: str,
    digest: str,
    tables: dict[str, lake_files.PublishedFile],
) -> tuple[run_store.Run, dict[str, lake_files.PublishedFile]]:
    """Record the revision whose files are in the lake: that transaction is the moment the run is published.

    What turns out to be the current revision (only an earlier run changed, in nothing that matters here, or rules that
    say the same) is not published a second time. `digest` is the fingerprint of the inputs.
    """
    tenant, run, actor = execution.tenant, execution.run, execution.actor
    entries = {name: vars(table) for name, table in tables.items()}
    current = _same_content(tenant, run, inputs_digest, entries)
    if current is not None:
        lake_files.discard(tenant.paths, tables)
        return keep(execution, current, inputs, digest)
    now = datetime.now(UTC)
    context = _event_context(tenant, run, inputs, tables, actor, now)
    events = _write_events(tenant.paths, context)
    with tenant.reading() as connection:
        shown = withdrawals.shown_before(tenant.paths, decision_store.listed(connection))
        later = run_store.later_runs(connection, run) if shown else []
        before = run_store.current_revision(connection, run.run_id).tables.get("payouts") if run.revision else None
        newer = [run_store.current_revision(connection, item.run_id) for item in later]
    with tenant.writing() as connection:
        decided = event_log.entries(connection, after=context.last_position)
        if context.emitted and decided:  # what was emitted depends on the log, which nobody adds to any more
            events = _write_events(tenant.paths, replace(context, log=[*context.log, *decided]))
        run_store.record_revision(
            connection,
            run.run_id,
            run.revision + 1,
            digest,
            inputs_digest,
            run.owner,
            run.as_of,
            entries,
            fingerprint.manifest(inputs),
            now,
        )
        event_log.append_file(connection, run_id=run.run_id, events=events.rows, path=events.path, sha256=events.sha256)
        exceptions, *of_later = (
            tenant.paths.root / each["exceptions"]["path"] for each in (entries, *(each.tables for each in newer))
        )
        withdrawals.withdraw(connection, inputs.tenant, run, exceptions, of_later, shown, now)
        recorded = run_store.get(connection, run.run_id)
        run_queue.follow(connection, recorded, actor, now)
        if _has_other_payouts(entries, before):
            accounts = frozenset(inputs.profile.payout_account.values())
            run_queue.follow_payouts(connection, recorded, accounts, actor, now)
        run_queue.answer(connection, execution.asked, now)
        return run_store.transition(connection, run.run_id, "in_review", actor, now), tables


def _has_other_payouts(entries: Mapping[str, Mapping[str, Any]], before: Mapping[str, Any] | None) -> bool:
    """Whether a revision's payouts are others than those of the revision before, none where there was none."""
    now = entries.get("payouts")
    if now is None or before is None:
        return now is not None and bool(now["rows"])
    return bool(now["sha256"] != before["sha256"])


def _event_context(
    tenant: Tenant,
    run: run_store.Run,
    inputs: RunInputs,
    tables: Mapping[str, lake_files.PublishedFile],
    actor: str,
    now: datetime,
) -> revision_events.EventContext:
    """What the events of the revision about to be recorded are derived from."""
    with tenant.reading() as connection:
        log = event_log.entries(connection)
        previous = run_store.current_revision(connection, run.run_id).tables if run.revision else {}
    return revision_events.EventContext(
        inputs=inputs,
        revision=run.revision + 1,
        actor=actor,
        now=now,
        marts={name: tenant.paths.root / table.path for name, table in tables.items()},
        previous={name: tenant.paths.root / entry["path"] for name, entry in previous.items()},
        log=log,
    )


def _write_events(paths: TenantPaths, context: revision_events.EventContext) -> lake_files.PublishedFile:
    """Write the events of the revision about to be recorded; they count once that transaction names the file."""
    events = revision_events.write_events(paths, context)
    if not events.rows:
        lake_files.discard(paths, {"events": events})
    return events


def _same_content(
    tenant: Tenant, run: run_store.Run, inputs_digest: str, entries: Mapping[str, Mapping[str, Any]]
) -> run_store.Revision | None:
    """The run's current revision when it holds the same, made from the same rows for the same owner and as_of.

    That is the same bytes; where it was made by other rules the same rows, which those of today may write otherwise.
    """
    if not run.revision:
        return None
    with tenant.reading() as connection:
        current = run_store.current_revision(connection, run.run_id)
    is_from = (current.inputs_digest, current.owner, current.as_of) == (inputs_digest, run.owner, run.as_of)
    if not is_from or current.tables.keys() != entries.keys():
        return None
    apart = [name for name, entry in entries.items() if entry["sha256"] != current.tables[name]["sha256"]]
    if apart and current.manifest.get("rules") == dbt_project.digest():
        return None
    columns = lake_files.columns_of(current.tables)
    is_same = all(_has_same_rows(tenant, current, columns[name], entries[name], name) for name in apart)
    return current if is_same else None


def _has_same_rows(
    tenant: Tenant, revision: run_store.Revision, columns: Sequence[str], entry: Mapping[str, Any], name: str
) -> bool:
    """Whether a table as it was made now has the columns and rows of the one that the revision published."""
    published, made = (tenant.paths.root / path for path in (revision.tables[name]["path"], entry["path"]))
    if list(columns) != list(entry["columns"]) or entry["rows"] != revision.tables[name].get("rows", entry["rows"]):
        return False
    return published.is_file() and lake_files.have_same_rows(published, made)
