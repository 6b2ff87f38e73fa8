"""The cases of a bank's world: what goes right and wrong between a payout and its credit, and what is right of each.

Nothing here knows the engine. Does not belong here: statements as a whole (world).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from zentra_pipeline.simulation.bank.story import BankStory, Payout

LONGEST_LAG: Final = 5


def plain(story: BankStory) -> None:
    """A credit whose text names the batch, up to the lag after the payout."""
    lag = story.rng.randint(0, story.terms.lag_days)
    day = story.start(room=lag)
    paid = story.pay(day, story.amount())
    line = story.book(day + lag, paid.amount, f"RAIL LTD BATCH {paid.batch} thank you")
    story.match("bank_text", [line], [paid])
    story.is_(paid, "credited")


def traced(story: BankStory) -> None:
    """A credit that has the payout's trace id as its end-to-end id, and a text that says nothing."""
    lag = story.rng.randint(0, story.terms.lag_days)
    day = story.start(room=lag)
    paid = story.pay(day, story.amount(), trace_id=f"TR{story.number:08d}")
    line = story.book(day + lag, paid.amount, "TRANSFER", trace=paid.trace_id)
    story.match("bank_trace", [line], [paid])
    story.is_(paid, "credited")


def late(story: BankStory) -> None:
    """A credit after the lag: missed in between, resolved when it comes."""
    lag = story.rng.randint(story.terms.lag_days + 2, LONGEST_LAG)
    day = story.start(room=lag)
    paid = story.pay(day, story.amount())
    line = story.book(day + lag, paid.amount, f"BATCH {paid.batch}")
    story.match("bank_text", [line], [paid])
    story.breaks("missing_bank_credit", paid.line_id, is_open=False)
    story.is_(paid, "credited")


def never(story: BankStory) -> None:
    """A payout that the bank never sees: overdue where the lag is over on the last day, else in transit."""
    day = story.start(room=0)
    paid = story.pay(day, story.amount())
    _never_credited(story, paid)


def two_in_one(story: BankStory) -> None:
    """Two batches in one credit, both with its trace id."""
    day = story.start(room=2)
    trace = f"TR{story.number:08d}"
    paid = [story.pay(day, story.amount(), trace_id=trace) for _ in range(2)]
    line = story.book(day + 1, paid[0].amount + paid[1].amount, "COLLECTIVE", trace=trace)
    story.match("bank_group", [line], paid)
    for each in paid:
        story.is_(each, "credited")


def one_in_two(story: BankStory) -> None:
    """One batch in two credits of a day."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount())
    part = paid.amount // 3
    lines = [story.book(day + 1, part, f"BATCH {paid.batch} 1/2")]
    lines.append(story.book(day + 1, paid.amount - part, f"BATCH {paid.batch} 2/2"))
    story.match("bank_group", lines, [paid])
    story.is_(paid, "credited")


def one_in_two_days(story: BankStory) -> None:
    """One batch in credits of two days: too little on the first, whole on the second."""
    day = story.start(room=2)
    paid = story.pay(day, story.amount())
    part = paid.amount // 3
    first = story.book(day + 1, part, f"BATCH {paid.batch} 1/2")
    second = story.book(day + 2, paid.amount - part, f"BATCH {paid.batch} 2/2")
    story.match("bank_text", [first], [paid], status="reversed")
    story.breaks("bank_amount_mismatch", first, is_open=False)
    story.match("bank_group", [first, second], [paid])
    story.is_(paid, "credited")


def fee_kept(story: BankStory) -> None:
    """A credit less a fee that the profile tolerates."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount())
    fee = story.rng.randint(1, story.terms.fee_tolerance_minor)
    line = story.book(day + 1, paid.amount - fee, f"BATCH {paid.batch}")
    story.match("bank_text", [line], [paid], fee)
    story.is_(paid, "credited")


def charges_stated(story: BankStory) -> None:
    """A credit less charges that the bank states, above what the profile tolerates."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount())
    fee = story.terms.fee_tolerance_minor + story.rng.randint(1, 500)
    line = story.book(day + 1, paid.amount - fee, f"BATCH {paid.batch}", charges=fee)
    story.match("bank_text", [line], [paid], fee)
    story.breaks("bank_fee_variance", line, is_open=True)
    story.is_(paid, "credited")


def short(story: BankStory) -> None:
    """A credit of too little, and nothing says why."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount())
    missing = story.terms.fee_tolerance_minor + story.rng.randint(1, 5_000)
    line = story.book(day + 1, paid.amount - missing, f"BATCH {paid.batch}")
    story.match("bank_text", [line], [paid])
    story.breaks("bank_amount_mismatch", line, is_open=True)
    story.is_(paid, "partially_credited")


