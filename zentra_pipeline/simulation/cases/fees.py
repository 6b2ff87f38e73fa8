"""Cases about fees on and off their schedule (contract §10.11)."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.story import CaseScript


def _line_with_fee(story: CaseScript, run: int, currency: str, gross: int, fee: int) -> str:
    """A matched payment of this gross and fee; returns its line_id."""
    reference = story.reference()
    line = story.line(run, 0, currency, reference, gross_and_fee=(gross, fee))
    story.match([line], [story.movement(run, line.compared_minor, currency, reference)])
    return line.row.line_id


@case(weight=2)
def fee_off_its_schedule(story: CaseScript) -> None:
    """The fee misses the schedule by more than the tolerance and rounding."""
    currency, gross = story.rng.choice(["USD", "JPY"]), story.amount(least=10_000)
    terms = story.terms.fee_schedule[currency]
    off = (terms.tolerance_minor + story.rng.choice([2, 40])) * story.rng.choice([1, -1])
    run = story.any_run()
    line_id = _line_with_fee(story, run, currency, gross, terms.fee(gross) + off)
    story.find("fee_variance", "settlement_line", line_id, run)


@case()
def fee_at_the_edge_of_the_tolerance(story: CaseScript) -> None:
    """The expected fee ends in one half: off by the tolerance and that half is allowed, one unit more is not."""
    terms = story.terms.fee_schedule["USD"]
    least = story.amount(least=10_000)
    gross = next(amount for amount in range(least, least + 10_000) if amount * terms.rate_bps % 10_000 == 5_000)
    allowed = terms.fixed_minor + (gross * terms.rate_bps - 5_000) // 10_000 + 1 + terms.tolerance_minor
    run = story.any_run()
    beyond = story.rng.choice([0, 1])
    line_id = _line_with_fee(story, run, "USD", gross, allowed + beyond)
    if beyond:
        story.find("fee_variance", "settlement_line", line_id, run)


@case()
def fee_without_a_schedule(story: CaseScript) -> None:
    """A currency the schedule does not name, or a refund, may carry any fee."""
    run, amount = story.any_run(), story.amount(least=10_000)
    fee = story.rng.randrange(1, 5_000)
    if story.rng.random() < 0.5:
        _line_with_fee(story, run, "EUR", amount, fee)
        return
    reference = story.reference()
    line = story.line(run, 0, "USD", reference, line_type="refund", gross_and_fee=(-amount, fee))
    story.match([line], [story.movement(run, line.compared_minor, "USD", reference, kind="refund")])


@case()
def fee_of_an_unmatched_line(story: CaseScript) -> None:
    """A line without a movement can have the wrong fee as well: both are said."""
    gross, run = story.amount(least=10_000), story.any_run()
    fee = story.terms.fee_schedule["USD"].fee(gross) - 25
    line = story.line(run, 0, "USD", story.reference(), gross_and_fee=(gross, fee))
    story.find("fee_variance", "settlement_line", line.row.line_id, run)
