"""Which windows are closed: every expected window of a provider as sealed, open or missing. Closing is elsewhere.

Expected are the tenant's business days, and every other day that has a run or a closeout.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from zentra_pipeline.config.business_days import load_business_days
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class WindowState:
    """A window and the status of its closeout.

    `state`: missing (no run, no closeout), open, blocked, prepared, sealed, or reopened (sealed, and a later fact has
    made a newer revision that is not sealed yet). `has_activity` is false for a window closed without a run.
    """

    ledger_window: str
    state: str
    settlement_file: str
    run_id: str | None
    run_status: str | None
    closeout_id: str | None
    closeout_revision: int | None
    sealed_at: str | None
    has_activity: bool

    def as_object(self) -> dict[str, Any]:
        """The state as JSON has it."""
        return dict(vars(self))


def span(tenant: Tenant, provider: str) -> tuple[date, date] | None:
    """The provider's first and last day with a run or a closeout; null before there is any."""
    with tenant.reading() as connection:
        days = [run.ledger_window for run in run_store.list_runs(connection, provider)]
        days += [item.ledger_window for item in closeout_store.listed(connection, provider)]
    return (date.fromisoformat(min(days)), date.fromisoformat(max(days))) if days else None


def windows(tenant: Tenant, provider: str, first: date, last: date) -> list[WindowState]:
    """The windows of a range of days in order; a window with several runs is named once for each."""
    with tenant.reading() as connection:
        runs = run_store.list_runs(connection, provider)
        closeouts = closeout_store.listed(connection, provider)
    return of_records(tenant, provider, first, last, runs, closeouts)


def of_records(
    tenant: Tenant,
    provider: str,
    first: date,
    last: date,
    all_runs: Iterable[run_store.Run],
    all_closeouts: Iterable[Closeout],
) -> list[WindowState]:
    """The same from what was read already; a run that was taken back is no window."""
    profile, business_days = load_profile(tenant.paths, provider), load_business_days(tenant.paths)
    days = (first.isoformat(), last.isoformat())

    def is_of_it(each: run_store.Run | Closeout) -> bool:
        return each.provider == provider and days[0] <= each.ledger_window <= days[1]

    runs = [run for run in all_runs if is_of_it(run) and not run.is_void]
    closeouts = [item for item in all_closeouts if is_of_it(item)]
    found: list[WindowState] = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        states = _of_day(day.isoformat(), runs, closeouts)
        if not states and day in business_days:
            states = [_missing(day, profile.settlement_file(day))]
        found += states
    return found


def _of_day(day: str, runs: Sequence[run_store.Run], closeouts: Sequence[Closeout]) -> list[WindowState]:
    of_day = [run for run in runs if run.ledger_window == day]
    states = [_of_run(run, [item for item in closeouts if item.run_id == run.run_id]) for run in of_day]
    known = {run.run_id for run in of_day}
    idle = {item.run_id: item for item in closeouts if item.ledger_window == day and item.run_id not in known}
    return states + [_idle(item) for item in idle.values()]


def _of_run(run: run_store.Run, closeouts: Sequence[Closeout]) -> WindowState:
    sealed = [item for item in closeouts if item.chain_sequence is not None]
    newest = sealed[-1] if sealed else None
    state = run.closeout_status
    if state == "sealed" and newest is not None and newest.run_revision != run.revision:
        state = "reopened"
    return WindowState(
        ledger_window=run.ledger_window,
        state=state,
        settlement_file=run.settlement_file,
        run_id=run.run_id,
        run_status=run.status,
        closeout_id=newest.closeout_id if newest else None,
        closeout_revision=newest.revision if newest else None,
        sealed_at=newest.sealed_at if newest else None,
        has_activity=True,
    )


def _idle(closeout: Closeout) -> WindowState:
    return WindowState(
        ledger_window=closeout.ledger_window,
        state=closeout.status,
        settlement_file=closeout.settlement_file,
        run_id=None,
        run_status=None,
        closeout_id=closeout.closeout_id,
        closeout_revision=closeout.revision,
        sealed_at=closeout.sealed_at,
        has_activity=False,
    )


def _missing(day: date, settlement_file: str) -> WindowState:
    return WindowState(day.isoformat(), "missing", settlement_file, None, None, None, None, None, has_activity=False)
