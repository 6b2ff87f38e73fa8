"""What operators do in a world: what they write off and accept after each run, and which windows they close.

Does not belong here: what becomes of an exception by that (spans), doing it (replay).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from zentra_pipeline.simulation.calendar import Calendar
from zentra_pipeline.simulation.spans import ACCEPTED, Span, closes, decided, spans
from zentra_pipeline.simulation.statements import leg_of
from zentra_pipeline.simulation.story import CaseScript
from zentra_pipeline.simulation.world import Dataset

PREPARER, APPROVER = "ana", "bo"
_GIVEN_UP = "too little to go on asking for it"
_CARRIED = "known, and carried into the next window"


@dataclass(frozen=True, slots=True)
class KeyDecision:
    """A decision about the open exception of a subject; types joined by `|`: whichever of them it is."""

    exception_type: str
    subject_type: str
    subject_id: str
    currency: str
    action: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyCloseout:
    """A closeout of a window: one that a later revision amends keeps its number."""

    ledger_window: str
    revision: int
    status: str


def decisions(world: Dataset, newest: int, *, is_late: bool = False) -> list[KeyDecision]:
    """What operators decide once the run `newest` is made, or (`is_late`) once the late files behind it are in."""
    written_off = [] if is_late else [row for story in world.stories for row in _write_offs(story, newest)]
    accepted = [
        _of_span(span, "accept_timing", PREPARER, _CARRIED)
        for story in world.stories
        for span in _accepted(story, newest, is_late)
    ]
    return [*written_off, *sorted(accepted, key=repr)]


def closeouts(calendar: Calendar) -> list[KeyCloseout]:
    """Every closeout in the end: the seal of a run that the late files change is amended."""
    rows = []
    for run in sorted(calendar.closed):
        window = str(calendar.runs[run])
        if run in calendar.closed_again:
            rows += [KeyCloseout(window, 1, "amended"), KeyCloseout(window, 2, "sealed")]
        else:
            rows.append(KeyCloseout(window, 1, "sealed"))
    return rows


def _write_offs(story: CaseScript, run: int) -> Iterator[KeyDecision]:
    for given_up in story.write_offs:
        if given_up.run == run:
            kind, subject_id, currency, _ = leg_of(given_up.item)
            subject = (given_up.exception_type, kind, subject_id, currency)
            yield KeyDecision(*subject, "write_off", PREPARER, _GIVEN_UP)
            yield KeyDecision(*subject, "approve", APPROVER, "")


def _accepted(story: CaseScript, newest: int, is_late: bool) -> Iterator[Span]:
    """What the closes of that moment accept of a story, as it is known then."""
    late = story.calendar.late
    known = story
    if story.before is not None and late is not None and newest <= late[1] and not is_late:
        known = story.before  # the late files are still to come
    elif is_late and story.before is None:
        return
    known_closes = closes(story.calendar, is_late=known.before is not None)
    for span in spans(known):
        for part in decided(span, known_closes):
            if part.resolution == ACCEPTED and part.ended == newest:
                yield part


def _of_span(span: Span, action: str, actor: str, reason: str) -> KeyDecision:
    subject = (span.subject_type, span.subject_id, span.currency)
    return KeyDecision("|".join(span.types), *subject, action, actor, reason)
