"""Cases about what operators write off, and what the ledger or the provider adds to it afterwards (contract §10.15)."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.cases.groups import movements_in_order
from zentra_pipeline.simulation.statements import Movement
from zentra_pipeline.simulation.story import CaseScript

_OVERDUE_SHARE = 0.5


def _overdue(story: CaseScript, movement: Movement) -> int:
    """The run that calls a movement overdue."""
    overdue = story.calendar.first_overdue(movement.window)
    story.require(overdue is not None)
    return overdue or 0


def _written_off(story: CaseScript, spare: int = 0) -> tuple[Movement, int]:
    """A movement that nothing settles, and the run in which it is written off, with `spare` runs after it."""
    overdue = [story.calendar.first_overdue(day) for day in story.calendar.runs]
    runs = [run for run, found in enumerate(overdue) if found is not None and found + spare <= story.last_run]
    story.require(bool(runs))
    run = story.rng.choice(runs)
    at = story.instant_in(story.calendar.runs[run])
    movement = story.movement(run, story.amount(least=10_000), story.currency(), story.reference(), at=at)
    given_up = _overdue(story, movement)
    story.write_off(movement, given_up, "unmatched_ledger_entry")
    return movement, given_up


def _twin_written_off(story: CaseScript, spare: int) -> tuple[Movement, int]:
    """A posting that repeats one already settled: a duplicate at once, and written off in the same run."""
    currency, amount, reference = story.currency(), story.amount(least=10_000), story.reference()
    run = story.any_run(spare)
    first, twin = movements_in_order(story, run, currency, reference, [amount, amount])
    story.match([story.line(run, amount, currency, reference)], [first])
    story.duplicate(twin, run)
    story.write_off(twin, run, "duplicate_ledger_posting")
    return twin, run


def _either_written_off(story: CaseScript, spare: int) -> tuple[Movement, int]:
    return _written_off(story, spare) if story.rng.random() < _OVERDUE_SHARE else _twin_written_off(story, spare)


@case()
def movement_written_off(story: CaseScript) -> None:
    """No line comes, and operators write the overdue movement off: closed in that run, and open no more."""
    _written_off(story)


@case()
def line_written_off(story: CaseScript) -> None:
    """No movement comes, and operators give the line up: no roll-forward knows it."""
    run = story.any_run()
    line = story.line(run, story.amount(), story.currency(), story.reference())
    story.write_off(line, run, "unmatched_provider_row")


@case()
def written_off_and_then_settled(story: CaseScript) -> None:
    """The line comes after its movement was written off: it remains unmatched."""
    movement, given_up = _written_off(story, spare=1)
    later = story.later_run(given_up)
    story.line(later, movement.amount_minor, movement.currency, movement.provider_reference)


@case()
def written_off_and_then_posted(story: CaseScript) -> None:
    """The movement comes after its line was written off: it waits, and falls overdue."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    story.write_off(story.line(run, amount, currency, reference), run, "unmatched_provider_row")
    story.movement(story.later_run(run), amount, currency, reference)


@case(weight=2)
def write_off_that_grows(story: CaseScript) -> None:
    """The ledger adds to a movement after its write-off: posted and open by the change, overdue by its own window."""
    movement, given_up = _either_written_off(story, spare=1)
    change = story.amount() * story.rng.choice([1, 1, -1])
    story.require(change + movement.amount_minor != 0)
    story.grow(movement, story.later_run(given_up), change)


@case()
def write_off_that_grows_and_is_settled(story: CaseScript) -> None:
    """What the ledger added after the write-off is settled by a line of its own: a match of the change alone."""
    movement, given_up = _written_off(story, spare=1)
    later = story.later_run(given_up)
    grown = story.grow(movement, later, story.amount())
    settled = story.rng.randint(later, story.last_run)
    line = story.line(settled, grown.amount_minor, grown.currency, grown.provider_reference)
    story.match([line], [grown])


@case()
def write_off_that_grows_twice(story: CaseScript) -> None:
    """The ledger adds to what it added after the write-off: one item, which shows what has come since."""
    movement, given_up = _either_written_off(story, spare=2)
    then = story.later_run(given_up, spare=1)
    grown = story.grow(movement, then, story.amount())
    story.post_more(grown, story.later_run(then), story.amount())


@case()
def write_off_that_grows_and_is_written_off(story: CaseScript) -> None:
    """What the ledger added after the write-off is written off in its turn, once it is overdue."""
    movement, given_up = _either_written_off(story, spare=2)
    grown = story.grow(movement, story.later_run(given_up), story.amount())
    story.write_off(grown, _overdue(story, grown), "unmatched_ledger_entry")
