"""What a run takes from the decisions so far: states operators gave exceptions, items it writes off or matches; pure.

A decision belongs to one run (`Decision.run_id`); that run and those created after it see it. Does not
belong here: what becomes of it in the run's tables (dbt).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.manual_match import LINE, MOVEMENT, Named
from zentra_pipeline.store.decisions import Decision

# What the details of a decision name items by.
_ITEMS: Final = frozenset({"item", "settlement_lines"})


@dataclass(frozen=True, order=True)
class DecidedState:
    """The state of an exception by decision; `owner` and `lane` are null where no decision names them.

    `is_own`: it was resolved in the run itself, about what this run shows, and wrote off or matched no item.
    """

    exception_id: str
    status: str
    owner: str | None
    resolution: str | None
    lane: str | None = None
    is_own: bool = False

    def content(self) -> dict[str, Any]:
        """The same as JSON values, without what older releases did not know, so that digests stay what they were."""
        left_out = {"lane"} if self.lane is None else set()
        left_out |= set() if self.is_own else {"is_own"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass(frozen=True, order=True)
class WriteOff:
    """A line or movement written off by a decision in the run.

    `amount_minor` is what it came to when that was decided, null in decisions of older releases: what the ledger adds
    to a movement afterwards is not given up.
    """

    item_type: str
    item_id: str
    currency: str
    exception_id: str
    exception_type: str
    decision_id: str
    amount_minor: int | None = None

    def content(self) -> dict[str, Any]:
        """The same as JSON values; without an amount as before there were any, so that digests stay what they were."""
        return {name: value for name, value in asdict(self).items() if name != "amount_minor" or value is not None}


@dataclass(frozen=True, order=True)
class ManualMatch:
    """A line or movement that a decision in the run matches; items of one `decision_id` are one match.

    `exception_id` was decided about. `break_id` and `break_type` are the exception that the run had opened about the
    item, null where there was none: it remains reported beside the match.
    """

    item_type: str
    item_id: str
    currency: str
    method: str
    decision_id: str
    exception_id: str
    break_id: str | None
    break_type: str | None


@dataclass(frozen=True)
class RunDecisions:
    """The decisions a run depends on, in total orders."""

    states: tuple[DecidedState, ...] = ()
    write_offs: tuple[WriteOff, ...] = ()
    matches: tuple[ManualMatch, ...] = ()

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """The same as JSON values, for manifests and digests."""
        return {
            "states": [state.content() for state in self.states],
            "write_offs": [write_off.content() for write_off in self.write_offs],
            "matches": [asdict(item) for item in self.matches],
        }

    @classmethod
    def of_content(cls, content: Mapping[str, Any] | None) -> "RunDecisions":
        """What `content` gave; nothing for a manifest that is older than decisions."""
        content = content or {}
        return cls(
            tuple(DecidedState(**state) for state in content.get("states", ())),
            tuple(WriteOff(**write_off) for write_off in content.get("write_offs", ())),
            tuple(ManualMatch(**item) for item in content.get("matches", ())),
        )


def of_run(log: Iterable[Decision], run_id: str, earlier: Collection[str]) -> RunDecisions:
    """What the run sees of the log: the decisions in the run itself and in the `earlier` runs."""
    visible = [decision for decision in log if decision.run_id == run_id or decision.run_id in earlier]
    states = exception_state.states(visible)
    write_offs, matches = _taken(visible, states, run_id)
    own = {each.decision_id for each in visible if each.run_id == run_id and not changes_items(each)}
    return RunDecisions(
        tuple(
            sorted(
                DecidedState(
                    state.exception_id,
                    state.status,
                    state.owner,
                    state.resolution,
                    state.lane,
                    is_own=state.status == "resolved" and state.decision_id in own,
                )
                for state in states.values()
            )
        ),
        write_offs,
        matches,
    )


def changes_items(decision: Decision) -> bool:
    """Whether a decision writes off or matches items of its run, or takes that back."""
    return decision.result in ("resolved", "open") and not decision.details.keys().isdisjoint(_ITEMS)


def _taken(
    log: Iterable[Decision], states: Mapping[str, exception_state.ExceptionState], run_id: str
) -> tuple[tuple[WriteOff, ...], tuple[ManualMatch, ...]]:
    """The items written off and matched in the run; of two decisions about one item the first counts."""
    write_offs: list[WriteOff] = []
    matches: list[ManualMatch] = []
    taken: set[tuple[str, str, str]] = set()
    for decision in log:
        state = states.get(decision.exception_id or "")
        if state is None or state.decision_id != decision.decision_id or state.run_id != run_id:
            continue
        if not changes_items(decision):
            continue
        found = _write_off(decision) if "item" in decision.details else _match(decision)
        keys = {(item.item_type, item.item_id, "" if item.item_type == LINE else item.currency) for item in found}
        if keys.isdisjoint(taken):
            taken |= keys
            write_offs += (item for item in found if isinstance(item, WriteOff))
            matches += (item for item in found if isinstance(item, ManualMatch))
    return tuple(sorted(write_offs)), tuple(sorted(matches))


def _write_off(decision: Decision) -> list[WriteOff]:
    item = decision.details["item"]
    return [
        WriteOff(
            item_type=item["item_type"],
            item_id=item["item_id"],
            currency=item["currency"],
            exception_id=str(decision.exception_id),
            exception_type=item["exception_type"],
            decision_id=decision.decision_id,
            amount_minor=_approved_minor(decision, item),
        )
    ]


def _approved_minor(decision: Decision, item: Mapping[str, Any]) -> int | None:
    """What the item came to when it was given up; of an older decision what its approver saw, null where nobody did."""
    if "amount_minor" in item:
        return int(item["amount_minor"])
    side = {LINE: "settlement", MOVEMENT: "ledger"}[item["item_type"]]
    seen = decision.details.get("approval", {}).get(side, {}).get("items", ())
    return next((int(each["amount_minor"]) for each in seen if each["item_id"] == item["item_id"]), None)


def _match(decision: Decision) -> list[ManualMatch]:
    named = Named.of_details(decision.details)
    assert named is not None
    breaks = {(found["item_type"], found["item_id"]): found for found in decision.details["breaks"]}
    return [
        ManualMatch(
            item_type=item_type,
            item_id=item_id,
            currency=decision.details["currency"],
            method=decision.details["method"],
            decision_id=decision.decision_id,
            exception_id=str(decision.exception_id),
            break_id=breaks.get((item_type, item_id), {}).get("exception_id"),
            break_type=breaks.get((item_type, item_id), {}).get("exception_type"),
        )
        for item_type, item_id in named.items
    ]
