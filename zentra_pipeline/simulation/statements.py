"""What a case can state: placed rows, matches, exceptions, refused rows. Making them is the story's part."""

from dataclasses import dataclass
from datetime import date, datetime

from zentra_pipeline.simulation.rows import Line, Row


class CaseDoesNotFitError(Exception):
    """The case needs more runs, or another profile, than this world has."""


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line, and the run whose settlement file brings it first."""

    row: Line
    run: int
    compared_minor: int


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction's net on the clearing account in one currency; its window and the first run that sees it."""

    transaction_id: str
    currency: str
    amount_minor: int
    provider_reference: str
    intent_id: str
    posted_at: datetime
    window: date
    run: int


Item = PlacedLine | Movement
Leg = tuple[str, str, str, int]
"""Type, id and currency of an item, and the run that sees it first: what grows after its write-off is another item."""


def leg_of(item: Item) -> Leg:
    """The item as matches hold it."""
    if isinstance(item, PlacedLine):
        return "settlement_line", item.row.line_id, item.row.currency, item.run
    return "ledger_transaction", item.transaction_id, item.currency, item.run


@dataclass(frozen=True, slots=True)
class Match:
    """A match that a run must make; `callbacks` are the events that speak of it, `reversed_in` takes it back."""

    rule: str
    run: int
    lines: tuple[PlacedLine, ...]
    movements: tuple[Movement, ...]
    settlement_minor: int
    ledger_minor: int
    method: str
    callbacks: frozenset[str] = frozenset()
    status: str = "confirmed"
    reversed_in: int | None = None
    has_every_callback: bool = False

    @property
    def difference_minor(self) -> int:
        return self.settlement_minor - self.ledger_minor


@dataclass(frozen=True, slots=True)
class Finding:
    """An exception that a run must open; several types where the contract leaves the choice and any is right.

    `differences` are what it shows, each from a run on, where that changes; the last is `difference_minor`.
    """

    types: tuple[str, ...]
    subject_type: str
    subject_id: str
    run: int
    resolved_in: int | None = None
    currency: str = ""
    difference_minor: int | None = None
    resolution: str = "matched_late"
    differences: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WriteOff:
    """An item that operators write off in the run that opens its exception, before that run is closed."""

    run: int
    exception_type: str
    item: Item


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that ingest must quarantine: its kind, the run whose files bring it, the row as sent."""

    kind: str
    run: int
    row: Row
