"""The one place that says what follows from a run's new revision, and hands out what is queued; executes nothing.

What follows is recorded in the transaction that records the revision: later runs of the provider were made from what no
longer holds, so their requests are queued and their prepared closeouts withdrawn. Whoever comes next, however they came
(Dagster, command line, HTTP, worker), takes what is queued from here. Does not belong here: requests over HTTP
(run_requests), what a run does (window_run), starting one (reconcile, defs).
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import Connection

from zentra_pipeline import identifiers
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.requests import Request
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

SYSTEM: Final = "system"
_RENEWALS_A_LEASE: Final = 3
_FOLLOWS: Final = "made again: run "
_FOLLOWED: Final = (_FOLLOWS, "made anew: run ")  # as this and earlier releases record it


@dataclass(frozen=True)
class Waiting:
    """A run that keeps closeouts after it waiting: it is queued, being executed, or could not run again (`failure`)."""

    run: Run
    reason: str | None
    failure: str | None

    @property
    def is_rerun_after_change(self) -> bool:
        """Whether it must run again because a run before it changed."""
        return self.reason is not None and self.reason.startswith(_FOLLOWED)


def follow(connection: Connection, run: Run, actor: str, now: datetime) -> None:
    """Record what follows from the revision of `run` that this transaction records.

    Its own prepared closeout is withdrawn. Every later published run of the provider was made from an older revision
    of it: each is queued, in order, and loses its preparation.
    """
    _withdraw(connection, run, actor, now)
    why = f"{run.run_id} ({run.settlement_file} {run.ledger_window}) before it is at revision {run.revision}"
    for later in run_store.later_runs(connection, run):
        _withdraw(connection, later, actor, now, why)
        request_store.queue(connection, later.run_id, actor, now, f"{_FOLLOWS}{why}")


def follow_void(connection: Connection, run: Run, actor: str, now: datetime) -> None:
    """Record what follows from taking a run back: later runs are made without it, and it is executed no more."""
    closeout_store.withdraw(connection, run.run_id)
    request_store.finish(connection, run.run_id, now)
    why = f"{run.run_id} ({run.settlement_file} {run.ledger_window}) before it is void"
    for later in run_store.later_runs(connection, run):
        _withdraw(connection, later, actor, now, why)
        request_store.queue(connection, later.run_id, actor, now, f"{_FOLLOWS}{why}")
    if identifiers.account_of(run.provider) is None:
        follow_payouts(connection, run, (), actor, now)


def follow_payouts(connection: Connection, run: Run, accounts: Collection[str], actor: str, now: datetime) -> None:
    """Record what follows from payouts of a provider's `run` that came, changed or are gone: into these bank accounts.

    Runs of the accounts that took its payouts, or are of its window or a later one, are queued in their order of
    creation, and lose their preparation.
    """
    why = f"payouts of {run.provider} ({run.settlement_file} {run.ledger_window}) are at revision {run.revision}"
    for later in run_store.list_runs(connection):
        account = identifiers.account_of(later.provider)
        if account is None or not later.is_published:
            continue
        taken = run_store.current_revision(connection, later.run_id).manifest.get("bank", {}).get("payouts", ())
        is_concerned = account in accounts and later.ledger_window >= run.ledger_window
        if is_concerned or any(entry["run_id"] == run.run_id for entry in taken):
            _withdraw(connection, later, actor, now, why)
            request_store.queue(connection, later.run_id, actor, now, f"{_FOLLOWS}{why}")


def accounts_waiting(tenant: Tenant) -> list[str]:
    """The scopes of bank accounts of which a run is queued to be made again."""
    now = datetime.now(UTC)
    with tenant.reading() as connection:
        scopes = sorted({run.provider for run in run_store.list_runs(connection) if run.is_published})
        of_accounts = [scope for scope in scopes if identifiers.account_of(scope) is not None]
        return [scope for scope in of_accounts if _takeable(connection, scope, (), now)]


def begin(connection: Connection, run_id: str, now: datetime) -> Request | None:
    """The request that an execution answers, taken by whoever executes the run unless somebody launched it for them."""
    request = request_store.find(connection, run_id)
    if request is not None and request.status == "queued":
        return request_store.launch(connection, run_id, request_store.CALLER, now)
    return request


def answer(connection: Connection, request: Request | None, now: datetime, failure: str | None = None) -> None:
    """Record that the execution which began with `request` has ended; what was asked for since stays queued."""
    if request is not None:
        request_store.finish(connection, request.run_id, now, failure, request.asked)


def take_next(tenant: Tenant, provider: str, excluding: Collection[str] = ()) -> tuple[Request, Run] | None:
    """Take the provider's first queued run that is to be made again, in order of creation; None when there is none.

    Requests of a crashed launcher are queued again first. Runs that were never published are left to whoever serves
    requests, and so are those of `excluding`.
    """
    now = datetime.now(UTC)
    with tenant.reading() as connection:
        if not _takeable(connection, provider, excluding, now):
            return None
    with tenant.writing() as connection:
        request_store.put_back_dead(connection, now)
        for request, run in _takeable(connection, provider, excluding, now):
            if request.status == "queued":
                return request_store.launch(connection, run.run_id, request_store.CALLER, now), run
    return None


def waiting_before(connection: Connection, run: Run) -> list[Waiting]:
    """This run and those before it that have to be made again first, in order of creation; needs no file."""
    requests = {request.run_id: request for request in request_store.of_provider(connection, run.provider)}
    found = []
    for before in run_store.list_runs(connection, run.provider):
        request = requests.get(before.run_id)
        if before.sequence > run.sequence or not before.is_published or request is None or request.status == "done":
            continue
        found.append(Waiting(before, request.reason, request.failure))
    return found


@contextmanager
def lease_renewed(tenant: Tenant, run_id: str) -> Iterator[None]:
    """Renew the lease of a run's request for as long as it lasts, so that others know that it is being executed."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(request_store.LEASE.total_seconds() / _RENEWALS_A_LEASE):
            with tenant.writing() as connection:
                request_store.renew(connection, run_id, datetime.now(UTC))

    keeper = threading.Thread(target=renew, name=f"lease-{run_id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def window_of(run: Run) -> date:
    """A recorded run's ledger window."""
    return date.fromisoformat(run.ledger_window)


def _takeable(connection: Connection, provider: str, but: Collection[str], now: datetime) -> list[tuple[Request, Run]]:
    """Requests of published runs that are queued, or cut off, in order of the runs' creation."""
    found = []
    for request in request_store.of_provider(connection, provider):
        if request.run_id in but or not (request.status == "queued" or request.is_cut_off(now)):
            continue
        run = run_store.get(connection, request.run_id)
        if run.is_published:
            found.append((request, run))
    return found


def _withdraw(connection: Connection, run: Run, actor: str, now: datetime, why: str | None = None) -> None:
    """A closeout that is prepared, or blocked, speaks of an older revision now: it has to be prepared again."""
    withdrawn = closeout_store.withdraw(connection, run.run_id)
    is_sealed = bool(closeout_store.of_run(connection, run.run_id))
    run_store.set_closeout_status(connection, run.run_id, "sealed" if is_sealed else "open")
    if withdrawn and why and run.status == "closing":
        run_store.transition(connection, run.run_id, "in_review", actor, now, f"its closeout is withdrawn: run {why}")
