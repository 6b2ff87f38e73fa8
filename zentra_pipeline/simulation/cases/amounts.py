"""Cases about amounts: differences, tolerances, currencies, totals, and parts that join a match later."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.story import CaseScript


@case(weight=2)
def within_tolerance(story: CaseScript) -> None:
    """The pair differs by no more than the profile allows: matched by tolerance, the difference shown, no exception."""
    currency = story.rng.choice(sorted(story.terms.amount_tolerance_minor))
    amount, reference = story.amount(), story.reference()
    off = story.rng.randint(1, story.terms.tolerance(currency)) * story.rng.choice([1, -1])
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount + off, currency, reference)])


@case(weight=2)
def beyond_tolerance(story: CaseScript) -> None:
    """The pair shares its reference but differs by more than allowed, by one minor unit at the least."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    off = (story.terms.tolerance(currency) + story.rng.choice([1, 1, 100])) * story.rng.choice([1, -1])
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount + off, currency, reference)])


@case(weight=2)
def other_currency(story: CaseScript) -> None:
    """One reference, two currencies: never a match; the line says why, the movement waits."""
    amount, reference = story.amount(), story.reference()
    posted, settled = story.rng.sample(["USD", "EUR", "JPY", "KWD"], 2)
    run = story.any_run()
    line = story.line(run, amount, settled, reference)
    story.movement(run, amount, posted, reference)
    story.reason(line, "currency_mismatch")


@case()
def zero_amounts(story: CaseScript) -> None:
    """A line of zero and a movement whose clearing entries cancel out match by their reference."""
    reference, run = story.reference(), story.any_run()
    line = story.line(run, 0, "EUR", reference)
    story.match([line], [story.movement(run, 0, "EUR", reference)])


@case()
def zero_line_that_nothing_answers(story: CaseScript) -> None:
    """A line of zero, a trial, has no movement: accounted for, neither an exception nor an open item."""
    story.line(story.any_run(), 0, story.currency(), story.reference())


@case()
def postings_that_cancel_on_one_side(story: CaseScript) -> None:
    """The ledger posts and reverses what the provider never saw: both are overdue in time, and nothing matches them."""
    currency, amount, reference, run = story.currency(), story.amount(), story.reference(), story.any_run()
    story.movement(run, amount, currency, reference)
    story.movement(run, -amount, currency, reference)


@case()
def transaction_in_two_currencies(story: CaseScript) -> None:
    """One transaction moves two currencies: two movements, each matched by its own line."""
    transaction, run = story.name("T"), story.any_run()
    for currency in story.rng.sample(["USD", "EUR", "JPY"], 2):
        amount, reference = story.amount(), story.reference()
        line = story.line(run, amount, currency, reference)
        movement = story.movement(run, amount, currency, reference, transaction=transaction)
        received = story.instant_in(story.calendar.runs[run])
        heard = story.callback(amount, currency, reference, received_at=received)
        story.match([line], [movement], callbacks=[heard])


@case(weight=2)
def net_that_does_not_tie(story: CaseScript) -> None:
    """Gross less fee is not the net the line states: it matches by what is compared, and the total is an exception."""
    currency, reference = story.currency(), story.reference()
    run = story.any_run()
    line = story.line(run, story.amount(), currency, reference, net_off=story.rng.choice([-100, -1, 1, 5_000]))
    story.match([line], [story.movement(run, line.compared_minor, currency, reference)])
    story.find("control_total_mismatch", "settlement_line", line.row.line_id, run)


@case(weight=2)
def part_that_joins_later(story: CaseScript) -> None:
    """A line settles a part; the rest comes with a later run, which takes the first match back and forms the whole."""
    currency, reference = "EUR", story.reference()
    part, rest = story.amount(), story.amount(least=200_001)
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first = story.line(run, part, currency, reference)
    movement = story.movement(run, part + rest, currency, reference)
    second = story.line(later, rest, currency, reference)
    heard = story.success([first], [movement], part + rest)
    story.match([first], [movement], callbacks=heard, reversed_in=later)
    story.match([first, second], [movement], callbacks=heard)


@case()
def posting_that_joins_later(story: CaseScript) -> None:
    """The ledger posts a part; the rest is posted later, which takes the first match back and forms the whole."""
    currency, reference = "EUR", story.reference()
    part, rest = story.amount(), story.amount(least=200_001)
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line = story.line(run, part + rest, currency, reference)
    first = story.movement(run, part, currency, reference)
    second = story.movement(later, rest, currency, reference)
    heard = story.success([line], [first], part + rest)
    story.match([line], [first], callbacks=heard, reversed_in=later)
    story.match([line], [first, second], callbacks=heard)


@case()
def remainder_that_joins_within_tolerance(story: CaseScript) -> None:
    """Even a difference within tolerance is formed again when the missing unit is settled later."""
    currency, reference, amount = "USD", story.reference(), story.amount()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first = story.line(run, amount, currency, reference)
    movement = story.movement(run, amount + 1, currency, reference)
    second = story.line(later, 1, currency, reference)
    heard = story.success([first], [movement], amount + 1)
    story.match([first], [movement], callbacks=heard, reversed_in=later)
    story.match([first, second], [movement], callbacks=heard)


@case()
def amounts_near_the_bound(story: CaseScript) -> None:
    """Amounts just below 10^15 are amounts like any other."""
    currency, reference = "EUR", story.reference()
    amount = 10**15 - story.rng.randrange(10_000, 10**9)
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])


@case()
def several_parts_that_join_later(story: CaseScript) -> None:
    """Two further parts come together in a later run: the three lines are the whole."""
    currency, reference = "EUR", story.reference()
    parts = [story.amount(least=least) for least in (1_000, 300_001, 700_003)]
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first = story.line(run, parts[0], currency, reference)
    movement = story.movement(run, sum(parts), currency, reference)
    others = [story.line(later, part, currency, reference) for part in parts[1:]]
    heard = story.success([first], [movement], sum(parts))
    story.match([first], [movement], callbacks=heard, reversed_in=later)
    story.match([first, *others], [movement], callbacks=heard)


@case()
def several_faults_of_one_payment(story: CaseScript) -> None:
    """Amount, net, fee and callback are all wrong: four exceptions, one row each."""
    reference, run, currency = story.reference(), story.any_run(), "USD"
    gross = story.amount(least=10_000)
    fee = story.terms.fee_schedule[currency].fee(gross) + 57
    line = story.line(run, 0, currency, reference, gross_and_fee=(gross, fee), net_off=-11)
    story.match([line], [story.movement(run, line.compared_minor + 600, currency, reference)], callbacks=[])
    story.find("fee_variance", "settlement_line", line.row.line_id, run)
    story.find("control_total_mismatch", "settlement_line", line.row.line_id, run)


@case()
def right_currency_posted_later(story: CaseScript) -> None:
    """The posting in the wrong currency is followed by the right one: matched late, the wrong one still waits."""
    amount, reference = story.amount(), story.reference()
    wrong, right = story.rng.sample(["USD", "EUR", "JPY", "KWD"], 2)
    run = story.any_run(spare=1)
    line = story.line(run, amount, right, reference)
    story.movement(run, amount, wrong, reference)
    story.reason(line, "currency_mismatch")
    story.match([line], [story.movement(story.later_run(run), amount, right, reference)])
