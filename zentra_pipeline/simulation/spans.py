"""From which run to which an item is open and an exception holds, as the stories state it and operators decide.

The rules are those of contract §10.4 (age), §10.6 (reasons), §10.9 (callbacks), §10.15 (write-offs), and of §6: what an
operator resolved stays so, and is open again only about other money. Does not belong here: rows of the key, files.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zentra_pipeline.simulation.calendar import Calendar
from zentra_pipeline.simulation.statements import Finding, Item, Leg, Match, Movement, PlacedLine, leg_of
from zentra_pipeline.simulation.story import CaseScript
from zentra_pipeline.simulation.terms import MATCHED_TYPES

Held = dict[Leg, list[tuple[int, int]]]
ACCEPTED = "accepted_timing"
WRITTEN_OFF = "written_off"
NOT_BLOCKING = frozenset({"late_callback"})


@dataclass(frozen=True, slots=True)
class Span:
    """An exception, the run that opens it, and the run in which it ends, null while it is open.

    `amounts` are what it is about, each from a run on, in minor units; empty where that never changes.
    """

    types: tuple[str, ...]
    subject_type: str
    subject_id: str
    currency: str
    run: int
    ended: int | None = None
    resolution: str = "matched_late"
    difference_minor: int | None = None
    amounts: tuple[tuple[int, int], ...] = ()

    @property
    def is_blocking(self) -> bool:
        return NOT_BLOCKING.isdisjoint(self.types)


@dataclass(frozen=True, slots=True)
class Close:
    """A close of a run at the moment when `newest` is the last that has run."""

    newest: int
    run: int


def confirmed(story: CaseScript) -> Iterator[Match]:
    """The matches that consume their items."""
    return (match for match in story.matches if match.status == "confirmed")


def is_settled_nothing(line: PlacedLine) -> bool:
    """An unmatched zero line is accounted for: no exception, no open item (contract §10.2)."""
    return line.compared_minor == 0 and line.row.status in ("", "settled")


def needs_a_movement(line: PlacedLine) -> bool:
    """Whether a line is an open item while nothing matches it."""
    return line.row.line_type in MATCHED_TYPES and not is_settled_nothing(line)


def held(story: CaseScript) -> Held:
    """Of every item, the stretches of runs [from, until) at whose end it is matched."""
    runs = len(story.calendar.runs)
    stretches: Held = defaultdict(list)
    for match in confirmed(story):
        stretch = (match.run, runs if match.reversed_in is None else match.reversed_in)
        for leg in (*map(leg_of, match.lines), *map(leg_of, match.movements)):
            stretches[leg].append(stretch)
    return stretches


def open_runs(story: CaseScript, stretches: Held, item: Item) -> list[int]:
    """The runs at whose end an item is unmatched and not written off."""
    given_up = written_off_in(story, item)
    until = len(story.calendar.runs) if given_up is None else given_up
    return [run for run in _unmatched_runs(story, stretches, item) if run < until]


def written_off_in(story: CaseScript, item: Item) -> int | None:
    """The run in which an item is written off."""
    return next((each.run for each in story.write_offs if leg_of(each.item) == leg_of(item)), None)


def amount_in(story: CaseScript, item: Item, run: int) -> int:
    """What an item comes to at the end of a run, with what the ledger has added to it by then."""
    if isinstance(item, PlacedLine):
        return item.compared_minor
    return item.amount_minor + sum(more for _, more in _changes(story, item, run))


def spans(story: CaseScript) -> Iterator[Span]:
    """The exceptions of a story before anybody accepts one; those of what is written off end by that."""
    stretches = held(story)
    for finding in story.findings:
        yield _of_finding(finding)
    for line in story.lines:
        if needs_a_movement(line):
            types = story.reasons.get(line.row.line_id, ("unmatched_provider_row",))
            due_from = story.duplicate_from.get(leg_of(line), line.run)
            yield from _while_open(story, stretches, types, line, due_from)
    for movement in story.movements:
        twin_from = story.duplicate_from.get(leg_of(movement))
        overdue_from = story.calendar.first_overdue(movement.window)
        if twin_from is not None:
            yield from _while_open(story, stretches, ("duplicate_ledger_posting",), movement, twin_from)
        elif overdue_from is not None:
            yield from _while_open(story, stretches, ("unmatched_ledger_entry",), movement, overdue_from)
    if story.terms.expects_callbacks:
        for match in confirmed(story):
            yield from _of_callbacks(story, match)


def decided(span: Span, closes: Sequence[Close]) -> Iterator[Span]:
    """An exception as operators leave it: each close accepts what blocks it, and other money opens it again."""
    for close in closes:
        is_open = span.ended is None or span.ended > close.newest
        if not (span.is_blocking and is_open and span.run <= close.run):
            continue
        shown = [amount for run, amount in span.amounts if run <= close.newest]
        accepted = replace(span, ended=close.newest, resolution=ACCEPTED)
        if span.difference_minor is not None and shown:
            accepted = replace(accepted, difference_minor=shown[-1])
        yield accepted
        others = [(run, amount) for run, amount in span.amounts if run > close.newest and amount != shown[-1]]
        if others and (span.ended is None or others[0][0] < span.ended):
            yield from decided(replace(span, run=others[0][0], amounts=tuple(others)), closes)
        return
    yield span


def closes(calendar: Calendar, *, is_late: bool = False) -> list[Close]:
    """The closes that concern a story; those of one with late files (`is_late`) are amended once these have come."""
    if not is_late or calendar.late is None:
        return [Close(run, run) for run in sorted(calendar.closed)]
    first, newest = calendar.late
    before = [Close(run, run) for run in sorted(calendar.closed) if run < first]
    again = [Close(newest, run) for run in calendar.closed_again]
    return [*before, *again, *(Close(run, run) for run in sorted(calendar.closed) if run > newest)]


def _unmatched_runs(story: CaseScript, stretches: Held, item: Item) -> list[int]:
    return [
        run
        for run in range(item.run, len(story.calendar.runs))
        if not any(start <= run < end for start, end in stretches.get(leg_of(item), ()))
    ]


def _changes(story: CaseScript, item: Movement, up_to: int) -> list[tuple[int, int]]:
    """What the ledger adds to a movement after the run that sees it first, each with the run that sees that."""
    return [
        (run, more)
        for run, transaction_id, currency, more in story.posted_more
        if (transaction_id, currency) == (item.transaction_id, item.currency) and item.run < run <= up_to
    ]


def _of_finding(finding: Finding) -> Span:
    return Span(
        finding.types,
        finding.subject_type,
        finding.subject_id,
        finding.currency,
        finding.run,
        finding.resolved_in,
        finding.resolution,
        finding.difference_minor,
        finding.differences,
    )


def _while_open(
    story: CaseScript, stretches: Held, types: tuple[str, ...], item: Item, due_from: int
) -> Iterator[Span]:
    """The exception of an item unmatched in some run from `due_from` on, until one matches it or it is written off."""
    unmatched = _unmatched_runs(story, stretches, item)
    opened = next((run for run in unmatched if run >= due_from), None)
    given_up = written_off_in(story, item)
    if opened is None or (given_up is not None and given_up < opened):
        return
    last = len(story.calendar.runs)
    matched = next((run for run in range(opened, last) if run not in unmatched), None)
    changed = [] if isinstance(item, PlacedLine) else [run for run, _ in _changes(story, item, last) if run > opened]
    kind, subject_id, currency, _ = leg_of(item)
    yield Span(
        types,
        kind,
        subject_id,
        currency,
        opened,
        matched if given_up is None else given_up,
        "matched_late" if given_up is None else WRITTEN_OFF,
        amounts=tuple((run, amount_in(story, item, run)) for run in (opened, *changed)),
    )


def _of_callbacks(story: CaseScript, match: Match) -> Iterator[Span]:
    """Missing and late callbacks by contract §10.9: what counts is the first receipt of a believed success."""
    successes = [
        callback
        for callback in story.callbacks
        if callback.status == "succeeded"
        and callback.provider_event_id not in story.disbelieved
        and (match.has_every_callback or callback.provider_event_id in match.callbacks)
    ]
    first = min(successes, key=lambda callback: (callback.received_at, callback.provider_event_id), default=None)
    heard = None if first is None else story.calendar.run_that_sees(first.received_at, match.run)
    if heard is None or heard > match.run:
        subject = min(movement.transaction_id for movement in match.movements)
        currency = match.movements[0].currency
        yield Span(("missing_callback",), "ledger_transaction", subject, currency, match.run, heard)
    if first is not None and heard is not None and first.received_at > story.calendar.review_cutoff(match.run):
        yield Span(("late_callback",), "callback", first.provider_event_id, "", max(heard, match.run))
