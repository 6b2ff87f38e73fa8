"""The page of a run's closeout, its forms and its downloads; what a closeout is does not belong here (closeout)."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from zentra_pipeline.api import downloads
from zentra_pipeline.api import runs as api_runs
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import APPROVE, PREPARE
from zentra_pipeline.closeout import approval, candidate, closing
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.closeout.report import GAPS
from zentra_pipeline.console import approvals, visits
from zentra_pipeline.console.rendering import link
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.review import attachments
from zentra_pipeline.store.closeouts import Closeout


def show(visit: Visit) -> Response:
    """What is sealed, what is prepared, and what blocks."""
    run = api_runs.find_run(visit.caller, visit.named("run_id"))
    case = candidate.seen(visit.tenant, run.run_id)
    prepared = case.prepared
    preview = None
    if prepared is None and not case.is_sealed:
        preview = closing.preview(case, visit.caller.actor, visit.serving.now())
    return visit.page(
        "closeout.html",
        run=case.run,
        case=case,
        prepared=prepared,
        content=None if prepared is None else approval.kept(case.decisions, prepared.closeout_id),
        obstacle=None if prepared is None else approvals.closeout_obstacle(visit.caller, prepared.prepared_by),
        preview=preview,
        blocker_page=_blocker_page,
        lacking=_lacking,
        checked=_checked(visit, case.sealed) if visit.query.get("check") else None,
        may_prepare=visit.may(PREPARE),
        has_attachments=any(attachments.named(each) for each in case.decisions if each.run_id == run.run_id),
    )


def take_step(visit: Visit) -> Response:
    """Prepare the closeout, or approve the one that was seen."""
    run = api_runs.find_run(visit.caller, visit.named("run_id"))
    form, caller = visit.form, visit.caller
    action = form.text("action")
    page = link("runs", run.run_id, "closeout")
    if action == "approve":
        caller.require(APPROVE)
        with candidate.of_run(visit.tenant, run.run_id) as case:
            result = closing.approve(
                case, caller.actor, visit.serving.now(), caller.origin, _seen(form.text("seen") or "")
            )
        _raise_blocked(result)
        return visits.to(page, "sealed")
    if action != "prepare":
        raise ProblemError("invalid", "Choose prepare or approve.")
    with candidate.of_run(visit.tenant, run.run_id) as case:
        result = closing.prepare(
            case, caller.actor, visit.serving.now(), form.text("reason"), form.text("accept_quarantine"), caller.origin
        )
    _raise_blocked(result)
    return visits.to(page, "prepared")


def report(visit: Visit) -> Response:
    """The sealed report, to be looked at."""
    return downloads.report(visit.caller, visit.named("run_id"), visit.named("revision"))


def bundle(visit: Visit) -> Response:
    """The sealed bundle as a zip."""
    with_attachments = visit.query.get("attachments") == "yes"
    return downloads.bundle(visit.caller, visit.named("run_id"), visit.named("revision"), with_attachments)


def workbook(visit: Visit) -> Response:
    """The run as an Excel workbook."""
    return downloads.workbook(visit.caller, visit.named("run_id"))


def _checked(visit: Visit, sealed: Closeout | None) -> Any:
    """What checking the newest seal says, against the home's own keys."""
    from zentra_pipeline.closeout import verify

    if sealed is None:
        return None
    return verify.verify(closing.bundle_of(visit.caller.paths, sealed), visit.serving.home.trust)


def _seen(text: str) -> dict[str, str]:
    """The closeout that was looked at, with when it was prepared, as the form says it; none where it says none."""
    closeout_id, _, prepared_at = text.partition(" ")
    return {closeout_id: prepared_at} if prepared_at else {}


def _raise_blocked(result: CloseoutResult) -> None:
    if result.closeout is None:
        blocked = [{"explanation": item.explanation, "remedy": item.remedy.words} for item in result.blockers]
        raise ProblemError("blocked", "The closeout is blocked.", members={"blockers": blocked})


def _lacking(content: Mapping[str, Any]) -> list[tuple[str, int, str | None]]:
    """What rows of evidence lack, each with how many and what brings it; the commonest first."""
    found: Counter[str] = Counter()
    for row in content["evidence"]["gaps"]:
        for word in (row["missing"] or "a reason recorded").split(", "):
            found[word] += row["rows"]
    return [(word, rows, GAPS.get(word)) for word, rows in found.most_common()]


def _blocker_page(about: dict[str, str]) -> str | None:
    """Where somebody clears a blocker about an exception."""
    return link("exceptions", about["exception_id"]) if "exception_id" in about else None


ROUTES: Final = [
    visits.page("/runs/{run_id}/closeout", show),
    visits.form("/runs/{run_id}/closeout", take_step, PREPARE),
    visits.page("/runs/{run_id}/closeout/{revision}/report", report),
    visits.page("/runs/{run_id}/closeout/{revision}/bundle", bundle),
    visits.page("/runs/{run_id}/workbook", workbook),
]
