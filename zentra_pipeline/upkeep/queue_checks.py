"""Checks of the queue of runs, of what follows from one run to the next, and of Dagster's files. Changes nothing."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile import continuity
from zentra_pipeline.settings import Home
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants import dagster_files
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.records import Records

# A request that waits so long waits for nobody.
_PATIENCE = timedelta(minutes=10)


def check_requests(records: Records) -> Iterator[Finding]:
    """Every request has been executed, is being executed, or waits for somebody who serves."""
    now = datetime.now(UTC)
    for request in records.requests.values():
        run = records.runs_by_id[request.run_id]
        remedy = f"start `zentra serve`, or: {run_again(records.tenant.name, run)}"
        if request.is_cut_off(now):
            what = f"{request.launched_by} launched it, asked for at {request.requested_at}, and is dead"
            yield Finding("requests", run.run_id, ERROR, what, remedy)
        elif request.status == "queued":
            is_stuck = now - instant_of(request.requested_at) > _PATIENCE
            what = f"it is queued since {request.requested_at}" + (", and nobody serves" if is_stuck else "")
            yield Finding("requests", run.run_id, ERROR if is_stuck else NOTE, what, remedy)
        elif request.status == "failed":
            what = f"it failed: {request.failure}"
            yield Finding("requests", run.run_id, ERROR if run.is_published else NOTE, what, remedy)


def check_continuity(records: Records) -> Iterator[Finding]:
    """Each run was made from what the runs before it have published now, and opens with what the last of them left."""
    published = sorted((run for run in records.runs if run.is_published), key=lambda run: (run.provider, run.sequence))
    for _, group in groupby(published, key=lambda run: run.provider):
        earlier: list[Run] = []
        for run in group:
            problem = _problem_of_opening(records, earlier, run)
            if problem:
                request = records.requests.get(run.run_id)
                waits = request is not None and request.status in request_store.UNFINISHED
                what = problem + ("; it is queued" if waits else "")
                remedy = run_again(records.tenant.name, run)
                yield Finding("continuity", run.run_id, NOTE if waits else ERROR, what, remedy)
            earlier.append(run)


def _problem_of_opening(records: Records, earlier: Sequence[Run], run: Run) -> str | None:
    revision = records.current[run.run_id]
    if not revision.manifest:
        return None
    changed = continuity.outdated(revision, {before.run_id: before.revision for before in earlier})
    if changed:
        return f"{', '.join(changed)} changed after it was made"
    before = continuity.predecessor(earlier, run)
    if before is None:
        return None
    return "; ".join(map(str, continuity.gaps(records.paths, records.current[before.run_id], revision))) or None


def check_dagster(home: Home) -> Iterator[Finding]:
    """Dagster's storage opens, and its configuration goes with the home wherever that is copied or moved."""
    for line in dagster_files.absolute_paths(home):
        what = f"it holds an absolute path ({line}), which a copy of the home goes on using"
        remedy = "the next `zentra run` mends it unless somebody edited it; then give a path below this file's folder"
        yield Finding("dagster", f"dagster/{dagster_files.CONFIGURATION}", NOTE, what, remedy)
    for file, problem in dagster_files.broken_stores(home):
        name = str(file.relative_to(home.root))
        remedy = f"stop what uses the home and move {name} away: it is Dagster's own record, and is made again"
        yield Finding("dagster", name, ERROR, problem, remedy)


def run_again(tenant: str, run: Run) -> str:
    """The command that makes a run again."""
    request = {
        "--tenant": tenant,
        "--provider": run.provider,
        "--settlement-file": run.settlement_file,
        "--ledger-window": run.ledger_window,
        "--owner": run.owner,
    }
    return command("run", *(word for option in request.items() for word in option))
