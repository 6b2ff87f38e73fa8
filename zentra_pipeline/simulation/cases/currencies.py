"""Cases of lines that settle in another currency than the customer paid in (contract §10.1, Two currencies)."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.statements import PlacedLine
from zentra_pipeline.simulation.story import CaseScript

_RATES = {"EUR": (10_832, 10_000), "GBP": (12_704, 10_000), "JPY": (67, 100), "KWD": (325, 1_000)}


def _converted(story: CaseScript, run: int, paid_minor: int, paid_in: str, reference: str) -> PlacedLine:
    """A line that settles in USD what the customer paid, at the provider's rate and a few cents more or less."""
    numerator, denominator = _RATES[paid_in]
    size = paid_minor * numerator // denominator + story.rng.randint(1, 50)
    return story.line(run, size, "USD", reference, paid=(paid_minor, paid_in))


@case(weight=2)
def paid_in_another_currency(story: CaseScript) -> None:
    """A payment settles in USD and is posted in the currency that the customer paid in: a match in that currency."""
    paid, paid_in, reference, run = story.amount(), story.rng.choice(sorted(_RATES)), story.reference(), story.any_run()
    line = _converted(story, run, paid, paid_in, reference)
    story.match([line], [story.movement(run, paid, paid_in, reference)], settlement_minor=paid)


@case()
def paid_in_another_currency_and_posted_as_settled(story: CaseScript) -> None:
    """The ledger posts what was settled: what the customer paid plays no part."""
    reference, run = story.reference(), story.any_run()
    line = _converted(story, run, story.amount(), "EUR", reference)
    story.match([line], [story.movement(run, line.compared_minor, "USD", reference)])


@case()
def paid_in_another_currency_and_posted_in_a_third(story: CaseScript) -> None:
    """Neither what was settled nor what the customer paid is in the currency of the posting: never a match."""
    paid, reference, run = story.amount(), story.reference(), story.any_run()
    line = _converted(story, run, paid, "EUR", reference)
    story.movement(run, paid, "GBP", reference)
    story.reason(line, "currency_mismatch")


@case()
def captured_in_parts_of_another_currency(story: CaseScript) -> None:
    """A payment is settled in two parts, each at the rate of its day: what the customer paid adds up."""
    first, second = story.amount(), story.amount(least=200_001)
    reference, run = story.reference(), story.any_run()
    lines = [_converted(story, run, part, "EUR", reference) for part in (first, second)]
    movement = story.movement(run, first + second, "EUR", reference)
    story.match(lines, [movement], settlement_minor=first + second)


@case()
def refunded_in_full_at_another_rate(story: CaseScript) -> None:
    """All that the customer paid goes back, and settles as more than came in: nothing is over-applied."""
    paid, run = story.amount(), story.any_run(spare=1)
    original, reference, later = story.reference(), story.reference(), story.later_run(run)
    payment = _converted(story, run, paid, "EUR", original)
    story.match([payment], [story.movement(run, paid, "EUR", original)], settlement_minor=paid)
    refund = story.line(
        later,
        -(abs(payment.compared_minor) + 500),
        "USD",
        reference,
        line_type="refund",
        original=original,
        paid=(-paid, "EUR"),
    )
    story.match([refund], [story.movement(later, -paid, "EUR", reference, kind="refund")], settlement_minor=-paid)
