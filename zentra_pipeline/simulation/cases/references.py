"""Cases about what joins a line to its movement: references as sent, normalized, internal, and through a callback."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.story import CaseScript
from zentra_pipeline.simulation.terms import LEADING_NUMBER


@case(weight=12)
def exact_reference(story: CaseScript) -> None:
    """A line and a movement share their reference and amount: one confirmed match in the first run that sees both."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference, merchant=story.name("M"))
    story.match([line], [story.movement(run, amount, currency, reference)])


@case(weight=2)
def exact_reference_of_a_refund(story: CaseScript) -> None:
    """A refund, a chargeback or its reversal matches a movement of its own class; a chargeback is known by its sign."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    kind = story.rng.choice(["refund", "chargeback", "chargeback_reversal"])
    signed = amount if kind == "chargeback_reversal" else -amount
    run = story.any_run()
    line = story.line(run, signed, currency, reference, line_type=kind)
    story.match([line], [story.movement(run, signed, currency, reference, kind=kind)])


@case()
def other_class(story: CaseScript) -> None:
    """A payment line and a chargeback reversal share reference and amount but not their class: no match."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    story.line(run, amount, currency, reference)
    story.movement(run, amount, currency, reference, kind="chargeback_reversal")


@case()
def shared_reference_of_two_classes(story: CaseScript) -> None:
    """A payment and its refund carry one reference: each class matches for itself."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    part = story.rng.randrange(1, amount)
    paid = story.line(run, amount, currency, reference)
    refunded = story.line(run, -part, currency, reference, line_type="refund")
    payment = story.movement(run, amount, currency, reference)
    refund = story.movement(run, -part, currency, reference, kind="refund")
    # A callback under the shared reference would speak of both classes, with one amount; there is none.
    story.match([paid], [payment], callbacks=[])
    story.match([refunded], [refund], callbacks=[])


@case(weight=2)
def normalized_reference(story: CaseScript) -> None:
    """The references differ in case and punctuation: a match where the profile normalizes, otherwise none."""
    currency, amount, reference = story.currency(), story.amount(), story.name("pr-")
    run = story.any_run()
    if story.terms.reference_normalizer == LEADING_NUMBER:
        shown = story.rng.choice([reference.upper(), f"{reference}/2", reference.replace("pr", "Settled") + " of May"])
        ending = ("", story.rng.choice(["", " (card)"]))
    else:
        shown = story.rng.choice([reference.upper(), reference.replace("-", " / "), f"({reference})", reference + "…"])
        ending = story.rng.choice([("", ""), ("", ""), ("-straße", "-STRASSE"), ("-ǅ", "-ǆ"), ("-é", "-É")])
    line = story.line(run, amount, currency, shown + ending[0])
    if story.terms.reference_normalizer == "none":
        story.movement(run, amount + 7_919, currency, reference + ending[1])
        return
    story.match([line], [story.movement(run, amount, currency, reference + ending[1])], "normalized_reference")


@case()
def normalized_group(story: CaseScript) -> None:
    """Two lines that write one reference in two ways match a movement that writes it in a third."""
    story.require(story.terms.reference_normalizer == "alphanumeric")
    currency, reference = story.currency(), story.name("pr-")
    parts = [story.amount(), story.amount()]
    run = story.any_run()
    lines = [
        story.line(run, parts[0], currency, reference.upper()),
        story.line(run, parts[1], currency, reference.replace("-", ".")),
    ]
    movement = story.movement(run, sum(parts), currency, reference.replace("-", "_"))
    story.match(lines, [movement], "normalized_reference")


@case()
def exact_before_normalized(story: CaseScript) -> None:
    """Of two lines whose references are equal once normalized, the one that is equal as sent takes the movement."""
    currency, reference = story.currency(), story.name("pr-")
    amount = story.amount()
    run = story.any_run()
    story.line(run, amount + 7_919, currency, reference.upper())
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])


@case()
def leading_zeros_kept(story: CaseScript) -> None:
    """Leading zeros belong to a reference: 0071 and 71 are two."""
    currency, amount = story.currency(), story.amount()
    run = story.any_run()
    stem = story.name("")
    story.line(run, amount, currency, f"00{stem}")
    story.movement(run, amount + 7_919, currency, stem)


@case()
def look_alike_reference(story: CaseScript) -> None:
    """References that look alike but differ in code points (composed, decomposed, Cyrillic) are two references."""
    story.require(story.terms.reference_normalizer != LEADING_NUMBER)
    currency, amount, stem = story.currency(), story.amount(), story.name("pr-")
    run = story.any_run()
    first, second = story.rng.choice([("\u00e9", "e\u0301"), ("a", "\u0430"), ("\uff11", "1"), ("\u212b", "\u0410")])
    story.line(run, amount, currency, f"{stem}-{first}-x")
    story.movement(run, amount + 7_919, currency, f"{stem}-{second}-x")


@case()
def reference_of_signs_only(story: CaseScript) -> None:
    """References without a letter or digit are unequal as sent, and nothing is left of them to normalize."""
    currency, amount = story.currency(), story.amount()
    run = story.any_run()
    signs = "".join("!#%&*+/:=?"[int(digit)] for digit in str(story.number))
    story.line(run, amount, currency, f"-{signs}-")
    story.movement(run, amount + 7_919, currency, f"~{signs}~")


@case(weight=3)
def internal_reference(story: CaseScript) -> None:
    """The line's merchant reference is the movement's transaction or intent; provider references are of no use."""
    currency, amount = story.currency(), story.amount()
    run = story.any_run()
    movement = story.movement(run, amount, currency, story.rng.choice(["", story.reference()]))
    merchant = story.rng.choice([movement.transaction_id, movement.intent_id])
    line = story.line(run, amount, currency, story.rng.choice(["", story.reference()]), merchant=merchant)
    story.match([line], [movement], "internal_reference")


@case()
def internal_reference_of_an_intent(story: CaseScript) -> None:
    """Two lines name an intent of two transactions: one group of four legs."""
    currency, intent = story.currency(), story.name("I")
    run = story.any_run()
    total = story.amount(least=4_000)
    first, second = story.rng.randrange(1, total), story.rng.randrange(1, total)
    story.require(first not in (second, total - second))
    lines = [story.line(run, part, currency, merchant=intent) for part in (first, total - first)]
    movements = [story.movement(run, part, currency, intent=intent) for part in (second, total - second)]
    story.match(lines, movements, "internal_reference")


@case()
def internal_reference_by_two_names(story: CaseScript) -> None:
    """One line names the transaction, the other its intent: the same movement, so one group."""
    currency = story.currency()
    parts = [story.amount(), story.amount()]
    run = story.any_run()
    movement = story.movement(run, sum(parts), currency)
    names = (movement.transaction_id, movement.intent_id)
    lines = [story.line(run, part, currency, merchant=name) for part, name in zip(parts, names, strict=True)]
    story.match(lines, [movement], "internal_reference")


@case(weight=2)
def callback_bridge(story: CaseScript) -> None:
    """Only a callback knows both the line's reference and the movement's transaction or intent."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    movement = story.movement(run, amount, currency)
    merchant = story.rng.choice([movement.transaction_id, movement.intent_id])
    received = story.instant_in(story.calendar.runs[run])
    bridge = story.callback(amount, currency, reference, merchant=merchant, received_at=received)
    story.match([line], [movement], "callback_bridge", callbacks=[bridge])


