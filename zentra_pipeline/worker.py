"""Executes requested runs of a home one after another, stages what waits, escalates, sends webhooks; no route is here.

One worker of a home works at a time on a machine: a lock file makes others wait, and the system releases that of one
that dies. Those of several hosts share the requests, one run of a provider at a time. Run as a process of its own it
ends when whoever started it does: `python -m zentra_pipeline.worker --home DIR`.
"""

import argparse
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from zentra_pipeline import locks, logs, storage, traces
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.defs import launch
from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.ingest import callback_staging
from zentra_pipeline.instants import instant_of
from zentra_pipeline.outages import OutageLog
from zentra_pipeline.queue import late_callbacks
from zentra_pipeline.review import escalation
from zentra_pipeline.runtime import intents
from zentra_pipeline.settings import Home
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store.engine import kept_connections
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import sending

POLL_SECONDS: Final = 0.25
SEND_SECONDS: Final = 1.0
# Deliveries wait a while for others, so that they share a file; a run never waits for them, it takes what there is.
INBOX_PATIENCE: Final = timedelta(seconds=60)
_REVIEWED_PATIENCE: Final = timedelta(seconds=5)
INBOX_ROWS: Final = 5_000
ESCALATE_SECONDS: Final = 60.0
OUTAGE_SECONDS: Final = 5.0  # until what failed is tried again


def work(home: Home, stop: threading.Event, report: Callable[[str], None]) -> None:
    """Execute what is asked for until `stop` is set; what a worker that died had begun is begun again.

    While a database or disk is away it waits and goes on when that is back, with one line of the log an outage.
    """
    with _alone(home, stop):
        log = OutageLog(report)
        for name, step, seconds in (
            ("webhooks", lambda: _send_webhooks(home), SEND_SECONDS),
            ("overdue exceptions", lambda: _escalate(home, report), ESCALATE_SECONDS),
        ):
            arguments = (step, seconds, stop, log, name)
            threading.Thread(target=_repeat, args=arguments, name=name, daemon=True).start()
        _repeat(lambda: _put_back(home), POLL_SECONDS, stop, log, "requests", is_once=True)
        _repeat(lambda: work_once(home, datetime.now(UTC), report), POLL_SECONDS, stop, log, "runs")


def _repeat(
    step: Callable[[], bool],
    seconds: float,
    stop: threading.Event,
    log: OutageLog,
    name: str,
    *,
    is_once: bool = False,
) -> None:
    """Do `step` until `stop` is set (or once), pausing where it found nothing to do; an outage is waited out."""
    while not stop.is_set():
        try:
            was_busy = step()
        except ZentraError as cause:
            log.note(f"{name} wait: {cause}")
            stop.wait(OUTAGE_SECONDS)
        except Exception:
            log.note(f"{name} wait: {traceback.format_exc()}")
            stop.wait(OUTAGE_SECONDS)
        else:
            if is_once:
                return
            if not was_busy:
                stop.wait(seconds)


def _put_back(home: Home) -> bool:
    """Queue again what a worker that died had begun; where other hosts may be at it, only once its lease is out."""
    if storage.of_home(home).has_leases:
        return False  # `_execute_next` does
    for tenant in tenancy.tenants(home):
        with tenant.writing() as connection:
            for request in request_store.of_status(connection, "launched", request_store.WORKER):
                request_store.put_back(connection, request.run_id, datetime.now(UTC))
    return False


def _send_webhooks(home: Home) -> bool:
    """Send what is due beside the runs, so that no receiver waits for one and no run waits for a receiver."""
    _for_each_tenant(home, lambda tenant: sending.send_due(sending.Sender(tenant, lambda: datetime.now(UTC))))
    return False


def _escalate(home: Home, report: Callable[[str], None]) -> bool:
    """Hand on what is overdue."""

    def escalate(tenant: Tenant) -> None:
        now = datetime.now(UTC)
        taken = escalation.escalate(tenant, now, now=now)
        if taken:
            report(f"{tenant.name}: {len(taken)} escalations of overdue exceptions")

    _for_each_tenant(home, escalate)
    return False


