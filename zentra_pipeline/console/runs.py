"""Pages of runs: the calendar of a month, one run with its spine and statement, a payment's history."""

from calendar import monthrange
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from zentra_pipeline import settings
from zentra_pipeline.api import runs as api_runs
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import ASK
from zentra_pipeline.closeout import calendar, period
from zentra_pipeline.console import visits
from zentra_pipeline.console.rendering import link
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.desk import run_figures
from zentra_pipeline.errors import UsageError
from zentra_pipeline.published import movement_history
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store

_PROGRESS: Final = "progress"  # the element of a run's page that asks again while it is made
# What each step of the spine is called by the run's own status.
_STEPS: Final = {"ingest": "ingesting", "match": "matching", "compare": "comparing", "own": "in_review"}


def show_month(visit: Visit) -> Response:
    """Every provider's windows of a month with their states, and the month's runs."""
    with visit.tenant.reading() as connection:
        runs = run_store.list_runs(connection)
        closeouts = closeout_store.listed(connection)
    known = [*(run.ledger_window for run in runs), *(closeout.ledger_window for closeout in closeouts)]
    first = _first_day(visit.query.get("month"), max(known, default=visit.serving.now().date().isoformat()))
    last = date(first.year, first.month, monthrange(first.year, first.month)[1])
    days = [first + timedelta(days=number) for number in range(last.day)]
    month = first.isoformat()[:7]
    windows = period.seen(visit.tenant, month, visit.serving.now()).windows
    rows = [(provider, _by_day(states)) for provider, states in windows.items()]
    return visit.page(
        "runs.html",
        month=month,
        earlier=_month_of(first - timedelta(days=1)),
        later=_month_of(last + timedelta(days=1)),
        days=days,
        rows=rows,
        counts=_counts(rows),
        flows=run_figures.flows(visit.caller.paths, first, last),
        runs=[run for run in runs if run.ledger_window[:7] == month][::-1],
    )


def show(visit: Visit) -> Response:
    """One run: its spine, its statement, its figures, every change of its status."""
    run = api_runs.find_run(visit.caller, visit.named("run_id"))
    with visit.tenant.reading() as connection:
        steps = run_store.transitions(connection, run.run_id)
        request = request_store.find(connection, run.run_id)
        closeouts = closeout_store.of_run(connection, run.run_id)
    is_awaited = request is not None and request.status in ("queued", "launched")
    if not is_awaited and visit.request.headers.get("hx-trigger") == _PROGRESS:
        return Response(status_code=204, headers={"HX-Refresh": "true"})  # it is made: the figures are others
    return visit.page(
        "run.html",
        run=run,
        is_awaited=is_awaited,
        figures=run_figures.of_run(visit.caller.paths, run.run_id),
        times=_times(steps),
        steps=steps,
        request=request,
        closeout=closeouts[-1] if closeouts else None,
        may_ask=visit.may(ASK),
        dagster=settings.dagster_url(f"runs?{urlencode({'q[0]': f'tag:zentra/run_id={run.run_id}'})}"),
    )


def run_again(visit: Visit) -> Response:
    """Ask for the run again, with what has arrived since."""
    run = api_runs.find_run(visit.caller, visit.named("run_id"))
    request = RunRequest(
        provider=run.provider,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        owner=None,
        actor=visit.caller.actor,
    )
    run_requests.submit(visit.tenant, request, visit.serving.now())
    return visits.to(link("runs", run.run_id), "queued")


def show_payment(visit: Visit) -> Response:
    """All that is known of a payment by a reference or id, in the order of time."""
    reference = visit.query.get("reference", "").strip()
    provider = visit.query.get("provider") or None
    if not reference or len(reference) > movement_history.MOST_REFERENCE or "\0" in reference:
        raise ProblemError("invalid", "Name a payment by its reference, or by the id of anything that it consists of.")
    try:
        history = movement_history.history_of(visit.caller.paths, reference, provider)
    except UsageError as unknown:
        return visit.page("payment.html", 404, reference=reference, history=None, unknown=str(unknown))
    return visit.page("payment.html", reference=reference, history=history, unknown=None)


def _first_day(month: str | None, newest: str) -> date:
    try:
        return date.fromisoformat(f"{month or newest[:7]}-01")
    except ValueError as cause:
        raise ProblemError("invalid", f"{str(month)[:40]} is not a month: write it as 2026-04.") from cause


def _month_of(day: date) -> str:
    return day.isoformat()[:7]


def _by_day(states: Sequence[calendar.WindowState]) -> dict[str, list[calendar.WindowState]]:
    found: dict[str, list[calendar.WindowState]] = {}
    for state in states:
        found.setdefault(state.ledger_window, []).append(state)
    return found


def _counts(rows: Sequence[tuple[str, Mapping[str, Sequence[calendar.WindowState]]]]) -> dict[str, int]:
    """How many windows of the month are in which state."""
    return dict(Counter(state.state for _, days in rows for states in days.values() for state in states))


def _times(steps: Sequence[run_store.Transition]) -> Mapping[str, Any]:
    """When each step of the spine was last reached, by its name."""
    reached = {step.status: step.at for step in steps}
    return {name: reached.get(status) for name, status in _STEPS.items()}


ROUTES: Final = [
    visits.page("/runs", show_month),
    visits.page("/runs/{run_id}", show),
    visits.form("/runs/{run_id}/again", run_again, ASK),
    visits.page("/payments", show_payment),
]
