"""Pages of months: which there are, one with its windows, totals and sign-off, and what its forms do.

What a month comes to and what blocks it does not belong here (closeout.period), nor closing many windows (desk).
"""

from datetime import date, timedelta
from typing import Any, Final

from pydantic import ValidationError
from starlette.responses import Response

from zentra_pipeline.api import journal as api_journal
from zentra_pipeline.api import periods
from zentra_pipeline.api.closing_steps import APPROVE, PREPARE
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.runs import NewRun
from zentra_pipeline.api.security import APPROVE as MAY_APPROVE
from zentra_pipeline.api.security import ASK
from zentra_pipeline.api.security import PREPARE as MAY_PREPARE
from zentra_pipeline.closeout import approval, period_closing
from zentra_pipeline.closeout import period as months
from zentra_pipeline.closeout.period import Month
from zentra_pipeline.console import approvals, visits
from zentra_pipeline.console.rendering import link
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.desk import closing_windows
from zentra_pipeline.desk.closing_windows import Wanted
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.store import decisions as decision_store

_SHOWN_LINES: Final = 1_000
_SAID: Final = {PREPARE: "prepared", APPROVE: "sealed"}


def show_all(visit: Visit) -> Response:
    """Every month with its state."""
    now = visit.serving.now()
    return visit.page(
        "periods.html", months=[months.seen(visit.tenant, name, now) for name in months.months(visit.tenant)]
    )


def show(visit: Visit) -> Response:
    """A month: its calendar, what can be closed of it, its totals, its sign-off and those before."""
    month = periods.find(visit.caller, visit.serving, visit.named("period"))
    first = date.fromisoformat(f"{month.period}-01")
    next_month = (first + timedelta(days=31)).replace(day=1)
    everything = Wanted()
    prepared = month.prepared
    return visit.page(
        "period.html",
        month=month,
        earlier=(first - timedelta(days=1)).isoformat()[:7],
        later=next_month.isoformat()[:7],
        days=[first + timedelta(days=number) for number in range((next_month - first).days)],
        rows=[(provider, _by_day(states)) for provider, states in month.windows.items()],
        blockers=month.left(),
        to_prepare=closing_windows.to_prepare(month, everything, no_activity=False),
        missing=_missing(month),
        to_approve=_to_approve(visit, month),
        obstacle=None if prepared is None else approvals.closeout_obstacle(visit.caller, prepared.prepared_by),
        seen=None if prepared is None else period_closing.preparation_of(prepared),
        may_prepare=visit.may(MAY_PREPARE),
        may_ask=visit.may(ASK),
        checked=_checked(visit, month) if visit.query.get("check") else None,
    )


def sign_off(visit: Visit) -> Response:
    """Prepare the sign-off, or approve the one that was seen."""
    month = periods.find(visit.caller, visit.serving, visit.named("period"))
    action = visit.form.text("action")
    if action not in _SAID:
        raise ProblemError("invalid", "Choose prepare or approve.")
    if action == APPROVE:
        visit.caller.require(MAY_APPROVE)
    seen = visit.form.text("seen") or "nothing"
    periods.take_step(visit.caller, visit.serving, month, action, visit.form.text("reason"), seen)
    return visits.to(link("periods", month.period), _SAID[action])


def close_windows(visit: Visit) -> Response:
    """Prepare or approve the ticked windows, each by itself."""
    month = periods.find(visit.caller, visit.serving, visit.named("period"))
    action, form, page = visit.form.text("action"), visit.form, link("periods", visit.named("period"))
    caller, now = visit.caller, visit.serving.now()
    arguments = (caller.tenant, month.period, caller.actor, now, caller.origin)
    items, no_activity = form.all("window"), form.text("no_activity") == "yes"
    if not items and not no_activity:
        raise ProblemError("invalid", "Nothing is chosen: tick the windows that it is about.")
    if action == PREPARE:
        done = closing_windows.prepare(*arguments, no_activity=no_activity, chosen=set(items))
    elif action == APPROVE:
        caller.require(MAY_APPROVE)
        seen = dict(item.split(" ", 1) for item in items if " " in item)
        done = closing_windows.approve(*arguments, seen=seen)
    else:
        raise ProblemError("invalid", "Choose prepare or approve.")
    left = [each for each in done if not each.is_done]
    if done and not left:
        return visits.to(page, _SAID[action])
    return visit.page("windows_closed.html", done=done, left=left, action=action, back=page)


def run_window(visit: Visit) -> Response:
    """Ask for the run of a window that has none, with its settlement file or as one in which nothing was settled."""
    form = visit.form
    names = ("provider", "settlement_file") if form.text("bank_account") is None else ("bank_account",)
    given = {name: form.text(name) or "" for name in (*names, "ledger_window", "owner")}
    try:
        new = NewRun.model_validate({**given, "no_settlement": form.text("no_settlement") == "yes"})
    except ValidationError as cause:
        raise ProblemError("invalid", "Name the owner, and ask for the run from the page of the month.") from cause
    submitted = run_requests.submit(visit.tenant, new.request(visit.caller.actor), visit.serving.now())
    return visits.to(link("runs", submitted.run.run_id), "queued")


def journal(visit: Visit) -> Response:
    """The proposed journal entries of the month, or the sheet of them."""
    found = api_journal.of_month(visit.caller, visit.named("period"), None)
    form = visit.query.get("form")
    if form in ("csv", "semicolons"):
        return api_journal.as_file(found, ";" if form == "semicolons" else ",")
    return visit.page("journal.html", journal=found, shown=found.lines[:_SHOWN_LINES])


def report(visit: Visit) -> Response:
    """The sealed report, to be looked at."""
    return periods.report(visit.caller, visit.named("period"), visit.named("revision"))


def bundle(visit: Visit) -> Response:
    """The sealed bundle as a zip."""
    return periods.bundle(visit.caller, visit.named("period"), visit.named("revision"))


def _by_day(states: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for state in states:
        found.setdefault(state.ledger_window, []).append(state)
    return found


def _missing(month: Month) -> int:
    return sum(blocker.kind == "missing_window" for blocker in month.blockers())


def _to_approve(visit: Visit, month: Month) -> list[dict[str, Any]]:
    """What is prepared of the month's windows, each with its figures and why one cannot approve it."""
    found = closing_windows.to_approve(month, Wanted())
    if not found:
        return []
    with visit.tenant.reading() as connection:
        log = decision_store.listed(connection)
    return [
        {
            "provider": provider,
            "state": state,
            "closeout": closeout,
            "content": approval.kept(log, closeout.closeout_id),
            "obstacle": approvals.closeout_obstacle(visit.caller, closeout.prepared_by),
        }
        for provider, state, closeout in found
    ]


def _checked(visit: Visit, month: Month) -> Any:
    """What checking the newest sign-off says, against the home's own keys."""
    from zentra_pipeline.closeout import verify

    if month.signed is None:
        return None
    return verify.verify(period_closing.bundle_of(visit.tenant, month.signed), visit.serving.home.trust)


ROUTES: Final = [
    visits.page("/periods", show_all),
    visits.page("/periods/{period}", show),
    visits.form("/periods/{period}/sign-off", sign_off, MAY_PREPARE),
    visits.form("/periods/{period}/windows", close_windows, MAY_PREPARE),
    visits.form("/periods/{period}/run", run_window, ASK),
    visits.page("/periods/{period}/journal", journal),
    visits.page("/periods/{period}/sign-off/{revision}/report", report),
    visits.page("/periods/{period}/sign-off/{revision}/bundle", bundle),
]
