"""Cases about the ledger's own faults: debits and credits that differ, movements that no line type settles."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.story import CaseScript


@case(weight=2)
def unbalanced_transaction(story: CaseScript) -> None:
    """Debits and credits differ: it takes part by its clearing net, and the exception comes on top."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    off = story.rng.choice([-1, 1, 999])
    movement = story.movement(run, amount, currency, reference, unbalanced_by=off)
    story.find("unbalanced_transaction", "ledger_transaction", movement.transaction_id, run)
    if story.rng.random() < 0.7:
        story.match([story.line(run, amount, currency, reference)], [movement])


@case()
def unbalanced_in_one_currency(story: CaseScript) -> None:
    """A transaction that balances in sum over two currencies, and in neither: one exception a currency."""
    transaction, run = story.name("T"), story.any_run()
    for currency, off in (("USD", 250), ("EUR", -250)):
        amount, reference = story.amount(), story.reference()
        movement = story.movement(run, amount, currency, reference, transaction=transaction, unbalanced_by=off)
        line = story.line(run, amount, currency, reference)
        received = story.instant_in(story.calendar.runs[run])
        heard = story.callback(amount, currency, reference, received_at=received)
        story.match([line], [movement], callbacks=[heard])
        story.find("unbalanced_transaction", "ledger_transaction", transaction, run, None, currency)


@case()
def entry_that_comes_late(story: CaseScript) -> None:
    """A later window adds an entry to a movement already matched: the match is made again, with the difference."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    more = story.amount() * story.rng.choice([1, -1])
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    heard = story.success([line], [movement], amount)
    story.match([line], [movement], callbacks=heard, reversed_in=later)
    changed = story.post_more(movement, later, more)
    story.match([line], [changed], callbacks=heard, run=later)


@case()
def entry_that_makes_good(story: CaseScript) -> None:
    """The ledger posts too little and adds the rest to the same transaction later: the difference is gone."""
    currency, reference = "EUR", story.reference()
    part, rest = story.amount(), story.amount(least=200_001)
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line, movement = story.line(run, part + rest, currency, reference), story.movement(run, part, currency, reference)
    heard = story.success([line], [movement], part + rest)
    story.match([line], [movement], callbacks=heard, reversed_in=later)
    whole = story.post_more(movement, later, rest)
    story.match([line], [whole], callbacks=heard, run=later)


@case()
def payout_without_a_batch(story: CaseScript) -> None:
    """A payout or adjustment posted on the clearing account names no known batch: it waits and falls overdue."""
    amount = story.amount() * story.rng.choice([1, -1])
    story.movement(
        story.any_run(), amount, story.currency(), story.reference(), kind=story.rng.choice(["payout", "adjustment"])
    )


@case()
def difference_that_becomes_another(story: CaseScript) -> None:
    """The ledger takes a part of what is missing back, later all of it: one exception, which shows what is left."""
    currency, reference = "EUR", story.reference()
    settled, missing, taken = story.amount(), story.amount(least=200_001), story.rng.randrange(1, 200_000)
    run = story.any_run(spare=2)
    then = story.later_run(run, spare=1)
    last = story.later_run(then)
    line, movement = (
        story.line(run, settled, currency, reference),
        story.movement(run, settled + missing, currency, reference),
    )
    heard = story.success([line], [movement], settled)
    less = story.post_more(movement, then, -taken)
    least = story.post_more(less, last, taken - missing)
    story.match_in_parts([(run, [line], [movement]), (then, [line], [less]), (last, [line], [least])], heard)
