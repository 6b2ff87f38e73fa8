"""What a run takes from the decisions so far: states people gave exceptions, and the items it writes off; pure.

A decision belongs to the books of one run (`Decision.run_id`); that run and those created after it see it. Does not
belong here: what becomes of it in the run's tables (dbt).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from zentra_pipeline.review import decisions
from zentra_pipeline.store.decisions import Decision

# Exceptions whose subject is an open item for want of a counterpart: writing them off takes the item out of the books.
OPEN_ITEM_TYPES: Final = frozenset(
    {
        "unmatched_provider_row",
        "unmatched_ledger_entry",
        "failed_settlement",
        "duplicate_settlement_line",
        "duplicate_ledger_posting",
        "currency_mismatch",
        "ambiguous_match",
    }
)


@dataclass(frozen=True, order=True)
class DecidedState:
    """Where an exception stands by decision; `owner` is null where nobody assigned it."""

    exception_id: str
    status: str
    owner: str | None
    resolution: str | None


@dataclass(frozen=True, order=True)
class WriteOff:
    """A line or movement given up by a decision in the books of the run."""

    item_type: str
    item_id: str
    currency: str
    exception_id: str
    exception_type: str
    decision_id: str


@dataclass(frozen=True)
class RunDecisions:
    """The decisions a run depends on, in total orders."""

    states: tuple[DecidedState, ...] = ()
    write_offs: tuple[WriteOff, ...] = ()

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """The same as JSON values, for manifests and digests."""
        return {
            "states": [asdict(state) for state in self.states],
            "write_offs": [asdict(write_off) for write_off in self.write_offs],
        }

    @classmethod
    def of_content(cls, content: Mapping[str, Any] | None) -> "RunDecisions":
        """What `content` gave; nothing for a manifest that is older than decisions."""
        content = content or {}
        return cls(
            tuple(DecidedState(**state) for state in content.get("states", ())),
            tuple(WriteOff(**write_off) for write_off in content.get("write_offs", ())),
        )


def of_run(log: Iterable[Decision], run_id: str, earlier: Collection[str]) -> RunDecisions:
    """What the run sees of the log: the decisions in its own books and in those of the `earlier` runs."""
    visible = [decision for decision in log if decision.run_id == run_id or decision.run_id in earlier]
    states = decisions.states(visible)
    return RunDecisions(
        tuple(
            sorted(
                DecidedState(state.exception_id, state.status, state.owner, state.resolution)
                for state in states.values()
            )
        ),
        _write_offs(visible, states, run_id),
    )


def _write_offs(
    log: Iterable[Decision], states: Mapping[str, decisions.ExceptionState], run_id: str
) -> tuple[WriteOff, ...]:
    """The items written off in the run's books; of two decisions about one item the first counts."""
    found: dict[tuple[str, str, str], WriteOff] = {}
    for decision in log:
        state = states.get(decision.exception_id or "")
        item = decision.details.get("item")
        if state is None or item is None or state.decision_id != decision.decision_id or state.run_id != run_id:
            continue
        write_off = WriteOff(
            item_type=item["item_type"],
            item_id=item["item_id"],
            currency=item["currency"],
            exception_id=state.exception_id,
            exception_type=item["exception_type"],
            decision_id=decision.decision_id,
        )
        found.setdefault((write_off.item_type, write_off.item_id, write_off.currency), write_off)
    return tuple(sorted(found.values()))
