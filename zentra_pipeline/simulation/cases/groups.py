"""Cases about several lines or movements under one reference: equal sums, pairs, what is left, and ambiguity."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.rows import Callback
from zentra_pipeline.simulation.statements import Movement, PlacedLine
from zentra_pipeline.simulation.story import CaseScript


def distinct_amounts(story: CaseScript, count: int) -> list[int]:
    """So many different amounts, no two of which add up to another."""
    base = story.amount(least=100_000)
    return [base + step * step * 37 + step for step in story.rng.sample(range(1, 200), count)]


def lines_in_order(story: CaseScript, run: int, currency: str, reference: str, amounts: list[int]) -> list[PlacedLine]:
    """Lines of one file, sorted as pairing sorts them: by settlement time, then id."""
    lines = [story.line(run, amount, currency, reference) for amount in amounts]
    return sorted(lines, key=lambda line: (line.row.settled_at, line.row.line_id))


def movements_in_order(
    story: CaseScript, run: int, currency: str, reference: str, amounts: list[int]
) -> list[Movement]:
    """Movements of one run, sorted as pairing sorts them: by posting time, then id."""
    movements = [story.movement(run, amount, currency, reference) for amount in amounts]
    return sorted(movements, key=lambda movement: (movement.posted_at, movement.transaction_id))


def _named_by_reference(story: CaseScript, run: int, amount: int, currency: str, reference: str) -> list[Callback]:
    """A success that has the reference alone: an intent would bridge it to one of several movements."""
    received = story.instant_in(story.calendar.runs[run])
    return [story.callback(amount, currency, reference, received_at=received)]


@case(weight=2)
def partial_captures(story: CaseScript) -> None:
    """Several lines add up to one movement: one match, many to one."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    amounts = distinct_amounts(story, story.rng.randint(2, 5))
    lines = [story.line(run, amount, currency, reference) for amount in amounts]
    story.match(lines, [story.movement(run, sum(amounts), currency, reference)])


@case()
def partial_captures_of_equal_amount(story: CaseScript) -> None:
    """Lines of one amount that together make the movement are one group, not duplicates."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run, count = story.any_run(), story.rng.randint(2, 4)
    lines = [story.line(run, amount, currency, reference) for _ in range(count)]
    story.match(lines, [story.movement(run, amount * count, currency, reference)])


@case(weight=2)
def several_postings(story: CaseScript) -> None:
    """One line settles several movements whose amounts add up to it: one match, one to many."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    amounts = distinct_amounts(story, story.rng.randint(2, 4))
    line = story.line(run, sum(amounts), currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference) for amount in amounts])


@case()
def several_to_several(story: CaseScript) -> None:
    """Two lines and three movements with equal sums and no equal amounts: one match, many to many."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    first, second, third = distinct_amounts(story, 3)
    total = first + second + third
    lines = [story.line(run, amount, currency, reference) for amount in (total - first - 11, first + 11)]
    movements = [story.movement(run, amount, currency, reference) for amount in (first, second, third)]
    story.match(lines, movements)


@case()
def equal_pairs_with_equal_sums(story: CaseScript) -> None:
    """Two lines and two movements, all of one amount: the sums are equal, so they are one group."""
    currency, reference, amount = story.currency(), story.reference(), story.amount()
    run = story.any_run()
    lines = [story.line(run, amount, currency, reference) for _ in range(2)]
    story.match(lines, [story.movement(run, amount, currency, reference) for _ in range(2)])


@case()
def group_that_gathers(story: CaseScript) -> None:
    """Both lines wait for the movement; one of them came a run earlier and is matched late."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first, second = distinct_amounts(story, 2)
    lines = [story.line(run, first, currency, reference), story.line(later, second, currency, reference)]
    story.match(lines, [story.movement(later, first + second, currency, reference)])


@case()
def pairs_and_a_difference(story: CaseScript) -> None:
    """Identical amounts pair off; the one line and one movement left over match with their difference shown."""
    currency, reference = "EUR", story.reference()
    run = story.any_run()
    amount, rest = distinct_amounts(story, 2)
    lines = lines_in_order(story, run, currency, reference, [amount, amount])
    movements = movements_in_order(story, run, currency, reference, [amount, amount])
    odd_line = story.line(run, rest, currency, reference)
    odd_movement = story.movement(run, rest + 501, currency, reference)
    heard = story.success(lines, movements, amount)
    for line, movement in zip(lines, movements, strict=True):
        story.match([line], [movement], callbacks=heard)
    story.match([odd_line], [odd_movement], callbacks=heard)


