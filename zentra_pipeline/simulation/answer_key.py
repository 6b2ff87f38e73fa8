"""The answer key: what the stories state, and what follows from their statements and the calendar.

The rules are those of CONTRACT §10.4 (age), §10.6 (reasons), §10.9 (callbacks) and §10.15 (open items, roll-forward).
The key comes from the world and never from the engine. Does not belong here: rows, files, comparing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from zentra_pipeline.simulation.statements import Match, Movement, PlacedLine
from zentra_pipeline.simulation.story import Story
from zentra_pipeline.simulation.terms import MATCHED_TYPES
from zentra_pipeline.simulation.world import World

Leg = tuple[str, str, str]
Held = dict[Leg, list[tuple[int, int]]]


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
    undecidable: tuple[KeyUndecidable, ...]


def answer_key(world: World) -> AnswerKey:
    """The key of a world."""
    matches: list[KeyMatch] = []
    exceptions: list[KeyException] = []
    open_items: list[KeyOpenItem] = []
    flows: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for story in world.stories:
        held = _held(story)
        matches += _matches(story)
        exceptions += _exceptions(story, held)
        open_items += _open_items(story, held)
        for movement in story.movements:
            flows[movement.run, movement.currency][0] += movement.amount_minor
        for run, _, currency, amount in story.posted_more:
            flows[run, currency][0] += amount
        for match in _confirmed(story):
            currency = match.movements[0].currency
            flows[match.run, currency][1] += match.ledger_minor
            if match.reversed_in is not None:
                flows[match.reversed_in, currency][1] -= match.ledger_minor
    undecidable = [KeyUndecidable(*leg, story.case) for story in world.stories for leg in story.undecidable]
    return AnswerKey(
        matches=tuple(sorted(matches, key=repr)),
        exceptions=tuple(sorted(exceptions, key=repr)),
        open_items=tuple(sorted(open_items, key=repr)),
        rollforward=tuple(_rollforward(world, flows)),
        undecidable=tuple(sorted(undecidable, key=repr)),
    )


def _is_settled_nothing(line: PlacedLine) -> bool:
    """A settled line of nothing that nothing answers is accounted for: no exception, no open item (CONTRACT §10.2)."""
    return line.compared_minor == 0 and line.row.status in ("", "settled")


def _confirmed(story: Story) -> Iterator[Match]:
    return (match for match in story.matches if match.status == "confirmed")


def _line_leg(line: PlacedLine) -> Leg:
    return "settlement_line", line.row.line_id, line.row.currency


def _movement_leg(movement: Movement) -> Leg:
    return "ledger_transaction", movement.transaction_id, movement.currency


def _held(story: Story) -> Held:
    """Of every leg, the stretches of runs [from, until) at whose end it is matched."""
    runs = len(story.calendar.runs)
    held: Held = defaultdict(list)
    for match in _confirmed(story):
        stretch = (match.run, runs if match.reversed_in is None else match.reversed_in)
        for leg in (*map(_line_leg, match.lines), *map(_movement_leg, match.movements)):
            held[leg].append(stretch)
    return held


def _open_runs(story: Story, held: Held, leg: Leg, seen_in: int) -> list[int]:
    """The runs at whose end a leg, first seen by one of them, is unmatched."""
    stretches = held.get(leg, ())
    return [
        run
        for run in range(seen_in, len(story.calendar.runs))
        if not any(start <= run < end for start, end in stretches)
    ]


def _matches(story: Story) -> Iterator[KeyMatch]:
    for match in story.matches:
        heard = {
            callback.provider_event_id
            for callback in story.callbacks
            if story.calendar.run_told(callback.received_at, match.run) is not None
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


def _exceptions(story: Story, held: Held) -> Iterator[KeyException]:
    for finding in story.findings:
        yield _exception(
            story,
            "|".join(finding.types),
            (finding.subject_type, finding.subject_id, finding.currency),
            finding.run,
            finding.resolved_in,
            finding.difference_minor,
            finding.resolution,
        )
    for line in story.lines:
        if line.row.line_type in MATCHED_TYPES and not _is_settled_nothing(line):
            types = story.reasons.get(line.row.line_id, ("unmatched_provider_row",))
            due_from = story.duplicate_from.get((line.row.line_id, line.row.currency), line.run)
            yield from _while_open(story, held, "|".join(types), _line_leg(line), line.run, due_from)
    for movement in story.movements:
        leg = _movement_leg(movement)
        twin_from = story.duplicate_from.get((movement.transaction_id, movement.currency))
        overdue_from = story.calendar.first_overdue(movement.window)
        if twin_from is not None:
            yield from _while_open(story, held, "duplicate_ledger_posting", leg, movement.run, twin_from)
        elif overdue_from is not None:
            yield from _while_open(story, held, "unmatched_ledger_entry", leg, movement.run, overdue_from)
    if story.terms.expects_callbacks:
        for match in _confirmed(story):
            yield from _callback_exceptions(story, match)


def _while_open(
    story: Story, held: Held, exception_type: str, leg: Leg, seen_in: int, due_from: int
) -> Iterator[KeyException]:
    """The exception of a leg unmatched in some run from `due_from` on; the run that then matches it resolves it."""
    open_runs = _open_runs(story, held, leg, seen_in)
    opened = next((run for run in open_runs if run >= due_from), None)
    if opened is not None:
        resolved = next((run for run in range(opened, len(story.calendar.runs)) if run not in open_runs), None)
        yield _exception(story, exception_type, leg, opened, resolved)


def _callback_exceptions(story: Story, match: Match) -> Iterator[KeyException]:
    """Missing and late callbacks by CONTRACT §10.9: what counts is the first receipt of a believed success."""
    successes = [
        callback
        for callback in story.callbacks
        if callback.status == "succeeded"
        and callback.provider_event_id not in story.disbelieved
        and (match.has_every_callback or callback.provider_event_id in match.callbacks)
    ]
    first = min(successes, key=lambda callback: (callback.received_at, callback.provider_event_id), default=None)
    heard = None if first is None else story.calendar.run_told(first.received_at, match.run)
    currency = match.movements[0].currency
    if heard is None or heard > match.run:
        subject = min(movement.transaction_id for movement in match.movements)
        leg = ("ledger_transaction", subject, currency)
        yield _exception(story, "missing_callback", leg, match.run, heard)
    if first is not None and heard is not None and first.received_at > story.calendar.review_cutoff(match.run):
        yield _exception(story, "late_callback", ("callback", first.provider_event_id, ""), max(heard, match.run), None)


def _exception(
    story: Story,
    exception_type: str,
    subject: tuple[str, str, str],
    opened: int,
    resolved: int | None,
    difference_minor: int | None = None,
    resolution: str = "matched_late",
) -> KeyException:
    windows = story.calendar.runs
    return KeyException(
        ledger_window=str(windows[opened]),
        exception_type=exception_type,
        subject_type=subject[0],
        subject_id=subject[1],
        currency=subject[2],
        difference_minor=difference_minor,
        resolved_window="" if resolved is None else str(windows[resolved]),
        resolution="" if resolved is None else resolution,
        case=story.case,
    )


def _open_items(story: Story, held: Held) -> Iterator[KeyOpenItem]:
    items: list[tuple[Leg, int, str, int, date]] = [
        (_line_leg(line), line.run, line.row.provider_reference, line.compared_minor, story.calendar.runs[line.run])
        for line in story.lines
        if line.row.line_type in MATCHED_TYPES and not _is_settled_nothing(line)
    ]
    items += [
        (_movement_leg(item), item.run, item.provider_reference, item.amount_minor, item.window)
        for item in story.movements
    ]
    for leg, seen_in, reference, seen_minor, window in items:
        for run in _open_runs(story, held, leg, seen_in):
            amount = seen_minor + sum(
                more for at, *changed, more in story.posted_more if changed == [*leg[1:]] and at <= run
            )
            yield KeyOpenItem(
                ledger_window=str(story.calendar.runs[run]),
                item_type=leg[0],
                item_id=leg[1],
                provider_reference=reference,
                currency=leg[2],
                amount_minor=amount,
                opened_window=str(window),
                age_business_days=story.calendar.age(window, run),
                case=story.case,
            )


def _rollforward(world: World, flows: dict[tuple[int, str], list[int]]) -> Iterator[KeyRollforward]:
    for currency in sorted({currency for _, currency in flows}):
        opening = 0
        for run, window in enumerate(world.calendar.runs):
            posted, settled = flows.get((run, currency), (0, 0))
            closing = opening + posted - settled
            if opening or posted or settled or closing:
                yield KeyRollforward(str(window), currency, opening, posted, settled, 0, closing)
            opening = closing