def currency_stated(story: BankStory) -> None:
    """A payout in euros that the bank credits in dollars, stating what was instructed."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount(), currency="EUR")
    line = story.book(
        day + 1, paid.amount * 108 // 100 + 7, f"BATCH {paid.batch}", instructed=(paid.amount, paid.currency)
    )
    story.match("bank_text", [line], [paid])
    story.is_(paid, "credited")


def currency_unstated(story: BankStory) -> None:
    """A payout in euros that the bank credits in dollars, saying nothing of euros."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount(), currency="EUR")
    line = story.book(day + 1, paid.amount * 108 // 100 + 7, f"BATCH {paid.batch}")
    story.breaks("bank_currency_mismatch", line, is_open=True)
    _never_credited(story, paid)


def returned_and_resent(story: BankStory) -> None:
    """A credit that the bank takes back, and a payout that sends it again."""
    day = story.start(room=4)
    paid = story.pay(day, story.amount())
    first = story.book(day + 1, paid.amount, f"BATCH {paid.batch}")
    back = story.book(day + 2, -paid.amount, f"RETURN OF BATCH {paid.batch}", is_reversal=True)
    again = story.pay(day + 3, paid.amount, retries=paid.batch, trace_id=f"TR{story.number:08d}")
    second = story.book(day + 4, again.amount, "SENT AGAIN", trace=again.trace_id)
    story.match("bank_text", [first], [paid], status="reversed")
    story.match("bank_group", [first, back], [paid])
    story.match("bank_trace", [second], [again])
    story.breaks("payout_returned", paid.line_id, is_open=False)
    story.is_(paid, "returned")
    story.is_(again, "credited")


def pending_then_booked(story: BankStory) -> None:
    """A credit that a report announces and the statement of the next day books."""
    day = story.start(room=1)
    paid = story.pay(day, story.amount())
    line = story.book(day + 1, paid.amount, f"BATCH {paid.batch}", announced=day)
    story.match("bank_text", [line], [paid])
    story.is_(paid, "credited")


def booked_twice(story: BankStory) -> None:
    """A credit that the bank books a second time the day after."""
    day = story.start(room=2)
    paid = story.pay(day, story.amount())
    line = story.book(day + 1, paid.amount, f"BATCH {paid.batch}")
    twin = story.book(day + 2, paid.amount, f"BATCH {paid.batch}")
    story.match("bank_text", [line], [paid])
    story.breaks("duplicate_bank_line", twin, is_open=True)
    story.is_(paid, "credited")


def batch_booking(story: BankStory) -> None:
    """Two payouts in one entry whose transactions name them: they count in its place."""
    day = story.start(room=1)
    paid = [story.pay(day, story.amount()) for _ in range(2)]
    details = tuple((f"BATCH {each.batch}", each.amount) for each in paid)
    line = story.book(day + 1, sum(each.amount for each in paid), "COLLECTIVE CREDIT", details=details)
    for place, each in enumerate(paid, start=1):
        story.match("bank_text", [f"{line}/{place}"], [each])
        story.is_(each, "credited")


def unexpected(story: BankStory) -> None:
    """A credit that names a batch of which nobody knows."""
    line = story.book(story.start(room=0), story.amount(), f"BATCH X{story.number:04d}")
    story.breaks("unexpected_bank_credit", line, is_open=True)


def other_business(story: BankStory) -> None:
    """What no provider has to do with: accounted for, without exception."""
    story.book(story.start(room=0), -story.amount() // 7, "RENT OF THE MONTH")


def _never_credited(story: BankStory, paid: Payout) -> None:
    is_overdue = story.last_day - paid.day > story.terms.lag_days
    if is_overdue:
        story.breaks("missing_bank_credit", paid.line_id, is_open=True)
    story.is_(paid, "overdue" if is_overdue else "in_transit")


CASES: Final[Mapping[str, tuple[int, Callable[[BankStory], None]]]] = MappingProxyType(
    {
        "plain": (12, plain),
        "traced": (8, traced),
        "late": (2, late),
        "never": (1, never),
        "two_in_one": (2, two_in_one),
        "one_in_two": (2, one_in_two),
        "one_in_two_days": (1, one_in_two_days),
        "fee_kept": (2, fee_kept),
        "charges_stated": (1, charges_stated),
        "short": (1, short),
        "currency_stated": (1, currency_stated),
        "currency_unstated": (1, currency_unstated),
        "returned_and_resent": (1, returned_and_resent),
        "pending_then_booked": (2, pending_then_booked),
        "booked_twice": (1, booked_twice),
        "batch_booking": (1, batch_booking),
        "unexpected": (1, unexpected),
        "other_business": (3, other_business),
    }
)
"""Case by name, with how often it is drawn beside the others."""
