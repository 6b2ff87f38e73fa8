"""The answer key: what the stories state, and what follows from their statements and the calendar.

The rules are those of contract §10.15 (open items, roll-forward); when an exception is open is the part of `spans`.
The key comes from the world and never from the engine. Does not belong here: rows, files, comparing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from zentra_pipeline.simulation.operators import KeyCloseout, closeouts
from zentra_pipeline.simulation.spans import (
    amount_in,
    closes,
    confirmed,
    decided,
    held,
    needs_a_movement,
    open_runs,
    spans,
)
from zentra_pipeline.simulation.statements import Item, Movement, PlacedLine, leg_of
from zentra_pipeline.simulation.story import CaseScript
from zentra_pipeline.simulation.world import Dataset

Flows = dict[tuple[int, str], list[int]]


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """A match and the window whose run makes it; ids are sorted and joined by blanks. A blank method is not judged."""

    ledger_window: str
    rule: str
    cardinality: str
    method: str
    status: str
    currency: str
    settlement_minor: int
    ledger_minor: int
    difference_minor: int
    settlement_lines: str
    ledger_transactions: str
    callbacks: str
    case: str


@dataclass(frozen=True, slots=True)
class KeyException:
    """An exception, the window whose run opens it, and the one whose run resolves it, if one does.

    Several types joined by `|`: any one of them is right. A blank currency or difference is not judged.
    """

    ledger_window: str
    exception_type: str
    subject_type: str
    subject_id: str
    currency: str
    difference_minor: int | None
    resolved_window: str
    resolution: str
    case: str


@dataclass(frozen=True, slots=True)
class KeyOpenItem:
    """An item still unmatched when the window's run ended."""

    ledger_window: str
    item_type: str
    item_id: str
    provider_reference: str
    currency: str
    amount_minor: int
    opened_window: str
    age_business_days: int
    case: str


@dataclass(frozen=True, slots=True)
class KeyRollforward:
    """A currency's movements before and after the window's run; a currency in which nothing is or moves is left out."""

    ledger_window: str
    currency: str
    opening_minor: int
    posted_minor: int
    settled_minor: int
    written_off_minor: int
    closing_minor: int


@dataclass(frozen=True, slots=True)
class KeyUndecidable:
    """A leg of which no confident match can be right."""

    leg_type: str
    leg_id: str
    case: str


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """Everything a world's runs have to say, sorted."""

    matches: tuple[KeyMatch, ...]
    exceptions: tuple[KeyException, ...]
    open_items: tuple[KeyOpenItem, ...]
    rollforward: tuple[KeyRollforward, ...]
    closeouts: tuple[KeyCloseout, ...]
    undecidable: tuple[KeyUndecidable, ...]


def answer_key(world: Dataset) -> AnswerKey:
    """The key of a world."""
    stories = world.stories
    matches = [row for story in stories for row in _matches(story)]
    exceptions = [row for story in stories for row in _exceptions(story)]
    open_items = [row for story in stories for row in _open_items(story)]
    undecidable = [KeyUndecidable(*leg, story.case) for story in stories for leg in story.undecidable]
    return AnswerKey(
        matches=tuple(sorted(matches, key=repr)),
        exceptions=tuple(sorted(exceptions, key=repr)),
        open_items=tuple(sorted(open_items, key=repr)),
        rollforward=tuple(_rollforward(world, _flows(world))),
        closeouts=tuple(closeouts(world.calendar)),
        undecidable=tuple(sorted(undecidable, key=repr)),
    )


def _matches(story: CaseScript) -> Iterator[KeyMatch]:
    for match in story.matches:
        heard = {
            callback.provider_event_id
            for callback in story.callbacks
            if story.calendar.run_that_sees(callback.received_at, match.run) is not None
        }
        believed = (heard if match.has_every_callback else match.callbacks & heard) - story.disbelieved
        status = "reversed" if match.reversed_in is not None else match.status
        yield KeyMatch(
            ledger_window=str(story.calendar.runs[match.run]),
            rule=match.rule,
            cardinality=f"{_count(match.lines)}_to_{_count(match.movements)}",
            method=match.method,
            status=status,
            currency=match.movements[0].currency,
            settlement_minor=match.settlement_minor,
            ledger_minor=match.ledger_minor,
            difference_minor=match.difference_minor,
            settlement_lines=_joined(line.row.line_id for line in match.lines),
            ledger_transactions=_joined(movement.transaction_id for movement in match.movements),
            callbacks=_joined(believed) if status == "confirmed" else "",
            case=story.case,
        )


def _count(legs: tuple[PlacedLine, ...] | tuple[Movement, ...]) -> str:
    return "one" if len(legs) == 1 else "many"


def _joined(ids: Iterable[str]) -> str:
    return " ".join(sorted(ids))


def _exceptions(story: CaseScript) -> Iterator[KeyException]:
    windows = story.calendar.runs
    known_closes = closes(story.calendar, is_late=story.before is not None)
    for span in (part for whole in spans(story) for part in decided(whole, known_closes)):
        yield KeyException(
            ledger_window=str(windows[span.run]),
            exception_type="|".join(span.types),
            subject_type=span.subject_type,
            subject_id=span.subject_id,
            currency=span.currency,
            difference_minor=span.difference_minor,
            resolved_window="" if span.ended is None else str(windows[span.ended]),
            resolution="" if span.ended is None else span.resolution,
            case=story.case,
        )


def _open_items(story: CaseScript) -> Iterator[KeyOpenItem]:
    stretches = held(story)
    items: list[tuple[Item, str, date]] = [
        (line, line.row.provider_reference, story.calendar.runs[line.run])
        for line in story.lines
        if needs_a_movement(line)
    ]
    items += [(movement, movement.provider_reference, movement.window) for movement in story.movements]
    for item, reference, window in items:
        kind, item_id, currency, _ = leg_of(item)
        for run in open_runs(story, stretches, item):
            yield KeyOpenItem(
                ledger_window=str(story.calendar.runs[run]),
                item_type=kind,
                item_id=item_id,
                provider_reference=reference,
                currency=currency,
                amount_minor=amount_in(story, item, run),
                opened_window=str(window),
                age_business_days=story.calendar.age(window, run),
                case=story.case,
            )


def _flows(world: Dataset) -> Flows:
    """What each run posts, settles and writes off of movements, by currency."""
    flows: Flows = defaultdict(lambda: [0, 0, 0])
    for story in world.stories:
        for movement in story.movements:
            flows[movement.run, movement.currency][0] += movement.amount_minor
        for run, _, currency, amount in story.posted_more:
            flows[run, currency][0] += amount
        for match in confirmed(story):
            currency = match.movements[0].currency
            flows[match.run, currency][1] += match.ledger_minor
            if match.reversed_in is not None:
                flows[match.reversed_in, currency][1] -= match.ledger_minor
        for given_up in story.write_offs:
            if isinstance(given_up.item, Movement):
                amount = amount_in(story, given_up.item, given_up.run)
                flows[given_up.run, given_up.item.currency][2] += amount
    return flows


def _rollforward(world: Dataset, flows: Flows) -> Iterator[KeyRollforward]:
    for currency in sorted({currency for _, currency in flows}):
        opening = 0
        for run, window in enumerate(world.calendar.runs):
            posted, settled, written_off = flows.get((run, currency), (0, 0, 0))
            closing = opening + posted - settled - written_off
            if opening or posted or settled or written_off or closing:
                yield KeyRollforward(str(window), currency, opening, posted, settled, written_off, closing)
            opening = closing
