"""One reconciliation run from request to published revision: the body of the Dagster asset, and nothing of Dagster.

A run is a pure function of what it reads (inputs.RunInputs); this module decides what that is, records the run's
states, and publishes. Does not belong here: orchestration, partitions, printing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import duckdb
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from zentra_pipeline import identifiers, locks, provenance, settings
from zentra_pipeline.config.business_days import load_business_days
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.config.routing import load_routing
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.decisions import run_adjustments
from zentra_pipeline.errors import (
    DamagedFilesError,
    InputRejectedError,
    RunFailedError,
    UnconfirmedError,
    UsageError,
    ZentraError,
)
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.ingest import callback_staging, staged_digests
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import (
    dbt_execute,
    dbt_project,
    mistakes,
    revision_events,
    run_database,
    withdrawals,
)
from zentra_pipeline.reconcile.inputs import EarlierRun, RunInputs, clearing_accounts_of
from zentra_pipeline.reconcile.passed_on import files_passed_on
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.runtime import intents
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.requests import Request
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenancy import require_tenant

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
class RunRequest:
    """What is asked for: one provider's settlement file against one ledger window.

    Without `as_of` the recorded one holds, for a new run the time it is created; without `owner` the recorded one.
    `is_confirmed`: whoever asks means it, also where it looks like a mistake.
    """

    provider: str
    settlement_file: str
    ledger_window: date
    owner: str | None
    as_of: datetime | None = None
    actor: str = "cli"
    is_confirmed: bool = False


@dataclass(frozen=True)
class WindowResult:
    """What a run came to: the run as recorded, whether it published a new revision, and the dbt nodes it built."""

    run: run_store.Run
    is_new_revision: bool
    tables: dict[str, lake.PublishedTable]
    nodes: list[dbt_execute.NodeResult]
    quarantined_rows: int


@dataclass
class Followed:
    """The queued runs that were made anew: their results in order, and why others failed, by run id."""

    results: list[WindowResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def run_window(home: Home, tenant: str, request: RunRequest, progress: Progress | None = None) -> WindowResult:
    """Reconcile one window. The same facts publish nothing new; a new fact publishes a new revision.

    Raises UsageError for ids that cannot be, InputRejectedError for a settlement file that was never ingested, and
    RunFailedError (recorded with the run) when a model or a control fails; nothing is published then.
    """
    paths = require_tenant(home, tenant)
    report = progress or _silent
    engine = operational_store(paths)
    run_id = run_id_of(tenant, request)
    try:
        check_request(home, tenant, request)
        callback_staging.stage_callbacks(paths, request.provider, datetime.now(UTC))
        intents.stage_intents(paths, request.provider, datetime.now(UTC))
    except ZentraError as cause:  # whoever asked for it learns why it was never begun
        with engine.begin() as connection:
            run_queue.answer(
                connection, run_queue.begin(connection, run_id, datetime.now(UTC)), datetime.now(UTC), str(cause)
            )
        raise
    with (
        run_queue.held(paths, run_id),
        locks.holding(paths, locks.provider_lock(request.provider)),
        locks.one_of(home, settings.most_runs(), lambda: report("ingest", "waiting for another run to end")),
    ):
        with engine.begin() as connection:
            before = run_store.find(connection, run_id)
            run = find_or_create(connection, tenant, request, datetime.now(UTC))
            asked = run_queue.begin(connection, run.run_id, datetime.now(UTC))
        try:
            return _reconcile(engine, paths, run, request, asked, report)
        except Exception as cause:
            _record_failure(engine, tenant, before or run, request.actor, asked, cause)
            raise


def run_queued(home: Home, tenant: str, provider: str, progress: Progress | None = None) -> Followed:
    """Make every queued run of a provider anew that was published before, in order of creation; see run_queue.

    What fails is recorded with its run and its request, and those after it are made from what it published before.
    """
    paths = require_tenant(home, tenant)
    followed = Followed()
    while taken := run_queue.take_next(paths, provider, followed.failures.keys()):
        request, run = taken
        if progress is not None:
            progress("follow", f"{run.settlement_file} {run.ledger_window} again: {request.reason or 'it is queued'}")
        try:
            followed.results.append(run_window(home, tenant, as_request(run, request.actor), progress))
        except Exception as cause:
            followed.failures[run.run_id] = str(cause) or type(cause).__name__
    return followed


def as_request(run: run_store.Run, actor: str) -> RunRequest:
    """A recorded run as one asks for it again: its owner and as_of are the recorded ones."""
    return RunRequest(run.provider, run.settlement_file, run_queue.window_of(run), None, None, actor)


def find(home: Home, tenant: str, provider: str, settlement_file: str, ledger_window: date) -> run_store.Run | None:
    """The run a request names, where there is one already."""
    run_id = run_store.run_id_of(tenant, provider, settlement_file, ledger_window)
    with reading(operational_store(require_tenant(home, tenant))) as connection:
        return next((run for run in run_store.list_runs(connection, provider) if run.run_id == run_id), None)


def _reconcile(
    engine: Engine, paths: TenantPaths, run: run_store.Run, request: RunRequest, asked: Request | None, report: Progress
) -> WindowResult:
    report("ingest", f"reading what is known of {request.provider} up to window {run.ledger_window}")
    is_to_answer = asked is not None and asked.status == "launched"
    _set_status(engine, run.run_id, "ingesting", request.actor, asked.reason if asked and is_to_answer else None)
    inputs = gather(engine, paths, paths.root.name, run)
    staged_digests.check(engine, paths, inputs.files)
    keep = os.environ.get(KEEP_VARIABLE) == "1"
    tables: dict[str, lake.PublishedTable] = {}
    with run_database.run_database(inputs, paths.scratch / run.run_id, paths.root, keep=keep) as database:
        nodes = _build(engine, run, request, report, database)
        inputs_digest = run_database.inputs_digest(database)
        fingerprint = _fingerprint(inputs, inputs_digest, run_database.quarantined_rows(database))
        known = _revision_of(engine, run, fingerprint)
        if known is None:
            report("own", "publishing the run")
            tables = _publish(engine, paths, run, database)
    published_before = run.revision
    if known is not None:
        report("own", f"no change: revision {known.revision} is current")
        run, tables = _keep_revision(engine, run, known, inputs, fingerprint, request.actor, asked)
    else:
        run, tables = _record(engine, paths, run, inputs, inputs_digest, fingerprint, tables, request.actor, asked)
    lake.refresh(paths)
    return WindowResult(run, run.revision > published_before, tables, nodes, _quarantined_rows(inputs))


def _build(
    engine: Engine, run: run_store.Run, request: RunRequest, report: Progress, database: duckdb.DuckDBPyConnection
) -> list[dbt_execute.NodeResult]:
    """Execute the models, and record and report which part of them a run has come to."""
    _set_status(engine, run.run_id, "matching", request.actor)
    report("match", "looking for the movement of every line")
    phase = "matching"

    def on_node(name: str) -> None:
        nonlocal phase
        if phase == "matching" and name == "int_match_callback_state":
            phase = "comparing"
            _set_status(engine, run.run_id, "comparing", request.actor)
            report("compare", "comparing callback, settlement and ledger; naming breaks and their owners")

    nodes = dbt_execute.build(database, on_node)
    if phase == "matching":
        raise RunFailedError(f"run {run.run_id}: it stopped before anything was compared; run it again")
    return nodes


def _publish(
    engine: Engine, paths: TenantPaths, run: run_store.Run, database: duckdb.DuckDBPyConnection
) -> dict[str, lake.PublishedTable]:
    """Write the run's tables for its next revision.

    A sealed revision of an older release keeps its columns: where the rows in those are the same again, they are what
    is told, by the digests on record, so that a newer release alone never reopens a sealed run.
    """

    def publish(columns: Mapping[str, Sequence[str]] | None) -> dict[str, lake.PublishedTable]:
        return lake.publish(
            database,
            paths,
            provider=run.provider,
            ledger_window=run.ledger_window,
            run_id=run.run_id,
            revision=run.revision + 1,
            columns=columns,
        )

    if run.revision:
        with reading(engine) as connection:
            current = run_store.current_revision(connection, run.run_id)
            is_sealed = _is_sealed(connection, current)
        columns = lake.columns_of(current.tables)
        if is_sealed and columns != lake.declared_columns():
            tables = publish(columns)
            recorded = current.tables.items()
            if all(
                tables[name].sha256 == entry["sha256"]
                or (
                    (paths.root / entry["path"]).is_file()
                    and lake.have_same_rows(paths.root / tables[name].path, paths.root / entry["path"])
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


def _digests(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(entry["sha256"]) for name, entry in tables.items()}


def _revision_of(engine: Engine, run: run_store.Run, fingerprint: str) -> run_store.Revision | None:
    """The run's current revision when it was made from the same facts."""
    if not run.revision:
        return None
    with reading(engine) as connection:
        current = run_store.current_revision(connection, run.run_id)
    return current if current.fingerprint == fingerprint else None


