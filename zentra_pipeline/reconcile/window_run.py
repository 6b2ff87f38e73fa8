"""One reconciliation run from request to published revision: the body of the Dagster asset, and nothing of Dagster.

A run is a pure function of what it reads (inputs.RunInputs, which gather reads). Does not belong here: what may be
asked for (run_requests), what becomes of its tables (revisions), orchestration, partitions, printing.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import duckdb
from sqlalchemy.exc import SQLAlchemyError

from zentra_pipeline import locks, settings, traces
from zentra_pipeline.errors import DamagedFilesError, RunFailedError, ZentraError
from zentra_pipeline.ingest import callback_staging, staged_digests
from zentra_pipeline.published import lake, lake_files
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import (
    dbt_execute,
    fingerprint,
    gather,
    revisions,
    run_database,
    run_kinds,
    run_requests,
    visible_rows,
)
from zentra_pipeline.reconcile.inputs import RunInputs
from zentra_pipeline.reconcile.revisions import Execution
from zentra_pipeline.runtime import intents
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

Progress = Callable[[str, str], None]
KEEP_VARIABLE = "ZENTRA_KEEP_DATABASE"
# Where a published run is when nobody works on it, and faults that say nothing about the run itself.
_AT_REST: Final = ("in_review", "closing", "closed")
_OF_THE_MACHINE: Final = (
    OSError,
    MemoryError,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    SQLAlchemyError,
    DamagedFilesError,
)


@dataclass(frozen=True)
class WindowResult:
    """What a run came to: the run as recorded, whether it published a new revision, and the dbt nodes it built."""

    run: run_store.Run
    is_new_revision: bool
    tables: dict[str, lake_files.PublishedFile]
    nodes: list[dbt_execute.NodeResult]
    quarantined_rows: int


@dataclass
class Followed:
    """The queued runs that were made again: their results in order, and why others failed, by run id."""

    results: list[WindowResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def run_window(tenant: Tenant, request: run_requests.RunRequest, progress: Progress | None = None) -> WindowResult:
    """Reconcile one window. The same facts publish nothing new; a new fact publishes a new revision.

    Raises UsageError for ids that cannot be, InputRejectedError for a settlement file that was never ingested, and
    RunFailedError (recorded with the run) when a model or a control fails; nothing is published then.
    """
    report = progress or _silent
    run_id = run_requests.run_id_of(tenant.name, request)
    try:
        run_requests.check_request(tenant, request)
        callback_staging.stage_callbacks(tenant, request.provider, datetime.now(UTC))
        intents.stage_intents(tenant, request.provider, datetime.now(UTC))
    except ZentraError as cause:  # whoever asked for it learns why it was never begun
        with tenant.writing() as connection:
            run_queue.answer(
                connection, run_queue.begin(connection, run_id, datetime.now(UTC)), datetime.now(UTC), str(cause)
            )
        raise
    with (
        run_queue.lease_renewed(tenant, run_id),
        tenant.holding(locks.provider_lock(request.provider)),
        locks.one_of(tenant.home, settings.most_runs(), lambda: report("ingest", "waiting for another run to end")),
    ):
        with tenant.writing() as connection:
            before = run_store.find(connection, run_id)
            run = run_requests.find_or_create(connection, tenant.name, request, datetime.now(UTC))
            asked = run_queue.begin(connection, run.run_id, datetime.now(UTC))
        execution = Execution(tenant, run, request.actor, asked)
        try:
            facts = {"run_id": run.run_id, "provider": run.provider, "ledger_window": run.ledger_window}
            with traces.span("run", tenant=tenant.name, **facts):
                return _reconcile(execution, report)
        except Exception as cause:
            _record_failure(execution, before or run, cause)
            raise


def run_queued(tenant: Tenant, provider: str, progress: Progress | None = None) -> Followed:
    """Make every queued run of a provider again that was published before, in order of creation; see run_queue.

    Those of bank accounts that its payouts go to come after them. What fails is recorded with its run and its request,
    and those after it are made from what it published before.
    """
    followed = Followed()
    _make_again(tenant, provider, followed, progress)
    for scope in run_queue.accounts_waiting(tenant):  # payouts of the provider came or changed
        _make_again(tenant, scope, followed, progress)
    return followed


def _make_again(tenant: Tenant, provider: str, followed: Followed, progress: Progress | None) -> None:
    while taken := run_queue.take_next(tenant, provider, followed.failures.keys()):
        request, run = taken
        if progress is not None:
            progress("follow", f"{run.settlement_file} {run.ledger_window} again: {request.reason or 'it is queued'}")
        try:
            followed.results.append(run_window(tenant, run_requests.as_request(run, request.actor), progress))
        except Exception as cause:
            followed.failures[run.run_id] = str(cause) or type(cause).__name__


def _reconcile(execution: Execution, report: Progress) -> WindowResult:
    tenant, run, asked = execution.tenant, execution.run, execution.asked
    report("ingest", f"reading what is known of {run.provider} up to window {run.ledger_window}")
    is_to_answer = asked is not None and asked.status == "launched"
    _set_status(execution, "ingesting", asked.reason if asked and is_to_answer else None)
    with traces.span("gather inputs"):
        inputs = gather.run_inputs(tenant, run)
    keep = os.environ.get(KEEP_VARIABLE) == "1"
    tables: dict[str, lake_files.PublishedFile] = {}
    check = partial(staged_digests.check, tenant)
    with run_database.run_database(
        inputs,
        tenant.paths.scratch / run.run_id,
        tenant.paths.root,
        keep=keep,
        check=check,
    ) as database:
        with traces.span("build models"):
            nodes = _build(execution, report, database, keep=keep)
        inputs = replace(inputs, missed_callbacks=run_database.callbacks_come_since(database, inputs))
        inputs_digest = run_database.inputs_digest(database)
        outcomes = run_database.outcome_digest(database, inputs)
        digest = fingerprint.fingerprint(inputs, inputs_digest, outcomes, run_database.quarantined_rows(database))
        known = revisions.made_from(tenant, run, digest)
        if known is None:
            report("own", "publishing the run")
            if not keep:  # sorting what is published needs the room of the rows that were seen
                kind = run_kinds.of_scope(execution.run.provider)
                dbt_execute.drop_read_tables(database, run_database.READ_AFTERWARDS, run_database.PUBLISHED_FROM, kind)
            with traces.span("write tables"):
                tables = revisions.write_tables(tenant, run, database)
    published_before = run.revision
    if known is not None:
        report("own", f"no change: revision {known.revision} is current")
        run, tables = revisions.keep(execution, known, inputs, digest)
    else:
        run, tables = revisions.record(execution, inputs, inputs_digest, digest, tables)
    lake.refresh(tenant.paths)
    if known is None:
        published = {name: tenant.paths.root / table.path for name, table in tables.items()}
        visible_rows.write_key_files(inputs, published, tenant.paths.root, check)
    return WindowResult(run, run.revision > published_before, tables, nodes, _quarantined_rows(inputs))


def _build(
    execution: Execution, report: Progress, database: duckdb.DuckDBPyConnection, *, keep: bool
) -> list[dbt_execute.NodeResult]:
    """Execute the models, and record and report which part of them a run has come to; with `keep` all tables stay."""
    _set_status(execution, "matching")
    report("match", "looking for the movement of every line")
    phase = "matching"

    def on_node(name: str) -> None:
        nonlocal phase
        if phase == "matching" and name == "int_match_callback_state":
            phase = "comparing"
            _set_status(execution, "comparing")
            report("compare", "comparing callback, settlement and ledger; naming breaks and their owners")

    read = None if keep else run_database.READ_AFTERWARDS
    folder = execution.tenant.paths.scratch / execution.run.run_id
    nodes = dbt_execute.build(database, on_node, read, run_kinds.of_scope(execution.run.provider), folder)
    if phase == "matching":
        raise RunFailedError(f"run {execution.run.run_id}: it stopped before anything was compared; run it again")
    return nodes


def _quarantined_rows(inputs: RunInputs) -> int:
    return sum(file.rows_quarantined for file in inputs.files if file.provider == inputs.provider)


def _set_status(execution: Execution, status: str, detail: str | None = None) -> None:
    with execution.tenant.writing() as connection:
        run_store.transition(connection, execution.run.run_id, status, execution.actor, datetime.now(UTC), detail)


def _record_failure(execution: Execution, before: run_store.Run, cause: Exception) -> None:
    """Record that an execution failed: of the run, unless it was published meanwhile or is no worse for it.

    A process that lost a race, or that the machine let down (a file it cannot read, memory, disk), says nothing about
    a run that is published: that goes back to where it was, and the reason stays with the request and in its history.
    """
    reason = str(cause) if isinstance(cause, ZentraError) else f"{type(cause).__name__}: {cause}"
    reason = reason or type(cause).__name__
    actor, now = execution.actor, datetime.now(UTC)
    with execution.tenant.writing() as connection:
        run = run_store.get(connection, before.run_id)
        if run.revision > before.revision:  # somebody else was first
            return
        run_queue.answer(connection, execution.asked, now, reason)
        if run.is_published and isinstance(cause, _OF_THE_MACHINE) and before.status != "failed":
            status = before.status if before.status in _AT_REST else revisions.status_at_rest(connection, run)
            run_store.transition(connection, run.run_id, status, actor, now, f"not run again: {reason}")
            return
        run = run_store.transition(connection, run.run_id, "failed", actor, now, reason)
        attempts = sum(step.status == "failed" for step in run_store.transitions(connection, run.run_id))
        fact = [run.run_id, str(attempts)]
        event = run_requests.run_event(
            "reconciliation.run.failed", execution.tenant.name, run, fact, actor, now, {"failure": reason}
        )
        event_log.append(connection, event)


def _silent(step: str, message: str) -> None:
    del step, message
