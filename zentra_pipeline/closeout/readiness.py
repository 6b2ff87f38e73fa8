"""Finds the runs that may be prepared by themselves: clean for as long as policy asks; preparing is not done here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from zentra_pipeline.closeout import blockers
from zentra_pipeline.closeout.case import bounds
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants import tenancy

# Runs that opened what is still open, or carry its item, and those whose totals lack quarantined rows.
_UNCLEAN: Final = """
    with still_open as (select * from exceptions where status <> 'resolved')
    select run_id from still_open
    union
    select open_items.run_id
    from open_items
    inner join still_open
        on open_items.item_type = still_open.subject_type and open_items.item_id = still_open.subject_id
            and open_items.currency = still_open.currency
    union
    select run_id from conservation where quarantined > 0
"""


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
        paths = home.tenant(tenant)
        minutes = load_policy(paths).closeout.prepare_after_minutes
        if minutes is not None:
            found += _of_tenant(paths, tenant, now - timedelta(minutes=minutes))
    return found


def _of_tenant(paths: TenantPaths, tenant: str, before: datetime) -> list[ReadyRun]:
    with reading(operational_store(paths)) as connection:
        files = blockers.registered(connection)
        waiting = [
            run
            for run in run_store.list_runs(connection)
            if run.status == "in_review"
            and run.closeout_status == "open"
            and instant_of(run_store.transitions(connection, run.run_id)[-1].at) <= before
            and not _has_newer_facts(connection, paths, run, files)
        ]
    if not waiting:
        return []
    unclean = {run_id for (run_id,) in lake.query(paths, _UNCLEAN).rows}
    return [
        ReadyRun(tenant, run.provider, run.ledger_window, run.run_id, run.revision)
        for run in waiting
        if run.run_id not in unclean
    ]


def _has_newer_facts(
    connection: Connection, paths: TenantPaths, run: run_store.Run, files: Sequence[StagedFile]
) -> bool:
    _, ends_at = bounds(paths, run.provider, date.fromisoformat(run.ledger_window))
    return bool(blockers.of_facts(run, run_store.current_revision(connection, run.run_id), files, ends_at))
