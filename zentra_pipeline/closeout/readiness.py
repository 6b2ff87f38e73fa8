"""Finds the runs that may be prepared by themselves: clean for as long as policy asks; preparing is not done here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from zentra_pipeline.closeout import blockers
from zentra_pipeline.closeout.candidate import bounds
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.sql_text import statement
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class ReadyRun:
    """A run in review that knows all its facts, whose closeout is open and of which nothing is open."""

    tenant: str
    provider: str
    ledger_window: str
    run_id: str
    revision: int


def ready_runs(home: Home, now: datetime) -> list[ReadyRun]:
    """The clean runs of every tenant whose policy.yml sets `closeout.prepare_after_minutes`, in order of creation."""
    found = []
    for tenant in tenancy.tenants(home):
        minutes = load_policy(tenant.paths).closeout.prepare_after_minutes
        if minutes is not None:
            found += _of_tenant(tenant, now - timedelta(minutes=minutes))
    return found


def _of_tenant(tenant: Tenant, before: datetime) -> list[ReadyRun]:
    with tenant.reading() as connection:
        files = blockers.registered(connection)
        waiting = [
            run
            for run in run_store.list_runs(connection)
            if run.status == "in_review"
            and run.closeout_status == "open"
            and instant_of(run_store.transitions(connection, run.run_id)[-1].at) <= before
            and not _has_newer_facts(connection, tenant.paths, run, files)
        ]
    if not waiting:
        return []
    unclean = {run_id for (run_id,) in lake.query(tenant.paths, statement("closeout", "unclean_runs")).rows}
    return [
        ReadyRun(tenant.name, run.provider, run.ledger_window, run.run_id, run.revision)
        for run in waiting
        if run.run_id not in unclean
    ]


def _has_newer_facts(
    connection: Connection, paths: TenantPaths, run: run_store.Run, files: Sequence[StagedFile]
) -> bool:
    _, ends_at = bounds(paths, run.provider, date.fromisoformat(run.ledger_window))
    return bool(blockers.of_facts(run, run_store.current_revision(connection, run.run_id), files, ends_at))