def _keep_revision(
    engine: Engine,
    run: run_store.Run,
    revision: run_store.Revision,
    inputs: RunInputs,
    fingerprint: str,
    actor: str,
    asked: Request | None,
) -> tuple[run_store.Run, dict[str, lake.PublishedTable]]:
    """Leave a published revision as it is: in review, or closed when it is the one that was sealed."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        run_store.confirm_revision(connection, run.run_id, revision.revision, fingerprint, manifest(inputs))
        if run.is_void:  # it was taken back, and is there again: later runs were made without it
            run_queue.follow(connection, run_store.get(connection, run.run_id), actor, now)
        run_queue.answer(connection, asked, now)
        run = run_store.transition(connection, run.run_id, _status_at_rest(connection, run), actor, now)
    return run, {name: lake.PublishedTable(**entry) for name, entry in revision.tables.items()}


def _status_at_rest(connection: Connection, run: run_store.Run) -> str:
    """Where a published run is while nobody works on it and nothing is prepared."""
    return "closed" if _is_sealed(connection, run_store.current_revision(connection, run.run_id)) else "in_review"


def _record(
    engine: Engine,
    paths: TenantPaths,
    run: run_store.Run,
    inputs: RunInputs,
    inputs_digest: str,
    fingerprint: str,
    tables: dict[str, lake.PublishedTable],
    actor: str,
    asked: Request | None,
) -> tuple[run_store.Run, dict[str, lake.PublishedTable]]:
    """Record the revision whose files stand in the lake: that transaction is the moment the run is published.

    What turns out to be the current revision byte for byte (only an earlier run changed, in nothing that matters
    here) is not published a second time.
    """
    entries = {name: vars(table) for name, table in tables.items()}
    current = _same_content(engine, run, inputs_digest, entries)
    if current is not None:
        lake.discard(paths, tables)
        return _keep_revision(engine, run, current, inputs, fingerprint, actor, asked)
    now = datetime.now(UTC)
    context = _event_context(engine, paths, run, inputs, tables, actor, now)
    events = _write_events(paths, context)
    with reading(engine) as connection:
        shown = withdrawals.shown_before(paths, decision_store.listed(connection))
        later = run_store.later_runs(connection, run) if shown else []
        newer = [run_store.current_revision(connection, item.run_id) for item in later]
    with engine.begin() as connection:
        decided = event_log.entries(connection, after=context.last_position)
        if context.emitted and decided:  # what was emitted depends on the log, which nobody adds to any more
            events = _write_events(paths, replace(context, log=[*context.log, *decided]))
        run_store.record_revision(
            connection,
            run.run_id,
            run.revision + 1,
            fingerprint,
            inputs_digest,
            run.owner,
            run.as_of,
            entries,
            manifest(inputs),
            now,
        )
        event_log.append_file(connection, run_id=run.run_id, events=events.rows, path=events.path, sha256=events.sha256)
        exceptions, *of_later = (
            paths.root / each["exceptions"]["path"] for each in (entries, *(each.tables for each in newer))
        )
        withdrawals.withdraw(connection, inputs.tenant, run, exceptions, of_later, shown, now)
        run_queue.follow(connection, run_store.get(connection, run.run_id), actor, now)
        run_queue.answer(connection, asked, now)
        return run_store.transition(connection, run.run_id, "in_review", actor, now), tables


def _event_context(
    engine: Engine,
    paths: TenantPaths,
    run: run_store.Run,
    inputs: RunInputs,
    tables: Mapping[str, lake.PublishedTable],
    actor: str,
    now: datetime,
) -> revision_events.EventContext:
    """What the events of the revision about to be recorded are derived from."""
    with reading(engine) as connection:
        log = event_log.entries(connection)
        previous = run_store.current_revision(connection, run.run_id).tables if run.revision else {}
    return revision_events.EventContext(
        inputs=inputs,
        revision=run.revision + 1,
        actor=actor,
        now=now,
        marts={name: paths.root / table.path for name, table in tables.items()},
        previous={name: paths.root / entry["path"] for name, entry in previous.items()},
        log=log,
    )


def _write_events(paths: TenantPaths, context: revision_events.EventContext) -> lake.PublishedTable:
    """Write the events of the revision about to be recorded; they count once that transaction names the file."""
    events = revision_events.write_events(paths, context)
    if not events.rows:
        lake.discard(paths, {"events": events})
    return events


def _same_content(
    engine: Engine, run: run_store.Run, inputs_digest: str, entries: Mapping[str, Mapping[str, Any]]
) -> run_store.Revision | None:
    """The run's current revision when it holds the same bytes, made from the same rows for the same owner and as_of."""
    if not run.revision:
        return None
    with reading(engine) as connection:
        current = run_store.current_revision(connection, run.run_id)
    same = _digests(current.tables) == _digests(entries)
    made_from = (current.inputs_digest, current.owner, current.as_of)
    return current if same and made_from == (inputs_digest, run.owner, run.as_of) else None


