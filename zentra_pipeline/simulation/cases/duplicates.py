"""Cases about the same thing twice: settled, posted, and the twin that later finds a counterpart after all."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.cases.groups import distinct_amounts, lines_in_order, movements_in_order
from zentra_pipeline.simulation.story import CaseScript


@case(weight=2)
def line_twice_in_one_file(story: CaseScript) -> None:
    """Two or three equal lines, one movement: the first by time and id matches, the others are duplicates."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run()
    first, *twins = lines_in_order(story, run, currency, reference, [amount] * story.rng.randint(2, 3))
    story.match([first], [story.movement(run, amount, currency, reference)])
    for twin in twins:
        story.reason(twin, "duplicate_settlement_line")


@case(weight=2)
def line_again_in_a_later_file(story: CaseScript) -> None:
    """A line repeats one that an earlier run matched: a duplicate across files."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=1)
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])
    twin = story.line(story.later_run(run), amount, currency, reference)
    story.reason(twin, "duplicate_settlement_line")


@case()
def duplicate_line_answered_later(story: CaseScript) -> None:
    """The duplicate line turns out to be a second payment: its movement comes, and they are matched late."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=2)
    again = story.later_run(run, spare=1)
    line = story.line(run, amount, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    twin = story.line(again, amount, currency, reference)
    answer = story.movement(story.later_run(again), amount, currency, reference)
    heard = story.success([line], [movement], amount)
    story.match([line], [movement], callbacks=heard)
    story.match([twin], [answer], callbacks=heard)
    story.reason(twin, "duplicate_settlement_line")


@case()
def twins_that_wait_for_one_movement(story: CaseScript) -> None:
    """Two equal lines are unmatched until one movement comes: the later line turns out to be a duplicate."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=1)
    posted = story.later_run(run)
    first, twin = lines_in_order(story, run, currency, reference, [amount, amount])
    story.match([first], [story.movement(posted, amount, currency, reference)])
    story.find("unmatched_provider_row", "settlement_line", twin.row.line_id, run, posted, currency, None, "superseded")
    story.reason(twin, "duplicate_settlement_line")
    story.duplicate(twin, posted)


@case(weight=2)
def posting_twice_in_one_window(story: CaseScript) -> None:
    """Two equal movements, one line: the later posting is a duplicate at once, whatever the lag."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run()
    first, twin = movements_in_order(story, run, currency, reference, [amount, amount])
    story.match([story.line(run, amount, currency, reference)], [first])
    story.duplicate(twin, run)


@case()
def posting_again_in_a_later_window(story: CaseScript) -> None:
    """A movement repeats one that an earlier run matched: posted twice."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])
    story.duplicate(story.movement(later, amount, currency, reference), later)


@case()
def postings_that_wait_together(story: CaseScript) -> None:
    """Two equal movements wait in transit; only when the line pairs with the first is the second a duplicate."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=1)
    first, twin = movements_in_order(story, run, currency, reference, [amount, amount])
    overdue = story.calendar.first_overdue(twin.window)
    settled = run + 1
    story.require(overdue is None or overdue >= settled)
    story.require(story.calendar.first_overdue(first.window) in (None, *range(settled, story.last_run + 1)))
    story.match([story.line(settled, amount, currency, reference)], [first])
    story.duplicate(twin, settled)


@case()
def duplicate_posting_answered_later(story: CaseScript) -> None:
    """The duplicate posting turns out to be a second payment: its line comes, and they are matched late."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run(spare=1)
    first, twin = movements_in_order(story, run, currency, reference, [amount, amount])
    line = story.line(run, amount, currency, reference)
    answer = story.line(story.later_run(run), amount, currency, reference)
    heard = story.success([line], [first], amount)
    story.match([line], [first], callbacks=heard)
    story.match([answer], [twin], callbacks=heard)
    story.duplicate(twin, run)


@case()
def twin_beside_a_stranger(story: CaseScript) -> None:
    """A duplicate line and an unlike movement are left over: the duplicate is left out, in later runs too."""
    currency, reference, amount = story.currency(), story.reference(), story.amount(least=50_000)
    run = story.any_run()
    *lines, twin = lines_in_order(story, run, currency, reference, [amount] * 3)
    movements = movements_in_order(story, run, currency, reference, [amount] * 2)
    story.movement(run, amount // 3, currency, reference)
    heard = story.success(lines, movements, amount)
    for line, movement in zip(lines, movements, strict=True):
        story.match([line], [movement], callbacks=heard)
    story.reason(twin, "duplicate_settlement_line")


@case()
def duplicates_on_both_sides(story: CaseScript) -> None:
    """After the pairs a line and a movement are left, each repeating a paired amount: two duplicates, no match."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    more, less = distinct_amounts(story, 2)
    line, twin_line = lines_in_order(story, run, currency, reference, [more, more])
    other_line = story.line(run, less, currency, reference)
    movement = story.movement(run, more, currency, reference)
    other_movement, twin_movement = movements_in_order(story, run, currency, reference, [less, less])
    # A callback under the shared reference would speak of both matches, with one amount; there is none.
    story.match([line], [movement], callbacks=[])
    story.match([other_line], [other_movement], callbacks=[])
    story.reason(twin_line, "duplicate_settlement_line")
    story.duplicate(twin_movement, run)


@case()
def difference_beside_a_duplicate(story: CaseScript) -> None:
    """A duplicate is left out; the one line and one movement then left over match with their difference."""
    reference, currency = story.reference(), "EUR"
    run = story.any_run()
    amount, rest = distinct_amounts(story, 2)
    line, twin = lines_in_order(story, run, currency, reference, [amount, amount])
    odd_line = story.line(run, rest, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    odd_movement = story.movement(run, rest - 313, currency, reference)
    heard = story.success([line], [movement], amount)
    story.match([line], [movement], callbacks=heard)
    story.match([odd_line], [odd_movement], callbacks=heard)
    story.reason(twin, "duplicate_settlement_line")


@case()
def ambiguity_beside_a_duplicate(story: CaseScript) -> None:
    """A duplicate is left out; two lines and two movements are left, ambiguous even where they add up.

    Where references are normalized, a later pass sees what is left as a group of its own (contract §10.7), so that it
    must not add up there.
    """
    reference, currency = story.reference(), story.currency()
    run = story.any_run()
    amount, first, second = distinct_amounts(story, 3)
    line, twin = lines_in_order(story, run, currency, reference, [amount, amount])
    movement = story.movement(run, amount, currency, reference)
    lines = [story.line(run, part, currency, reference) for part in (first, second)]
    off = 7 if story.terms.reference_normalizer == "none" else 8
    movements = [story.movement(run, part, currency, reference) for part in (first - 7, second + off)]
    story.match([line], [movement])
    story.reason(twin, "duplicate_settlement_line")
    story.leave_open(*lines, *movements)
    for left in lines:
        story.reason(left, "ambiguous_match")


@case()
def repeat_beside_another_movement(story: CaseScript) -> None:
    """A later line repeats what an earlier run paired, beside a new movement of another amount: a duplicate still."""
    currency, reference, amount = story.currency(), story.reference(), story.amount(least=50_000)
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])
    story.reason(story.line(later, amount, currency, reference), "duplicate_settlement_line")
    story.movement(later, amount - amount // 3, currency, reference)
