"""What operators match by decision: which lines with which movements, and what that comes to; pure.

    match   any number of lines with any number of movements, or items of one side that cancel with each other
    split   one line with several movements, or several lines with one movement

Does not belong here: finding the items of a run (review.decision_run), who may decide (policy), the match itself (dbt).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zentra_pipeline import money
from zentra_pipeline.decisions.exception_state import MATCHING
from zentra_pipeline.errors import NotPossibleError, UsageError

MAX_ITEMS: Final = 1_000
MAX_ID: Final = 4_096
LINE: Final = "settlement_line"
MOVEMENT: Final = "ledger_transaction"
_LINES: Final = "settlement_lines"
_MOVEMENTS: Final = "ledger_transactions"


@dataclass(frozen=True)
class Named:
    """The lines and movements of one match, each side in order."""

    settlement_lines: tuple[str, ...]
    ledger_transactions: tuple[str, ...]

    @property
    def items(self) -> tuple[tuple[str, str], ...]:
        """Pairs (item_type, item_id), lines first."""
        return (
            *((LINE, each) for each in self.settlement_lines),
            *((MOVEMENT, each) for each in self.ledger_transactions),
        )

    @property
    def is_one_sided(self) -> bool:
        """Whether only lines or only movements are named: items that cancel each other."""
        return not (self.settlement_lines and self.ledger_transactions)

    def content(self) -> dict[str, list[str]]:
        """The same as the log keeps it."""
        return {_LINES: list(self.settlement_lines), _MOVEMENTS: list(self.ledger_transactions)}

    @classmethod
    def of_details(cls, details: Mapping[str, Any]) -> "Named | None":
        """What a recorded decision names; null when it is about no match."""
        if _LINES not in details:
            return None
        return cls(tuple(details[_LINES]), tuple(details[_MOVEMENTS]))


@dataclass(frozen=True)
class Match:
    """A match as the run has its items: `breaks` are the exceptions that the run itself opened about them."""

    named: Named
    currency: str
    settlement_minor: int
    ledger_minor: int
    breaks: tuple[Mapping[str, str], ...] = ()

    @property
    def difference_minor(self) -> int:
        return self.settlement_minor - self.ledger_minor

    @property
    def is_forced(self) -> bool:
        return self.difference_minor != 0

    def check_cancels(self, tolerance_minor: int) -> None:
        """Refuse, with NotPossibleError, items of one side that leave more than a pair may (contract §5, §10.1)."""
        if not self.named.is_one_sided:
            return
        left = abs(self.difference_minor)
        if left <= (tolerance_minor if len(self.named.items) == 2 else 0):
            return
        side = "settlement lines" if self.named.settlement_lines else "ledger transactions"
        items = " + ".join(item_id for _, item_id in self.named.items)
        most = f", or to at most {money.amount_text(tolerance_minor, self.currency)} for two" if tolerance_minor else ""
        raise NotPossibleError(
            f"the {side} {items} come to "
            f"{money.amount_text(self.settlement_minor + self.ledger_minor, self.currency)}: items of one side may be "
            f"matched with each other when they come to nothing{most}; name what answers them on the other side too"
        )

    @property
    def method(self) -> str:
        return "forced" if self.is_forced else "manual"

    def details(self, *, takes_effect: bool) -> dict[str, Any]:
        """What the log keeps: for a proposal what is to be matched, and `breaks` when the match takes effect."""
        proposed = self.named.content() | {
            "currency": self.currency,
            "method": self.method,
            "settlement_minor": self.settlement_minor,
            "ledger_minor": self.ledger_minor,
        }
        return proposed | {"breaks": [dict(each) for each in self.breaks]} if takes_effect else proposed


def named(action: str, settlement_lines: Sequence[str], ledger_transactions: Sequence[str]) -> Named | None:
    """What an action names, null for one that names nothing; UsageError for a shape that it cannot have."""
    lines, movements = tuple(sorted(set(settlement_lines))), tuple(sorted(set(ledger_transactions)))
    if action not in MATCHING:
        if lines or movements:
            raise UsageError(f"{action} takes no lines or movements; {' and '.join(sorted(MATCHING))} do")
        return None
    for what, given, distinct in (
        ("settlement line", settlement_lines, lines),
        ("ledger transaction", ledger_transactions, movements),
    ):
        if len(given) != len(distinct):
            raise UsageError(f"a {what} is named twice: an item is a leg of one match once")
        if not distinct and action == "split":
            raise UsageError(f"{action} needs a {what}: it sets one line against several movements, or the reverse")
        if any(not each or len(each) > MAX_ID for each in distinct):
            raise UsageError(f"a {what} has an invalid id: use 1 to {MAX_ID} characters")
    if len(lines) + len(movements) < 2:
        raise UsageError(
            f"{action} needs two items or more: a settlement line and a ledger transaction, or items of one side that "
            "cancel each other"
        )
    if len(lines) + len(movements) > MAX_ITEMS:
        raise UsageError(
            f"{len(lines) + len(movements)} items are too many: a match by decision has {MAX_ITEMS} at most"
        )
    if action == "split" and (min(len(lines), len(movements)) != 1 or len(lines) == len(movements)):
        raise UsageError(
            f"split takes one line with several movements, or several lines with one movement; {len(lines)} with "
            f"{len(movements)} is for match"
        )
    return Named(lines, movements)