def _quarantined_rows(inputs: RunInputs) -> int:
    return sum(file.rows_quarantined for file in inputs.files if file.provider == inputs.provider)


def gather(engine: Engine, paths: TenantPaths, tenant: str, run: run_store.Run) -> RunInputs:
    """Everything the run may see, read in one snapshot of the operational store."""
    with reading(engine) as connection:
        files = [file for kind in staged_tables.TABLE_OF_KIND for file in file_store.staged_files(connection, kind)]
        earlier = [
            _earlier_run(paths, item, run_store.current_revision(connection, item.run_id))
            for item in run_store.earlier_runs(connection, run)
        ]
        log = decision_store.listed(connection)
        passed_on = files_passed_on(run_store.runs_until(connection, run), run.run_id)
    return RunInputs(
        tenant=tenant,
        provider=run.provider,
        run_id=run.run_id,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        as_of=instant_of(run.as_of),
        owner=run.owner,
        profile=load_profile(paths, run.provider),
        routing=load_routing(paths),
        business_days=load_business_days(paths),
        files=files,
        earlier=earlier,
        decisions=run_adjustments.of_run(log, run.run_id, {item.run_id for item in earlier}),
        passed_on=passed_on,
    )


def _earlier_run(paths: TenantPaths, run: run_store.Run, revision: run_store.Revision) -> EarlierRun:
    return EarlierRun(
        run_id=run.run_id,
        sequence=run.sequence,
        revision=revision.revision,
        content_digest=_content_digest(revision),
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        tables={name: paths.root / entry["path"] for name, entry in revision.tables.items()},
        clearing_accounts=clearing_accounts_of(revision.manifest),
    )


