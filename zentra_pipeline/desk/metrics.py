"""What monitoring watches of a tenant at one moment: runs, requests, exceptions by lane, seals, deliveries.

All of it is counted from the stores and published tables when it is asked for, so that every server of a home gives the
same figures and a restart loses none. Does not belong here: the form in which a monitor reads them (api).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import lake
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.tenants.tenant import Tenant

_EXCEPTIONS = """
    select lane, severity, count(*) as number, count(*) filter (due_at <= $1) as overdue
    from exceptions
    where status <> 'resolved'
    group by lane, severity
"""


@dataclass(frozen=True)
class Gauge:
    """One figure by its labels; `about` is what it counts and in which unit."""

    name: str
    about: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


def gauges(tenant: Tenant, now: datetime) -> list[Gauge]:
    """Every figure of a tenant as of `now`; ages are seconds, and 0 where nothing waits."""
    with tenant.reading() as connection:
        runs = run_store.list_runs(connection)
        found = [
            *_of_runs(runs, closeout_store.listed(connection)),
            *_of_requests(connection, now),
            *_of_deliveries(connection, now),
        ]
    return [*found, *_of_exceptions(tenant, now)]


def _of_runs(runs: Sequence[run_store.Run], closeouts: Iterable[closeout_store.Closeout]) -> Iterable[Gauge]:
    counted = [run for run in runs if not run.is_void]
    newest = _newest((run.provider, run.ledger_window) for run in counted if run.is_published)
    sealed = _newest((each.provider, each.ledger_window) for each in closeouts if each.chain_sequence is not None)
    yield Gauge(
        "zentra_runs",
        "Runs by provider, status and closeout status.",
        ("provider", "status", "closeout_status"),
        Counter((run.provider, run.status, run.closeout_status) for run in counted),
    )
    about = "Ledger window of the provider's newest {} as seconds since 1970 at 00:00 UTC of its day."
    yield Gauge("zentra_newest_window_seconds", about.format("published run"), ("provider",), newest)
    yield Gauge("zentra_newest_sealed_window_seconds", about.format("seal"), ("provider",), sealed)


def _newest(windows: Iterable[tuple[str, str]]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for provider, day in windows:
        begins = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()
        found[provider,] = max(found.get((provider,), begins), begins)
    return found


def _of_requests(connection: Connection, now: datetime) -> Iterable[Gauge]:
    unfinished = {status: request_store.of_status(connection, status) for status in request_store.UNFINISHED}
    waiting = unfinished["queued"]
    yield Gauge(
        "zentra_run_requests",
        "Requested runs that are not finished, by status.",
        ("status",),
        {(status,): len(requests) for status, requests in unfinished.items()},
    )
    yield Gauge(
        "zentra_oldest_run_request_age_seconds",
        "How long the oldest queued request has waited.",
        (),
        {(): _age(min((request.requested_at for request in waiting), default=None), now)},
    )


def _of_deliveries(connection: Connection, now: datetime) -> Iterable[Gauge]:
    inbox = inbox_store.waiting(connection)
    yield Gauge(
        "zentra_callbacks_waiting",
        "Callbacks that were accepted and are in no staged file yet, by provider.",
        ("provider",),
        {(each.provider,): each.deliveries for each in inbox},
    )
    yield Gauge(
        "zentra_oldest_callback_age_seconds",
        "How long the oldest of these callbacks has waited, by provider.",
        ("provider",),
        {(each.provider,): _age(each.since, now) for each in inbox},
    )
    yield Gauge(
        "zentra_webhook_deliveries",
        "Webhook deliveries by endpoint and status.",
        ("endpoint", "status"),
        {(endpoint, status): number for (endpoint, status), number in webhook_store.counts(connection).items()},
    )
    due = webhook_store.next_due(connection)
    yield Gauge(
        "zentra_oldest_due_webhook_age_seconds",
        "How long the delivery that is due first has been due.",
        (),
        {(): _age(due, now)},
    )


def _of_exceptions(tenant: Tenant, now: datetime) -> Iterable[Gauge]:
    found = lake.query(tenant.paths, _EXCEPTIONS, [now.astimezone(UTC).replace(tzinfo=None)]).rows
    yield Gauge(
        "zentra_exceptions_open",
        "Exceptions that are not resolved, by lane and severity.",
        ("lane", "severity"),
        {(lane, severity): number for lane, severity, number, _ in found},
    )
    yield Gauge(
        "zentra_exceptions_overdue",
        "Exceptions that are not resolved and past their due time, by lane and severity.",
        ("lane", "severity"),
        {(lane, severity): overdue for lane, severity, _, overdue in found},
    )


def _age(since: str | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - instant_of(since)).total_seconds())