def _for_each_tenant(home: Home, step: Callable[[Tenant], object]) -> None:
    """Do `step` for every tenant, then raise the last error: one tenant's trouble holds up no other."""
    failure: Exception | None = None
    for tenant in tenancy.tenants(home):
        try:
            step(tenant)
        except ZentraError as cause:
            failure = ZentraError(f"{tenant.name}: {cause}")
        except Exception as cause:
            failure = cause
    if failure is not None:
        raise failure


def work_once(home: Home, now: datetime, report: Callable[[str], None]) -> bool:
    """Execute the next request of each tenant, and ingest what waits long enough; whether there was anything to do."""
    was_busy = False
    for tenant in tenancy.tenants(home):
        was_busy |= _execute_next(tenant, now, report)
        was_busy |= _stage_callbacks(tenant, now, report)
        was_busy |= _stage_intents(tenant, now, report)
    return was_busy


def _execute_next(tenant: Tenant, now: datetime, report: Callable[[str], None]) -> bool:
    with tenant.reading() as connection:
        launched = request_store.of_status(connection, "launched")
        if not request_store.of_status(connection, "queued") and not any(each.is_cut_off(now) for each in launched):
            return False
    with tenant.writing() as connection:
        request_store.put_back_dead(connection, now)
        first = request_store.first_of_idle_provider(connection)
        if first is None:
            return False
        request = request_store.launch(connection, first.run_id, request_store.WORKER, now)
    with logs.about(tenant=tenant.name, run_id=request.run_id, actor=request.actor):
        report(f"{tenant.name}: run {request.run_id}")
        with traces.span("run request", request.trace, tenant=tenant.name, run_id=request.run_id):
            launch.execute(tenant, request)
    return True


def _stage_callbacks(tenant: Tenant, now: datetime, report: Callable[[str], None]) -> bool:
    """Ingest the inboxes that are full enough or have waited long enough; a fault is reported and tried again later."""
    with tenant.reading() as connection:
        waiting = inbox_store.waiting(connection)
    is_done = False
    for found in waiting:
        if found.deliveries < INBOX_ROWS and now - instant_of(found.since) < _patience(tenant, found.provider):
            continue
        try:
            callback_staging.stage_callbacks(tenant, found.provider, now)
            is_done = True
        except ZentraError as cause:
            report(f"{tenant.name}: callbacks of {found.provider} stay in the inbox: {cause}")
    return is_done


def _patience(tenant: Tenant, provider: str) -> timedelta:
    """How long deliveries wait for others: less where they may be about a run that somebody reviews."""
    try:
        with tenant.reading() as connection:
            is_reviewed = bool(late_callbacks.revisable(connection, provider, load_profile(tenant.paths, provider)))
    except UsageError:  # a profile that cannot be read is named where the deliveries are ingested
        is_reviewed = False
    return _REVIEWED_PATIENCE if is_reviewed else INBOX_PATIENCE


def _stage_intents(tenant: Tenant, now: datetime, report: Callable[[str], None]) -> bool:
    """Stage the intents that are many enough or have waited long enough; a fault is reported and tried again later."""
    with tenant.reading() as connection:
        waiting = intent_store.waiting(connection)
    is_done = False
    for found in waiting:
        if found.intents < INBOX_ROWS and now - instant_of(found.since) < INBOX_PATIENCE:
            continue
        try:
            is_done |= intents.stage_intents(tenant, found.provider, now) > 0
        except ZentraError as cause:
            report(f"{tenant.name}: intents of {found.provider} wait to be staged: {cause}")
    return is_done


@contextmanager
def _alone(home: Home, stop: threading.Event) -> Iterator[None]:
    """Wait until no other worker has the home, or until `stop` is set."""
    while not stop.is_set():
        with locks.tried(home.root / "worker.lock") as is_alone:
            if is_alone:
                yield
                return
        stop.wait(POLL_SECONDS)
    yield


def main() -> None:
    """Work until standard input ends, which it does with the process that holds the other end."""
    parser = argparse.ArgumentParser(prog="python -m zentra_pipeline.worker")
    parser.add_argument("--home", required=True)
    home = Home.at(parser.parse_args().home)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with kept_connections():
            work(home, threading.Event(), _print)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _end_with_parent() -> None:
    """A run that is cut off here is begun again by the next worker."""
    sys.stdin.buffer.read()
    os._exit(0)


def _print(text: str) -> None:
    logs.write("worker", text)


if __name__ == "__main__":
    main()