def _content_digest(revision: run_store.Revision) -> str:
    """Digest of what a revision published, whatever it was made from."""
    content = json.dumps(_digests(revision.tables), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def manifest(inputs: RunInputs) -> dict[str, Any]:
    """Everything a revision is made from, as JSON: what an auditor reads, and enough to make it again."""
    return {
        "run": {
            "tenant": inputs.tenant,
            "provider": inputs.provider,
            "run_id": inputs.run_id,
            "settlement_file": inputs.settlement_file,
            "ledger_window": inputs.ledger_window.isoformat(),
            "as_of": instant_text(inputs.as_of),
            "owner": inputs.owner,
        },
        "files": [
            {
                "sequence": file.sequence,
                "kind": file.kind,
                "provider": file.provider,
                "file_id": file.file_id,
                "sha256": file.sha256,
                "size": file.byte_size,
            }
            for file in inputs.files
        ],
        "profile": inputs.profile.model_dump(mode="json"),
        "routing": [rule.model_dump(mode="json") for rule in inputs.routing],
        "business_days": {
            "weekend": sorted(inputs.business_days.weekend),
            "holidays": sorted(map(str, inputs.business_days.holidays)),
        },
        "earlier": [{"run_id": earlier.run_id, "revision": earlier.revision} for earlier in inputs.earlier],
        "decisions": inputs.decisions.content(),
        "rules": dbt_project.digest(),
        "code": provenance.code_digest(),
        **_passed_on(inputs),
    }


def _passed_on(inputs: RunInputs) -> dict[str, dict[str, str]]:
    """The files whose rows went on to a later run; nothing where there is none, so that digests stay what they were."""
    return {"passed_on": dict(inputs.passed_on)} if inputs.passed_on else {}


def _fingerprint(inputs: RunInputs, inputs_digest: str, quarantined_rows: Mapping[str, int]) -> str:
    """Digest of all that the published tables depend on: rows, scope, profile, routing, rules, runs, decisions."""
    content = {
        "inputs": inputs_digest,
        "quarantined": dict(quarantined_rows),
        "scope": [inputs.tenant, inputs.run_id, inputs.owner, inputs.as_of.isoformat()],
        "profile": inputs.profile.digest(),
        "routing": [rule.model_dump(mode="json") for rule in inputs.routing],
        "business_days": [sorted(inputs.business_days.weekend), sorted(map(str, inputs.business_days.holidays))],
        "rules": dbt_project.digest(),
        "earlier": [[earlier.run_id, earlier.content_digest] for earlier in inputs.earlier],
        "decisions": inputs.decisions.content(),
        **_passed_on(inputs),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_request(home: Home, tenant: str, request: RunRequest, now: datetime | None = None) -> None:
    """Refuse what can never be a run, before anything is recorded; errors as run_window's."""
    paths = require_tenant(home, tenant)
    identifiers.provider_id(request.provider)
    identifiers.settlement_file_id(request.settlement_file)
    if request.owner is not None and not request.owner.strip():
        raise UsageError("an owner must not be blank: name the person or team that answers for the run")
    access.require_names_of_run(home, tenant, request.actor, request.owner)
    load_profile(paths, request.provider)
    load_routing(paths)
    load_business_days(paths)
    with reading(operational_store(paths)) as connection:
        ingested = file_store.staged_files(connection, "settlement")
        known = run_store.find(connection, run_id_of(tenant, request))
    if known is None and not request.is_confirmed:
        mistakes.check_provider(paths, request.provider)
        mistakes.check_window(paths, request.provider, request.ledger_window, now or datetime.now(UTC))
    if known is not None and known.is_void and not request.is_confirmed:
        raise UnconfirmedError(
            f"run {known.run_id} was taken back; `reason` in the run says why. Do you want it again?"
        )
    if not any(file.file_id == request.settlement_file and file.provider == request.provider for file in ingested):
        raise InputRejectedError(
            f"settlement file {request.settlement_file!r} of {request.provider} was never ingested: "
            "ingest it as a settlement file first",
            remedy=Remedy(
                "ingest the settlement file",
                "ingest_settlement",
                {"provider": request.provider, "settlement_file": request.settlement_file},
            ),
        )


def run_id_of(tenant: str, request: RunRequest) -> str:
    """The id of the run a request names."""
    return run_store.run_id_of(tenant, request.provider, request.settlement_file, request.ledger_window)


def find_or_create(connection: Connection, tenant: str, request: RunRequest, now: datetime) -> run_store.Run:
    """The run of a request, made, with its event, when it is new; needs a write transaction."""
    run = run_store.find_or_create(
        connection,
        tenant=tenant,
        provider=request.provider,
        settlement_file=request.settlement_file,
        ledger_window=request.ledger_window,
        owner=request.owner,
        actor=request.actor,
        as_of=request.as_of,
        now=now,
    )
    created = run_event("reconciliation.run.created", tenant, run, [run.run_id], run.actor, instant_of(run.created_at))
    event_log.append(connection, created)
    return run


def run_event(
    event_type: str,
    tenant: str,
    run: run_store.Run,
    fact: Sequence[str],
    actor: str,
    at: datetime,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A CloudEvent about a run, which tells the run's request and `data`."""
    about = {
        "provider": run.provider,
        "settlement_file": run.settlement_file,
        "ledger_window": run.ledger_window,
        "owner": run.owner,
    }
    return cloud_event(
        event_type,
        tenant=tenant,
        fact=fact,
        subject=run.run_id,
        run_id=run.run_id,
        actor=actor,
        at=at,
        data=about | dict(data or {}),
    )


def _set_status(engine: Engine, run_id: str, status: str, actor: str, detail: str | None = None) -> run_store.Run:
    with engine.begin() as connection:
        return run_store.transition(connection, run_id, status, actor, datetime.now(UTC), detail)


def _record_failure(
    engine: Engine, tenant: str, before: run_store.Run, actor: str, asked: Request | None, cause: Exception
) -> None:
    """Record that an execution failed: of the run, unless it was published meanwhile or is no worse for it.

    A process that lost a race, or that the machine let down (a file it cannot read, memory, disk), says nothing about
    a run that is published: that goes back to where it was, and the reason stays with the request and in its history.
    """
    reason = str(cause) if isinstance(cause, ZentraError) else f"{type(cause).__name__}: {cause}"
    reason = reason or type(cause).__name__
    now = datetime.now(UTC)
    with engine.begin() as connection:
        run = run_store.get(connection, before.run_id)
        if run.revision > before.revision:  # somebody else was first
            return
        run_queue.answer(connection, asked, now, reason)
        if run.is_published and isinstance(cause, _OF_THE_MACHINE) and before.status != "failed":
            status = before.status if before.status in _AT_REST else _status_at_rest(connection, run)
            run_store.transition(connection, run.run_id, status, actor, now, f"not run again: {reason}")
            return
        run = run_store.transition(connection, run.run_id, "failed", actor, now, reason)
        attempts = sum(step.status == "failed" for step in run_store.transitions(connection, run.run_id))
        event = run_event(
            "reconciliation.run.failed", tenant, run, [run.run_id, str(attempts)], actor, now, {"failure": reason}
        )
        event_log.append(connection, event)


def _silent(step: str, message: str) -> None:
    del step, message
