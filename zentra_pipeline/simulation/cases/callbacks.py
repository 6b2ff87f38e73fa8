"""Cases about what the provider called back: never, late, again, in any order, in conflict, about nothing."""

from datetime import timedelta

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.rows import Callback
from zentra_pipeline.simulation.story import CaseScript


def _settled_pair(story: CaseScript, run: int) -> tuple[str, int, str, int]:
    """A pair that `run` matches and whose callbacks the case itself makes: currency, amount, reference, run."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)], has_every_callback=True)
    return currency, amount, reference, run


@case(weight=2)
def callback_missing(story: CaseScript) -> None:
    """Settled and posted, but no callback ever came."""
    _settled_pair(story, story.any_run())


@case()
def callback_pending_only(story: CaseScript) -> None:
    """The provider reported the payment pending and then fell silent: no success, so the callback is missing."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    story.callback(amount, currency, reference, status="pending", received_at=received)


@case()
def callback_in_the_grace(story: CaseScript) -> None:
    """Success comes after the window's end but by the review cut-off: in time."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    end = story.calendar.end(story.calendar.runs[run])
    story.callback(
        amount, currency, reference, received_at=story.instant_between(end, story.calendar.review_cutoff(run))
    )


@case(weight=2)
def callback_after_the_cutoff(story: CaseScript) -> None:
    """The first success comes after the review cut-off but is known to the run: late, not missing."""
    story.require(story.terms.expects_callbacks)
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_between(story.calendar.review_cutoff(run), story.calendar.as_of[run])
    story.callback(amount, currency, reference, received_at=received, occurred_at=received)


@case(weight=2)
def callback_after_the_run(story: CaseScript) -> None:
    """Missing in the run that matched; the next run hears of success, resolves it as matched late and calls it late."""
    story.require(story.terms.expects_callbacks)
    currency, amount, reference, run = _settled_pair(story, story.any_run(spare=1))
    heard = story.later_run(run)
    received = story.instant_between(story.calendar.as_of[heard - 1], story.calendar.as_of[heard])
    story.callback(amount, currency, reference, received_at=received, occurred_at=received)


@case()
def callback_after_the_last_run(story: CaseScript) -> None:
    """Success comes after the last run's as_of: no run of this world knows of it."""
    currency, amount, reference, _ = _settled_pair(story, story.any_run())
    received = story.calendar.as_of[-1] + timedelta(milliseconds=story.rng.choice([1, 3_600_000]))
    story.callback(amount, currency, reference, received_at=received, occurred_at=received)


@case()
def late_line_has_a_cutoff_of_its_own(story: CaseScript) -> None:
    """Success comes after the cut-off of the posting's run, before that of the run that makes the match: in time."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    settled = story.later_run(run)
    line = story.line(settled, amount, currency, reference)
    movement = story.movement(run, amount, currency, reference)
    after, up_to = story.calendar.review_cutoff(settled - 1), story.calendar.review_cutoff(settled)
    received = story.instant_between(after, up_to)
    heard = story.callback(amount, currency, reference, received_at=received, occurred_at=received)
    story.match([line], [movement], callbacks=[heard])


@case()
def callback_delivered_many_times(story: CaseScript) -> None:
    """One success, delivered again after the cut-off and in later runs: the first receipt counts."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    success = story.callback(amount, currency, reference, received_at=received)
    for hours in story.rng.sample(range(1, 200), 3):
        story.deliver_again(success, received + timedelta(hours=hours))


@case()
def callbacks_out_of_order(story: CaseScript) -> None:
    """Success is received before the pending and the failed attempt that came before it: success has the last word."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    success = story.callback(amount, currency, reference, received_at=received)
    for position, status in enumerate(("failed", "pending"), start=1):
        story.callback(
            amount,
            currency,
            reference,
            status=status,
            received_at=received + timedelta(seconds=position),
            occurred_at=success.occurred_at - timedelta(minutes=position),
        )


def _conflict(story: CaseScript, run: int, currency: str, amount: int, reference: str, second_run: int) -> None:
    """Two payloads under one event id, received in the windows of two runs, which may be one."""
    first = story.callback(
        amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]), sequence=1
    )
    changed = story.rng.choice(["amount", "status", "sequence", "merchant"])
    second = story.callback(
        amount + (100 if changed == "amount" else 0),
        currency,
        reference,
        merchant=story.name("M") if changed == "merchant" else "",
        status="pending" if changed == "status" else "succeeded",
        received_at=story.instant_in(story.calendar.runs[second_run]),
        occurred_at=first.occurred_at,
        sequence=2 if changed == "sequence" else 1,
        event_id=first.provider_event_id,
    )
    heard = story.calendar.run_hearing(max(first.received_at, second.received_at))
    assert heard is not None
    heard = max(heard, run)  # an earlier run that hears of it sees nothing that it speaks for
    story.disbelieved.add(first.provider_event_id)
    story.find("conflicting_callback", "callback", first.provider_event_id, heard)


@case(weight=2)
def conflicting_callback(story: CaseScript) -> None:
    """One event id, two payloads, nothing else: neither is believed, so the callback is missing too."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    _conflict(story, run, currency, amount, reference, run)