@case()
def line_without_its_pair(story: CaseScript) -> None:
    """Two lines, one movement that equals the first: that pair matches, the other line finds none."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    amount, other = distinct_amounts(story, 2)
    line = story.line(run, amount, currency, reference)
    story.line(run, other, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    story.match([line], [movement])


@case()
def movement_without_its_pair(story: CaseScript) -> None:
    """Two movements, one line that equals the first: that pair matches, the other movement waits."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    amount, other = distinct_amounts(story, 2)
    line = story.line(run, amount, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    story.movement(run, other, currency, reference)
    story.match([line], [movement])


@case()
def lines_off_their_movement(story: CaseScript) -> None:
    """Two lines and a movement that they miss: one group, with its difference shown."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    first, second, third = distinct_amounts(story, 3)
    lines = [story.line(run, amount, currency, reference) for amount in (first, second)]
    story.match(lines, [story.movement(run, third, currency, reference)])


@case()
def line_off_its_movements(story: CaseScript) -> None:
    """A line and two movements that miss it: one group, with its difference shown."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    first, second, third = distinct_amounts(story, 3)
    line = story.line(run, first, currency, reference)
    heard = _named_by_reference(story, run, first, currency, reference)
    movements = [story.movement(run, amount, currency, reference) for amount in (second, third)]
    story.match([line], movements, callbacks=heard)


@case()
def several_on_both_sides(story: CaseScript) -> None:
    """Two lines and two movements, no two amounts equal and no sum: nobody can say, so nothing is matched."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    first, second, third, fourth = distinct_amounts(story, 4)
    lines = [story.line(run, amount, currency, reference) for amount in (first, second)]
    movements = [story.movement(run, amount, currency, reference) for amount in (third, fourth + 200_000)]
    story.leave_open(*lines, *movements)
    for line in lines:
        story.reason(line, "ambiguous_match")


@case()
def group_off_by_the_tolerance(story: CaseScript) -> None:
    """Two lines miss their movement by one minor unit: tolerance is for pairs, so the difference is an exception."""
    currency, reference = "USD", story.reference()
    run = story.any_run()
    first, second = distinct_amounts(story, 2)
    lines = [story.line(run, amount, currency, reference) for amount in (first, second)]
    story.match(lines, [story.movement(run, first + second + 1, currency, reference)])


@case(weight=2)
def lines_over_several_files(story: CaseScript) -> None:
    """A movement is settled in three parts, a file each: every file brings the difference nearer to nothing."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=2)
    then = story.later_run(run, spare=1)
    last = story.later_run(then)
    amounts = distinct_amounts(story, 3)
    lines = [story.line(at, amount, currency, reference) for at, amount in zip((run, then, last), amounts, strict=True)]
    movements = [story.movement(run, sum(amounts), currency, reference)]
    heard = story.success(lines, movements, sum(amounts))
    stages = [(at, lines[:number], movements) for number, at in enumerate((run, then, last), start=1)]
    story.match_in_parts(stages, heard)


@case()
def postings_over_several_windows(story: CaseScript) -> None:
    """A line is posted in three parts, a window each: one exception, which shows what is still missing."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=2)
    then = story.later_run(run, spare=1)
    last = story.later_run(then)
    amounts = distinct_amounts(story, 3)
    lines = [story.line(run, sum(amounts), currency, reference)]
    movements = [
        story.movement(at, amount, currency, reference) for at, amount in zip((run, then, last), amounts, strict=True)
    ]
    heard = _named_by_reference(story, run, sum(amounts), currency, reference)
    stages = [(at, lines, movements[:number]) for number, at in enumerate((run, then, last), start=1)]
    story.match_in_parts(stages, heard)


@case()
def short_line_before_the_true_one(story: CaseScript) -> None:
    """A line matches its movement with a difference until the true line comes: the short one is unmatched then."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    short, whole = distinct_amounts(story, 2)
    line = story.line(run, short, currency, reference)
    movement = story.movement(run, whole + 1_000, currency, reference)
    true_line = story.line(later, whole + 1_000, currency, reference)
    heard = story.success([line], [movement], whole + 1_000)
    match = story.match([line], [movement], callbacks=heard, reversed_in=later, is_part=True)
    story.find(
        *("amount_mismatch", "settlement_line", line.row.line_id, run, later, currency),
        difference_minor=match.difference_minor,
        resolution="superseded",
    )
    story.match([true_line], [movement], callbacks=heard)


@case()
def ambiguity_settled_by_a_later_pass(story: CaseScript) -> None:
    """References leave three lines and two movements ambiguous; the intents the lines name settle it."""
    currency, reference = "EUR", story.reference()
    run = story.any_run()
    first, second, third = distinct_amounts(story, 3)
    whole = story.movement(run, first + second, currency, reference)
    odd = story.movement(run, third + 1, currency, reference)
    lines = [story.line(run, amount, currency, reference, merchant=whole.intent_id) for amount in (first, second)]
    odd_line = story.line(run, third, currency, reference, merchant=odd.transaction_id)
    heard = story.success(lines, [whole], first + second)
    story.match(lines, [whole], "internal_reference", callbacks=heard)
    story.match([odd_line], [odd], "internal_reference", callbacks=heard)


@case()
def group_made_whole_by_a_later_posting(story: CaseScript) -> None:
    """Two lines miss their movement until the rest is posted: then the sums are equal, and the difference is gone."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first, second, third = distinct_amounts(story, 3)
    lines = [story.line(run, amount, currency, reference) for amount in (first, second)]
    movement = story.movement(run, third, currency, reference)
    rest = story.movement(later, first + second - third, currency, reference)
    heard = _named_by_reference(story, run, first + second, currency, reference)
    story.match_in_parts([(run, lines, [movement]), (later, lines, [movement, rest])], heard)


@case()
def ambiguity_resolved_by_a_later_posting(story: CaseScript) -> None:
    """Two lines and two movements are ambiguous until the rest is posted: the sums are equal, and all match late."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run(spare=1)
    first, second, third = distinct_amounts(story, 3)
    lines = [story.line(run, amount, currency, reference) for amount in (first, second)]
    movements = [story.movement(run, amount, currency, reference) for amount in (third, 13)]
    rest = story.movement(story.later_run(run), first + second - third - 13, currency, reference)
    heard = _named_by_reference(story, run, first + second, currency, reference)
    story.match(lines, [*movements, rest], callbacks=heard)
    for line in lines:
        story.reason(line, "ambiguous_match")
