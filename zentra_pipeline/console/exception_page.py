"""The page of one exception: its sides, what came close, what was decided, and what may be; rules are the desk's."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.responses import Response

from zentra_pipeline import identifiers
from zentra_pipeline.api import attachments
from zentra_pipeline.api import exceptions as api_exceptions
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import DECIDE
from zentra_pipeline.console import approvals, forms, outcomes, visits
from zentra_pipeline.console.rendering import link
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.manual_match import LINE, MOVEMENT
from zentra_pipeline.decisions.policy import ROLE_ACTIONS, WRITE_OFF, Policy, load_policy
from zentra_pipeline.desk import sides
from zentra_pipeline.instants import instant_of
from zentra_pipeline.review.attachments import ENDINGS, MOST_BYTES
from zentra_pipeline.review.clocks import Clocks

# What needs a reason at most.
_SIMPLE: Final = tuple(
    action
    for action in exception_state.ACTIONS
    if action not in {"assign", "resolve", "approve", "reject", *exception_state.MATCHING}
)
_RESOLUTIONS: Final[Mapping[str, str]] = {
    action: resolution for action, resolution in exception_state.RESOLVING.items() if resolution is not None
}

# What the tables of all runs call the two sides of a bank account's (ADR 0061).
_OF_ACCOUNTS: Final = {"settlement_line": "bank_line", "ledger_transaction": "payout"}


def show(visit: Visit) -> Response:
    """An exception, with everything that helps to decide about it."""
    row = api_exceptions.detail(visit.caller, visit.serving, visit.named("exception_id"))
    policy = load_policy(visit.caller.paths)
    waiting = row["pending_approval"]
    due_at = None if row["due_at"] is None else instant_of(row["due_at"]).replace(tzinfo=None)
    clocks = Clocks(visit.caller.paths, visit.serving.now())
    still_open = sides.open_items(visit.caller.paths, [each["candidate_id"] for each in row["candidates"]])
    mine = ROLE_ACTIONS[visit.caller.role]
    is_of_account = identifiers.account_of(row["provider"]) is not None
    return visit.page(
        "exception.html",
        row=row,
        item=f"{row['exception_id']}:{row['version']}",
        due_day=None if due_at is None else clocks.due_day(row["provider"], due_at),
        sides=sides.of_exception(visit.caller.paths, row),
        is_of_account=is_of_account,
        subject_type=_OF_ACCOUNTS.get(row["subject_type"], row["subject_type"])
        if is_of_account
        else row["subject_type"],
        misses=[(candidate, _pair(row, candidate, still_open)) for candidate in row["candidates"]],
        waiting=waiting,
        obstacle=None if waiting is None else approvals.obstacle(visit.caller, waiting),
        actions=[action for action in row["possible"] if action in mine],
        resolutions=exception_state.personal_resolutions(),
        simple=sorted(_SIMPLE, key=lambda action: action != "comment"),
        rules={action: _rule(policy, action, row["currency"]) for action in row["possible"]},
        second_person=policy.second_person,
        endings=",".join(ENDINGS),
    )


def decide(visit: Visit) -> Response:
    """Decide about it, in the state it was seen in."""
    form, exception_id = visit.form, visit.named("exception_id")
    action = form.text("action")
    if action not in exception_state.ACTIONS:
        raise ProblemError("invalid", "Choose what to do.")
    if form.file:
        return _comment_with_file(visit, exception_id, action)
    verdicts = outcomes.decided(
        visit,
        action,
        [f"{exception_id}:{form.text('version') or ''}"],
        reason=form.text("reason"),
        owner=form.text("owner") if action == "assign" else None,
        resolution=form.text("resolution") if action == "resolve" else None,
        settlement_lines=_ids(form.text("settlement_lines")) if action in exception_state.MATCHING else (),
        ledger_transactions=_ids(form.text("ledger_transactions")) if action in exception_state.MATCHING else (),
    )
    return outcomes.answer(visit, verdicts, link("exceptions", exception_id), "decided")


def _comment_with_file(visit: Visit, exception_id: str, action: str) -> Response:
    """A comment and the file that came with it; no other decision takes one."""
    if action != "comment":
        raise ProblemError("invalid", "A file goes with a comment: press Comment, or choose no file.")
    attachments.comment_with_file(
        visit.caller,
        visit.serving,
        exception_id,
        visit.form.text("reason"),
        visit.form.file_name.replace("\\", "/").rsplit("/", 1)[-1],
        visit.form.file or b"",
    )
    return visits.to(link("exceptions", exception_id), "decided")


def download(visit: Visit) -> Response:
    """A file that a comment names, to be saved."""
    return attachments.file_of(visit.caller, visit.named("exception_id"), visit.named("sha256"))


def _pair(
    row: Mapping[str, Any], candidate: Mapping[str, Any], still_open: Collection[tuple[str, str]]
) -> dict[str, str] | None:
    """The lines and movements of a match of the exception's subject with a near miss; null where none can be."""
    ids = {row["subject_type"]: row["subject_id"], candidate["candidate_type"]: candidate["candidate_id"]}
    is_open = (candidate["candidate_type"], candidate["candidate_id"]) in still_open
    if ids.keys() != {LINE, MOVEMENT} or candidate["currency"] != row["currency"] or not is_open:
        return None
    return {"settlement_lines": ids[LINE], "ledger_transactions": ids[MOVEMENT]}


def _ids(text: str | None) -> list[str]:
    """The ids of a field, one a line: an id may have blanks and commas in it."""
    return [line.strip() for line in (text or "").split("\n") if line.strip()]


def _rule(policy: Policy, action: str, currency: str | None) -> str | None:
    """What the policy asks of an action, in a sentence; null where it asks nothing."""
    if action in exception_state.MATCHING:
        always = _RESOLUTIONS[action] in policy.second_person
        return "A second person approves it." if always else "A second person approves it where amounts differ."
    resolution = _RESOLUTIONS.get(action)
    if resolution not in policy.second_person:
        return None
    if resolution != WRITE_OFF:
        return "A second person approves it."
    limits = [
        f"{role} up to {approvals.shown(limit, currency)}"
        for role, actions in ROLE_ACTIONS.items()
        if "approve" in actions and (limit := policy.limit(role, currency)) is not None
    ]
    return f"A second person approves it{': ' + ', '.join(limits) if limits else ', whatever the amount'}."


ROUTES: Final = [
    visits.page("/exceptions/{exception_id}", show),
    visits.form("/exceptions/{exception_id}", decide, DECIDE, limit=MOST_BYTES + forms.FORM_BYTES),
    visits.page("/exceptions/{exception_id}/attachments/{sha256}", download),
]
