"""Cases about money the provider reports failed, returned or reversed, and callbacks that disagree with it."""

from datetime import timedelta

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.statements import PlacedLine
from zentra_pipeline.simulation.story import CaseScript


def _failed_line(story: CaseScript, run: int, amount: int, currency: str, reference: str) -> PlacedLine:
    line = story.line(run, amount, currency, reference, status=story.rng.choice(["failed", "returned"]))
    story.reason(line, "failed_settlement")
    return line


@case(weight=2)
def failed_line(story: CaseScript) -> None:
    """A failed or returned line takes part in no match: its movement stays open and falls overdue."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    _failed_line(story, run, amount, currency, reference)
    story.movement(run, amount, currency, reference)
    if story.rng.random() < 0.5:
        received = story.instant_in(story.calendar.runs[run])
        story.callback(amount, currency, reference, status="failed", received_at=received)


@case()
def failed_line_reported_as_success(story: CaseScript) -> None:
    """The line failed but the last callback says it succeeded: a status conflict of the line on top."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = _failed_line(story, run, amount, currency, reference)
    story.movement(run, amount, currency, reference)
    story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))
    story.find("status_conflict", "settlement_line", line.row.line_id, run)


@case()
def failed_then_settled(story: CaseScript) -> None:
    """After a failed line a second attempt settles: it matches, and the failure stays on record."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    movement = story.movement(run, amount, currency, reference)
    _failed_line(story, run, amount, currency, story.reference())
    story.match([story.line(story.later_run(run), amount, currency, reference)], [movement])


def _matched_with(story: CaseScript, run: int, *statuses: str, same_instant: bool = False) -> str:
    """A matched pair whose callbacks have these statuses in order of occurrence; returns its transaction."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    line = story.line(run, amount, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    first = story.instant_in(story.calendar.runs[run]) - timedelta(seconds=60)
    heard = [
        story.callback(
            amount,
            currency,
            reference,
            status=status,
            received_at=first + timedelta(seconds=story.rng.randrange(10, 50)),
            occurred_at=first if same_instant else first + timedelta(seconds=position),
            sequence=position,
        )
        for position, status in enumerate(statuses, start=1)
    ]
    story.match([line], [movement], callbacks=heard)
    return movement.transaction_id


@case(weight=2)
def settled_but_reversed(story: CaseScript) -> None:
    """Line and ledger say settled, the last word of the provider is failed or reversed: a status conflict."""
    run = story.any_run()
    last = story.rng.choice(["failed", "reversed"])
    transaction = _matched_with(story, run, "succeeded", last, same_instant=story.rng.random() < 0.5)
    story.find("status_conflict", "ledger_transaction", transaction, run)


@case()
def settled_but_only_failed(story: CaseScript) -> None:
    """The only callback says failed: a status conflict, and no success, so the callback is missing too."""
    run = story.any_run()
    story.find("status_conflict", "ledger_transaction", _matched_with(story, run, "failed"), run)


@case()
def failed_then_succeeded(story: CaseScript) -> None:
    """A failed attempt before the success that has the last word: no conflict."""
    _matched_with(story, story.any_run(), "failed", "succeeded", same_instant=story.rng.random() < 0.5)


@case()
def settled_and_disputed(story: CaseScript) -> None:
    """A dispute is no conflict with money that settled."""
    _matched_with(story, story.any_run(), "succeeded", "disputed")


@case()
def reversed_after_the_match(story: CaseScript) -> None:
    """The reversal arrives in a later run: from then on the provider's last word contradicts settled money."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    story.match([line], [movement], has_every_callback=True)
    story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))
    received = story.instant_between(story.calendar.as_of[later - 1], story.calendar.as_of[later])
    story.callback(amount, currency, reference, status="reversed", received_at=received)
    seeing = story.calendar.run_that_sees(received, run)
    if seeing is not None:
        story.find("status_conflict", "ledger_transaction", movement.transaction_id, seeing)