@case()
def conflicting_callback_beside_a_success(story: CaseScript) -> None:
    """Two payloads disagree under one event id, another event reports success: a conflict, but nothing is missing."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    _conflict(story, run, currency, amount, reference, run)
    story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))


@case()
def conflict_that_comes_later(story: CaseScript) -> None:
    """The second payload reaches a later run, which opens the conflict; another event's success still counts."""
    currency, amount, reference, run = _settled_pair(story, story.any_run(spare=1))
    story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))
    _conflict(story, run, currency, amount, reference, story.later_run(run))


def _orphan(story: CaseScript, success: Callback) -> None:
    """State that nothing answers a success: an orphan in the first run after the lag, where there is one."""
    overdue = story.calendar.first_overdue(story.calendar.window_of(success.received_at))
    if overdue is not None:
        story.find("orphan_callback", "callback", success.provider_event_id, overdue)


@case(weight=2)
def orphan_callback(story: CaseScript) -> None:
    """The provider reports success of something that neither settles nor is posted: an orphan after the lag."""
    run = story.any_run()
    received = story.instant_in(story.calendar.runs[run])
    success = story.callback(
        story.amount(), story.currency(), story.reference(), merchant=story.name("M"), received_at=received
    )
    if story.rng.random() < 0.3:
        story.deliver_again(success, received + timedelta(days=1))
    _orphan(story, success)


@case()
def orphan_answered_later(story: CaseScript) -> None:
    """The orphan's line and movement come after all, in one run: they match, which resolves it as matched late."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    received = story.instant_in(story.calendar.runs[0])
    success = story.callback(amount, currency, reference, received_at=received)
    overdue = story.calendar.first_overdue(story.calendar.window_of(received))
    if overdue is None:
        story.require(False)
        return
    answered = story.later_run(overdue)
    line = story.line(answered, amount, currency, reference)
    story.match([line], [story.movement(answered, amount, currency, reference)], callbacks=[success])
    story.find("orphan_callback", "callback", success.provider_event_id, overdue, answered)


@case()
def failure_of_nothing(story: CaseScript) -> None:
    """A failed or pending payment that neither settles nor is posted is no orphan."""
    received = story.instant_in(story.calendar.runs[story.any_run()])
    status = story.rng.choice(["failed", "pending"])
    story.callback(story.amount(), story.currency(), story.reference(), status=status, received_at=received)


@case()
def callback_of_one_side(story: CaseScript) -> None:
    """A success whose movement never settles, or whose line is never posted, is no orphan: that side says why."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    if story.rng.random() < 0.5:
        story.line(run, amount, currency, reference)
    else:
        story.movement(run, amount, currency, reference)
    story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))


@case(weight=2)
def callback_amount_differs(story: CaseScript) -> None:
    """Line and ledger agree, the last success names another amount: an amount mismatch of the callback."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    off = story.terms.tolerance(currency) + story.rng.choice([1, 250])
    last = story.callback(amount + off, currency, reference, received_at=received)
    story.find("amount_mismatch", "callback", last.provider_event_id, run, None, currency)


@case()
def last_success_decides_the_amount(story: CaseScript) -> None:
    """An earlier success named another amount, the last agrees: nothing to say."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    last = story.callback(amount, currency, reference, received_at=received)
    story.callback(
        amount - 77,
        currency,
        reference,
        received_at=received + timedelta(seconds=5),
        occurred_at=last.occurred_at - timedelta(minutes=5),
    )


@case()
def refund_callback_without_a_sign(story: CaseScript) -> None:
    """A refund's callback names a positive amount: it brings money in, speaks for no refund, and is an orphan."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, -amount, currency, reference, line_type="refund")
    movement = story.movement(run, -amount, currency, reference, kind="refund")
    heard = story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))
    story.match([line], [movement], callbacks=[])
    _orphan(story, heard)


@case()
def refund_that_nobody_booked(story: CaseScript) -> None:
    """A refund is reported under the payment's order or very reference, but neither settled nor posted: an orphan."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    received = story.instant_in(story.calendar.runs[run])
    paid = story.callback(amount, currency, reference, merchant=movement.intent_id, received_at=received)
    story.match([line], [movement], callbacks=[paid])
    own = story.rng.choice([reference, story.reference()])
    refund = story.callback(-amount, currency, own, merchant=movement.intent_id, received_at=received)
    _orphan(story, refund)


