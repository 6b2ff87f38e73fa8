"""Cases about when the sides come: in transit, overdue, never, before the posting, and in windows without a run."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.story import CaseScript


@case(weight=4)
def settled_within_the_lag(story: CaseScript) -> None:
    """The line comes with a later run, before the movement is overdue: in transit until then, no exception."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    movement = story.movement(run, amount, currency, reference)
    overdue = story.calendar.first_overdue(movement.window)
    last = story.last_run if overdue is None else overdue - 1
    story.require(last > run)
    story.match([story.line(story.rng.randint(run + 1, last), amount, currency, reference)], [movement])


@case(weight=2)
def settled_in_the_run_it_falls_overdue(story: CaseScript) -> None:
    """The line comes in the very run that would have called the movement overdue: no exception."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    movement = story.movement(run, amount, currency, reference)
    overdue = story.calendar.first_overdue(movement.window)
    if overdue is None or overdue <= run:
        story.require(False)
        return
    story.match([story.line(overdue, amount, currency, reference)], [movement])


@case(weight=2)
def settled_after_the_lag(story: CaseScript) -> None:
    """The movement is overdue, an exception, before its line comes: matched late."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    movement = story.movement(run, amount, currency, reference)
    overdue = story.calendar.first_overdue(movement.window)
    if overdue is None or overdue >= story.last_run:
        story.require(False)
        return
    settled = story.later_run(max(overdue, run))
    story.match([story.line(settled, amount, currency, reference)], [movement])


@case(weight=2)
def never_settled(story: CaseScript) -> None:
    """No line comes: in transit through the lag, an exception from then on."""
    story.movement(story.any_run(), story.amount(), story.currency(), story.reference())


@case(weight=2)
def never_posted(story: CaseScript) -> None:
    """No movement comes: the line is unmatched at once and carried from run to run."""
    story.line(story.any_run(), story.amount(), story.currency(), story.reference())


@case(weight=2)
def settled_before_posted(story: CaseScript) -> None:
    """The movement is posted in a later window than its line: unmatched until then, then matched late."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    line = story.line(run, amount, currency, reference)
    movement = story.movement(story.later_run(run), amount, currency, reference)
    story.match([line], [movement])


@case(weight=2)
def posted_in_a_window_without_a_run(story: CaseScript) -> None:
    """The movement's own window has no run: the next run sees it, and its age counts from its own window."""
    runs = [index for index in range(story.last_run + 1) if len(story.calendar.days_of(index)) > 1]
    story.require(bool(runs))
    run = story.rng.choice(runs)
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    day = story.rng.choice(story.calendar.days_of(run)[:-1])
    movement = story.movement(run, amount, currency, reference, at=story.instant_in(day))
    settled = story.rng.randint(run, story.last_run)
    story.match([story.line(settled, amount, currency, reference)], [movement])


@case()
def not_for_matching(story: CaseScript) -> None:
    """Fee, adjustment and reserve lines need no movement: accounted for, neither matched nor open."""
    line_type = story.rng.choice(["fee", "adjustment", "reserve"])
    amount = story.amount() * story.rng.choice([1, -1])
    story.line(story.any_run(), amount, story.currency(), story.reference(), line_type=line_type)
