"""The list of exceptions: filters, orders, saved views, decisions about many, sheets; rules are the desk's."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from zentra_pipeline import vocabulary
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import DECIDE, READ
from zentra_pipeline.console import outcomes, visits
from zentra_pipeline.console.rendering import PREFIX
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.desk import sheets, work_list
from zentra_pipeline.review.clocks import IS_OVERDUE, Clocks
from zentra_pipeline.tenants import sessions

PATH: Final = f"{PREFIX}/exceptions"
ROWS: Final = 100
_OPEN, _ANY = "open_ones", "any"
_EQUAL: Final = {
    "provider": "run_provider = ?",
    "type": "exception_type = ?",
    "owner": "owner = ?",
    "lane": "lane = ?",
    "currency": "currency = ?",
    "run": "run_id = ?",
}
# What makes a view; the page is a place in it.
_VIEW: Final = (*_EQUAL, "status", "window", "reference", "overdue", "sort")
# What may be decided about many at once: nothing that names lines or movements.
_BULK: Final = tuple(each for each in exception_state.ACTIONS if each not in {*exception_state.MATCHING, "approve"})
_FORMS: Final = {
    "csv": (",", "text/csv; charset=utf-8; header=present"),
    "semicolons": (";", "text/csv; charset=utf-8; header=present"),
    "xlsx": ("", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def show(visit: Visit) -> Response:
    """A page of the list as the URL asks for it: a URL is a view."""
    clocks = Clocks(visit.caller.paths, visit.serving.now())
    number = _page_number(visit.query.get("page"))
    order, is_descending = _order(visit.query.get("sort"))
    found = work_list.listed(
        visit.tenant,
        clocks,
        _conditions(visit.query, clocks),
        order=order,
        is_descending=is_descending,
        limit=ROWS,
        offset=(number - 1) * ROWS,
    )
    caller = visit.caller
    view = _view(visit.query)
    if not found.rows and number > 1:
        return visits.to(url(view))  # the list has become shorter, or the number was made up
    return visit.page(
        "exception_list.html",
        found=found,
        first=(number - 1) * ROWS + 1,
        pages={"number": number, "last": max(1, -(-found.total // ROWS))},
        view=view,
        sort=(order, is_descending),
        statuses=vocabulary.values("exception_status"),
        choices=work_list.choices(caller.paths),
        views=sessions.views(visit.serving.home, caller.tenant.name, caller.actor),
        url=lambda **changes: url({**view, **changes}),
        actions=[action for action in _BULK if action in ROLE_ACTIONS[caller.role]],
        resolutions=exception_state.personal_resolutions(),
    )


def url(view: Mapping[str, Any]) -> str:
    """The URL of a view."""
    given = {name: value for name, value in view.items() if value not in (None, "")}
    return f"{PATH}?{urlencode(given)}" if given else PATH


def decide(visit: Visit) -> Response:
    """Take one decision about all that are ticked."""
    action = visit.form.text("action")
    if action not in _BULK:
        raise ProblemError("invalid", "Choose what is decided about the ticked exceptions.")
    verdicts = outcomes.decided(
        visit,
        action,
        visit.form.all("item"),
        reason=visit.form.text("reason"),
        owner=visit.form.text("owner") if action == "assign" else None,
        resolution=visit.form.text("resolution") if action == "resolve" else None,
    )
    return outcomes.answer(visit, verdicts, _view_of(visit), "decided")


def download(visit: Visit) -> Response:
    """The list as a sheet to decide in."""
    form = visit.query.get("form", "csv")
    if form not in _FORMS:
        raise ProblemError("invalid", f"The sheet is written as {', '.join(_FORMS)}.")
    separator, media_type = _FORMS[form]
    clocks = Clocks(visit.caller.paths, visit.serving.now())
    conditions = _conditions(visit.query, clocks)
    if form == "xlsx":
        name, content = "exceptions.xlsx", sheets.as_workbook(visit.tenant, clocks, conditions)
    else:
        name, content = "exceptions.csv", sheets.as_csv(visit.tenant, clocks, conditions, separator)
    return Response(content, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type=media_type)


def upload(visit: Visit) -> Response:
    """Decide what a sheet says, each row by itself."""
    if not visit.form.file:
        raise ProblemError("invalid", "Choose the sheet to upload: CSV or .xlsx.")
    caller = visit.caller
    results = list(
        sheets.decide(
            visit.tenant,
            sheets.read(visit.form.file),
            actor=caller.actor,
            role=caller.role,
            now=visit.serving.now,
            origin=caller.origin,
        )
    )
    refused = [(result.exception_id, result.error) for result in results if result.error is not None]
    return outcomes.many(visit, len(results) - len(refused), refused, PATH)


def keep_view(visit: Visit) -> Response:
    """Save the view under a name, or remove the one of this name."""
    name, caller = visit.form.text("name") or "", visit.caller
    if visit.form.text("action") == "remove":
        sessions.drop_view(visit.serving.home, caller.tenant.name, caller.actor, name)
        return visits.to(_view_of(visit), "removed")
    query = _view_of(visit).partition("?")[2]
    sessions.save_view(visit.serving.home, caller.tenant.name, caller.actor, name, query)
    return visits.to(_view_of(visit), "saved")


def _view(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in _VIEW if query.get(name)}


def _view_of(visit: Visit) -> str:
    """The view that a form was sent from."""
    return url(_view(dict(parse_qsl(visit.form.text("view") or ""))))


def _conditions(query: Mapping[str, str], clocks: Clocks) -> dict[str, Any]:
    """What has to hold of an exception on the list: SQL → the value in it."""
    wanted: dict[str, Any] = {sql: query[name] for name, sql in _EQUAL.items() if query.get(name)}
    status = query.get("status") or _OPEN
    if status == _OPEN:
        wanted["status <> ?"] = "resolved"
    elif status != _ANY:
        wanted["status = ?"] = status
    if query.get("window"):
        wanted["run_window = ?"] = _day(query["window"])
    if query.get("reference"):
        wanted[work_list.MENTIONS] = query["reference"].strip()
    if query.get("overdue"):
        wanted[IS_OVERDUE] = clocks.instant
    return wanted


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as cause:
        raise ProblemError("invalid", f"{text[:40]} is not a day: write it as 2026-04-26.") from cause


def _order(text: str | None) -> tuple[str, bool]:
    name = (text or "due").removeprefix("-")
    return (name if name in work_list.ORDERS else "due"), (text or "").startswith("-")


def _page_number(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 7 else 1


ROUTES: Final = [
    visits.page("/exceptions", show),
    visits.form("/exceptions", decide, DECIDE),
    visits.page("/exceptions/sheet", download),
    visits.form("/exceptions/sheet", upload, DECIDE, limit=sheets.MOST_BYTES + 64 * 1024),
    visits.form("/exceptions/views", keep_view, READ),
]
