"""The page of what waits for approval, and its form; what there is to approve is worked out at the desk (waiting)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from zentra_pipeline import money
from zentra_pipeline.actors import same_person
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import APPROVE, DECIDE, Caller
from zentra_pipeline.closeout.period_closing import preparation_of
from zentra_pipeline.console import outcomes, visits
from zentra_pipeline.console.rendering import PREFIX
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.desk import waiting
from zentra_pipeline.store import decisions as decision_store

PATH: Final = f"{PREFIX}/approvals"
_ACTIONS: Final = ("approve", "reject")


@dataclass(frozen=True)
class Proposal:
    """A proposal as somebody sees it: `version` is the state it is of, `obstacle` why they cannot approve it."""

    content: Mapping[str, Any]
    version: int
    obstacle: str | None


@dataclass(frozen=True)
class Group:
    """Proposals that are equal but for their items: one decision may answer them all."""

    proposals: Sequence[Proposal]

    @property
    def first(self) -> Mapping[str, Any]:
        """The content of the first: what they have in common."""
        return self.proposals[0].content

    @property
    def obstacle(self) -> str | None:
        """Why whoever looks cannot approve them."""
        return self.proposals[0].obstacle

    @property
    def difference_minor(self) -> int:
        """Their differences in all, by size: none hides another."""
        return sum(abs(proposal.content["difference_minor"]) for proposal in self.proposals)


def show(visit: Visit) -> Response:
    """Everything that waits, what one may approve oneself first."""
    with visit.tenant.reading() as connection:
        contents = waiting.exceptions(visit.caller.paths, connection)
        log = decision_store.listed(connection, [content["exception_id"] for content in contents])
        closeouts = waiting.closeouts(connection)
        sign_offs = waiting.sign_offs(connection)
    versions = Counter(decision.exception_id for decision in log)
    proposals = [
        Proposal(content, versions[content["exception_id"]], obstacle(visit.caller, content)) for content in contents
    ]
    prepared = [
        {"closeout": item, "content": content, "obstacle": closeout_obstacle(visit.caller, item.prepared_by)}
        for item, content in closeouts
    ]
    return visit.page(
        "approvals.html",
        groups=_groups(proposals),
        closeouts=sorted(prepared, key=lambda entry: entry["obstacle"] is not None),
        closeout_months=sorted({item.ledger_window[:7] for item, _ in closeouts}) if len(closeouts) > 1 else [],
        months=[
            {
                "sign_off": item,
                "seen": preparation_of(item),
                "obstacle": closeout_obstacle(visit.caller, item.prepared_by),
            }
            for item in sign_offs
        ],
        may_reject="reject" in ROLE_ACTIONS[visit.caller.role],
    )


def obstacle(caller: Caller, content: Mapping[str, Any]) -> str | None:
    """Why somebody cannot approve a proposal, in a sentence; null where they can."""
    if "approve" not in ROLE_ACTIONS[caller.role]:
        return f"You act as {caller.role}: an approver or admin approves this."
    if same_person(caller.actor, content["proposed_by"]):
        return "You proposed this: somebody else has to approve it."
    if caller.in_place_of is not None and same_person(caller.in_place_of, content["proposed_by"]):
        return f"{caller.in_place_of} proposed this, and you act in their place: somebody else has to approve it."
    policy = content["policy"]
    limit = next((each for each in policy["limits"] if each["role"] == caller.role), None)
    if limit is not None and not limit["may_approve"]:
        most = shown(limit["limit_minor"], content["currency"])
        return f"Above your limit: as {caller.role} you may approve up to {most}."
    return None


def shown(minor: int, currency: str | None) -> str:
    """A limit as text."""
    return money.amount_text(minor, currency) if currency else f"{minor:,}"


def closeout_obstacle(caller: Caller, prepared_by: str) -> str | None:
    """Why somebody cannot approve a prepared closeout; null where they can."""
    if not caller.may(APPROVE):
        return f"You act as {caller.role}: an approver or admin approves a closeout."
    if same_person(caller.actor, prepared_by):
        return "You prepared this: somebody else has to approve it."
    if caller.in_place_of is not None and same_person(caller.in_place_of, prepared_by):
        return f"{caller.in_place_of} prepared this, and you act in their place: somebody else has to approve it."
    return None


def decide(visit: Visit) -> Response:
    """Approve or reject what was chosen, each in the state it was seen in."""
    action = visit.form.text("action")
    if action not in _ACTIONS:
        raise ProblemError("invalid", "Choose approve or reject.")
    verdicts = outcomes.decided(visit, action, visit.form.all("item"), reason=visit.form.text("reason"))
    said = {"approve": "approved", "reject": "rejected"}[action]
    return outcomes.answer(visit, verdicts, PATH, said)


def _groups(proposals: Sequence[Proposal]) -> list[Group]:
    """Equal proposals together, those that can be approved first."""
    found: dict[tuple[Any, ...], list[Proposal]] = {}
    for proposal in proposals:
        content = proposal.content
        names = ("action", "resolution", "method", "currency", "proposed_by", "reason")
        found.setdefault((proposal.obstacle, *(content[name] for name in names)), []).append(proposal)
    for each in found.values():  # the largest first: it is what one looks at
        each.sort(key=lambda proposal: -proposal.content["policy"]["amount_minor"])
    return sorted((Group(each) for each in found.values()), key=lambda group: group.obstacle is not None)


ROUTES: Final = [
    visits.page("/approvals", show),
    visits.form("/approvals", decide, DECIDE),
]
