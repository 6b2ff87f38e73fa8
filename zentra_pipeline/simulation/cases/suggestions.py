"""Cases of equal amounts near in time without a shared reference: suggested, ambiguous, or nothing (contract §10.7)."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.statements import Movement, PlacedLine
from zentra_pipeline.simulation.story import CaseScript


def _lines(story: CaseScript, run: int, amount: int, currency: str, count: int = 1) -> list[PlacedLine]:
    return [story.line(run, amount, currency, story.rng.choice(["", story.reference()])) for _ in range(count)]


def _movements(story: CaseScript, run: int, amount: int, currency: str, count: int = 1) -> list[Movement]:
    """Movements of the run's own window, so that they are near in time by any reading of the day."""
    day = story.calendar.runs[run]
    return [
        story.movement(run, amount, currency, story.rng.choice(["", story.reference()]), at=story.instant_in(day))
        for _ in range(count)
    ]


@case(weight=2)
def sole_candidates(story: CaseScript) -> None:
    """One line, one movement, one amount, no reference: suggested, matched or left alone, as the profile says."""
    currency, amount, run = story.currency(), story.amount(), story.any_run()
    [line] = _lines(story, run, amount, currency)
    [movement] = _movements(story, run, amount, currency)
    if story.terms.amount_date_rule == "match":
        received = story.instant_in(story.calendar.runs[run])
        heard = story.callback(amount, currency, merchant=movement.intent_id, received_at=received)
        story.match([line], [movement], "amount_date", callbacks=[heard])
        return
    story.leave_open(line, movement)
    if story.terms.amount_date_rule == "suggest":
        story.suggest(line, movement)


@case()
def two_movements_for_a_line(story: CaseScript) -> None:
    """Two movements could be the line's: undecidable, so the line is ambiguous and nothing is matched or suggested."""
    currency, amount, run = story.currency(), story.amount(), story.any_run()
    [line] = _lines(story, run, amount, currency)
    story.leave_open(line, *_movements(story, run, amount, currency, 2))
    if story.terms.amount_date_rule != "off":
        story.reason(line, "ambiguous_match")


@case()
def two_lines_for_a_movement(story: CaseScript) -> None:
    """A movement could be either line's: undecidable, so both lines are ambiguous."""
    currency, amount, run = story.currency(), story.amount(), story.any_run()
    lines = _lines(story, run, amount, currency, 2)
    story.leave_open(*lines, *_movements(story, run, amount, currency))
    for line in lines if story.terms.amount_date_rule != "off" else ():
        story.reason(line, "ambiguous_match")


@case()
def equal_amount_far_in_time(story: CaseScript) -> None:
    """The amounts are equal but further apart than the settlement lag: no candidates, no suggestion."""
    currency, amount = story.currency(), story.amount()
    run = story.any_run(spare=1)
    far = next(
        (
            later
            for later in range(run + 1, story.last_run + 1)
            if story.calendar.age(story.calendar.runs[run], later) > story.terms.settlement_lag_days + 1
        ),
        None,
    )
    if far is None:
        story.require(False)
        return
    story.leave_open(*_movements(story, run, amount, currency), *_lines(story, far, amount, currency))


@case()
def zero_amounts_without_a_reference(story: CaseScript) -> None:
    """Nothing suggests that a line of zero and a movement of zero belong together."""
    run = story.any_run()
    story.line(run, 0, "EUR")
    story.movement(run, 0, "EUR")
