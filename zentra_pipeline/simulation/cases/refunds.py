"""Cases about what a refund or chargeback refers to: known, unknown, known later, or exceeded."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.statements import PlacedLine
from zentra_pipeline.simulation.story import CaseScript

CURRENCY = "EUR"


def _payment(story: CaseScript, run: int, amount: int, reference: str) -> None:
    line = story.line(run, amount, CURRENCY, reference)
    story.match([line], [story.movement(run, amount, CURRENCY, reference)])


def _back(story: CaseScript, run: int, amount: int, original: str, kind: str = "refund") -> PlacedLine:
    """A matched refund, chargeback or reversal (positive) of an original, under a reference of its own."""
    signed = amount if kind == "chargeback_reversal" else -amount
    reference = story.reference()
    line = story.line(run, signed, CURRENCY, reference, line_type=kind, original=original)
    story.match([line], [story.movement(run, signed, CURRENCY, reference, kind=kind)])
    return line


@case(weight=2)
def refund_of_a_known_payment(story: CaseScript) -> None:
    """The original was settled in this run or an earlier one, and the refund stays below it: nothing to say."""
    amount, original = story.amount(), story.reference()
    run = story.any_run()
    _payment(story, run, amount, original)
    kind = story.rng.choice(["refund", "chargeback"])
    _back(story, story.rng.randint(run, story.last_run), story.rng.choice([amount, amount // 2]), original, kind)


@case(weight=2)
def refund_of_an_unknown_payment(story: CaseScript) -> None:
    """Nobody knows the original: the refund matches its movement, the reference stays unresolved."""
    run = story.any_run()
    line = _back(story, run, story.amount(), story.reference(), story.rng.choice(["refund", "chargeback"]))
    story.find("unresolved_reference", "settlement_line", line.row.line_id, run)


@case()
def original_known_later(story: CaseScript) -> None:
    """The original comes after its refund: unresolved until then, then resolved as matched late."""
    amount, original = story.amount(), story.reference()
    run = story.any_run(spare=1)
    known = story.later_run(run)
    line = _back(story, run, amount // 2, original)
    _payment(story, known, amount, original)
    story.find("unresolved_reference", "settlement_line", line.row.line_id, run, known)


@case()
def original_known_to_the_ledger(story: CaseScript) -> None:
    """The original is posted but not settled: known all the same, and its movement bounds the refunds."""
    amount, original = story.amount(), story.reference()
    run = story.any_run()
    story.movement(run, amount, CURRENCY, original)
    _back(story, run, amount - 1, original)


@case(weight=2)
def refunded_beyond_the_original(story: CaseScript) -> None:
    """Refund and chargeback together exceed the original: each line that leaves the total above it is an exception."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=1)
    _payment(story, run, amount, original)
    _back(story, run, amount - 100, original)
    later = story.later_run(run)
    beyond = _back(story, later, 101 + story.rng.randrange(5_000), original, story.rng.choice(["refund", "chargeback"]))
    story.find("over_applied_reference", "settlement_line", beyond.row.line_id, later)


@case()
def reversal_makes_room(story: CaseScript) -> None:
    """A chargeback is reversed before the refund comes: the total never exceeds the original."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=2)
    back = story.later_run(run, spare=1)
    _payment(story, run, amount, original)
    _back(story, run, amount, original, "chargeback")
    _back(story, back, amount, original, "chargeback_reversal")
    _back(story, story.later_run(back), amount - 3, original)


@case()
def refunded_beyond_the_original_twice(story: CaseScript) -> None:
    """Once the total is above the original, every further refund is above it too, until a reversal makes room."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=3)
    _payment(story, run, amount, original)
    _back(story, run, amount, original, "chargeback")
    for later in (run + 1, run + 2):
        beyond = _back(story, later, 500 + story.rng.randrange(400), original)
        story.find("over_applied_reference", "settlement_line", beyond.row.line_id, later)
    _back(story, run + 3, amount, original, "chargeback_reversal")


@case()
def failed_refund_counts_for_nothing(story: CaseScript) -> None:
    """A refund that failed and then settled is counted once against the original."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=1)
    _payment(story, run, amount, original)
    part = amount - amount // 4
    failed = story.line(run, -part, CURRENCY, story.reference(), line_type="refund", original=original, status="failed")
    story.reason(failed, "failed_settlement")
    _back(story, story.later_run(run), part, original)


@case()
def smaller_original_known_later(story: CaseScript) -> None:
    """The original comes after its refund, and is smaller: known by then, and taken back beyond what it was."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=1)
    known = story.later_run(run)
    line = _back(story, run, amount + 100, original)
    _payment(story, known, amount, original)
    story.find("unresolved_reference", "settlement_line", line.row.line_id, run, known)
    story.find("over_applied_reference", "settlement_line", line.row.line_id, known, None, CURRENCY, 100)


@case()
def original_that_grows(story: CaseScript) -> None:
    """A refund is above its original until the rest of the original is settled."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    line = _back(story, run, amount + 500, original)
    for at, part in ((run, amount), (later, 900)):  # a callback would speak of both, with one amount
        paid = story.line(at, part, CURRENCY, original)
        story.match([paid], [story.movement(at, part, CURRENCY, original)], callbacks=[])
    story.find("over_applied_reference", "settlement_line", line.row.line_id, run, later, CURRENCY, 500)


@case()
def original_that_shrinks(story: CaseScript) -> None:
    """The ledger takes some of an original back that it alone knows: an earlier refund is above it then."""
    amount, original = story.amount(least=10_000), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    movement = story.movement(run, amount, CURRENCY, original)
    line = _back(story, run, amount, original)
    story.post_more(movement, later, -400)
    story.find("over_applied_reference", "settlement_line", line.row.line_id, later, None, CURRENCY, 400)