@case()
def callback_bridge_built_later(story: CaseScript) -> None:
    """The bridging callback comes with a later run: until then the line is unmatched, then it is matched late."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    built = story.later_run(run)
    line = story.line(run, amount, currency, reference)
    story.require(story.terms.amount_date_rule != "match")
    movement = story.movement(run, amount, currency, at=story.instant_in(story.calendar.runs[run]))
    if story.terms.amount_date_rule == "suggest":
        story.suggest(line, movement)
    received = story.instant_in(story.calendar.runs[built])
    story.require(story.calendar.run_hearing(received) == built)
    bridge = story.callback(amount, currency, reference, merchant=movement.intent_id, received_at=received)
    story.match([line], [movement], "callback_bridge", run=built, callbacks=[bridge])


@case()
def earlier_pass_first(story: CaseScript) -> None:
    """A line shares its reference with one movement and names another's intent: the reference decides."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    by_reference = story.movement(run, amount, currency, reference)
    by_intent = story.movement(run, amount, currency)
    line = story.line(run, amount, currency, reference, merchant=by_intent.intent_id)
    other = story.line(run, amount, currency, merchant=by_intent.transaction_id)
    received = story.instant_in(story.calendar.runs[run])
    heard = [
        story.callback(amount, currency, merchant=movement.transaction_id, received_at=received)
        for movement in (by_reference, by_intent)
    ]
    # The line's merchant reference is the other movement's intent, so the other match's callback is not the line's.
    story.match([line], [by_reference], callbacks=heard[:1])
    story.match([other], [by_intent], "internal_reference", callbacks=heard[1:])


@case()
def reference_used_again(story: CaseScript) -> None:
    """A second payment of equal amount and reference, both sides in a later run: a match, no duplicate."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    later = story.later_run(run)
    first = ([story.line(run, amount, currency, reference)], [story.movement(run, amount, currency, reference)])
    again = ([story.line(later, amount, currency, reference)], [story.movement(later, amount, currency, reference)])
    heard = story.success(*first, amount)
    story.match(*first, callbacks=heard)
    story.match(*again, callbacks=heard)