@case(weight=2)
def refund_and_payment_of_one_order(story: CaseScript) -> None:
    """Payment and refund share an order, now and then the reference: each callback speaks for its own."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, own, order = story.any_run(), story.reference(), story.name("I")
    own = story.rng.choice([own, reference])
    part = story.rng.randrange(1, amount)
    received = story.instant_in(story.calendar.runs[run])
    paid = story.callback(amount, currency, reference, merchant=order, received_at=received)
    line = story.line(run, amount, currency, reference, merchant=order)
    story.match([line], [story.movement(run, amount, currency, reference, intent=order)], callbacks=[paid])
    given_back = story.callback(-part, currency, own, merchant=order, received_at=received + timedelta(seconds=1))
    line = story.line(run, -part, currency, own, line_type="refund", merchant=order, original=reference)
    movement = story.movement(run, -part, currency, own, kind="refund", intent=order)
    story.match([line], [movement], callbacks=[given_back])


@case()
def another_attempt_failed(story: CaseScript) -> None:
    """An attempt under a reference that nothing settled failed, in the second of the success or later: no conflict."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    received, order = story.instant_in(story.calendar.runs[run]), movement.intent_id
    success = story.callback(amount, currency, reference, merchant=order, received_at=received)
    failed = story.callback(
        amount,
        currency,
        story.reference(),
        merchant=order,
        status="failed",
        received_at=received + timedelta(milliseconds=1),
        occurred_at=success.occurred_at + timedelta(seconds=story.rng.choice([0, 5])),
    )
    story.match([line], [movement], callbacks=[success, failed])


@case()
def failure_and_success_in_one_second(story: CaseScript) -> None:
    """Failure and success bear one instant and no sequence: success has the last word, whatever the ids."""
    currency, amount, reference, run = _settled_pair(story, story.any_run())
    received = story.instant_in(story.calendar.runs[run])
    success = story.callback(amount, currency, reference, received_at=received)
    for status in ("failed", "pending"):
        story.callback(
            amount, currency, reference, status=status, received_at=received, occurred_at=success.occurred_at
        )


@case()
def dispute_lost_and_won(story: CaseScript) -> None:
    """A chargeback and its reversal under one reference, each with its own success."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    for line_type, signed in (("chargeback", -amount), ("chargeback_reversal", amount)):
        line = story.line(run, signed, currency, reference, line_type=line_type)
        movement = story.movement(run, signed, currency, reference, kind=line_type)
        received = story.instant_in(story.calendar.runs[run])
        says = story.rng.choice([line_type, None])
        success = story.callback(signed, currency, reference, received_at=received, movement_type=says)
        story.match([line], [movement], callbacks=[success])


@case()
def debit_that_fails_later(story: CaseScript) -> None:
    """A payment fails days after its success, settled and posted back by then: everyone agrees, no conflict."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    failed_in = story.later_run(run)
    day = story.calendar.runs[failed_in]
    after = max(story.calendar.as_of[failed_in - 1], story.calendar.start(day))
    heard = [
        story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run])),
        story.callback(
            amount,
            currency,
            reference,
            status="failed",
            received_at=story.instant_between(after, story.calendar.end(day) - timedelta(milliseconds=1)),
        ),
    ]
    for made_in, signed in ((run, amount), (failed_in, -amount)):
        line = story.line(made_in, signed, currency, reference)
        story.match([line], [story.movement(made_in, signed, currency, reference)], callbacks=heard)


@case()
def callback_amount_within_tolerance(story: CaseScript) -> None:
    """The last success is off by no more than the tolerance: nothing to say."""
    currency, amount, reference = "USD", story.amount(), story.reference()
    run = story.any_run()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    received = story.instant_in(story.calendar.runs[run])
    off = story.terms.tolerance(currency) * story.rng.choice([1, -1])
    story.match([line], [movement], callbacks=[story.callback(amount + off, currency, reference, received_at=received)])


@case()
def callback_by_merchant_reference(story: CaseScript) -> None:
    """The callback knows no provider reference, only the transaction, the intent or the merchant reference."""
    currency, amount, reference, merchant = story.currency(), story.amount(), story.reference(), story.name("M")
    run = story.any_run()
    line = story.line(run, amount, currency, reference, merchant=merchant)
    movement = story.movement(run, amount, currency, reference)
    named = story.rng.choice([movement.transaction_id, movement.intent_id, merchant])
    received = story.instant_in(story.calendar.runs[run])
    story.match([line], [movement], callbacks=[story.callback(amount, currency, merchant=named, received_at=received)])


@case()
def callback_by_normalized_reference(story: CaseScript) -> None:
    """The callback writes the reference in another way, equal only once normalized: it speaks of the match."""
    story.require(story.terms.reference_normalizer == "alphanumeric")
    currency, amount, reference = story.currency(), story.amount(), story.name("pr-")
    run = story.any_run()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    received = story.instant_in(story.calendar.runs[run])
    heard = story.callback(amount, currency, reference.upper().replace("-", "#"), received_at=received)
    story.match([line], [movement], callbacks=[heard])
