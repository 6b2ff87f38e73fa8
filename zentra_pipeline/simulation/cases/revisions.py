"""Cases about files of an earlier window that come when later ones have run: it runs again, and what followed with it.

What such a file brings is known to its own window in the end, as if it had been in time.
"""

from dataclasses import replace

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.rows import Callback
from zentra_pipeline.simulation.statements import Movement, PlacedLine
from zentra_pipeline.simulation.story import CaseScript


def _comes_late(story: CaseScript, *rows: PlacedLine | Movement | Callback) -> None:
    """These rows are missing from the files that are in time."""
    for row in rows:
        if isinstance(row, PlacedLine):
            story.late.add(row.row.line_id)
        elif isinstance(row, Movement):
            story.late |= {entry.entry_id for _, entry in story.entries if entry.transaction_id == row.transaction_id}
        else:
            story.late.add(row.provider_event_id)


@case(weight=2)
def line_restated_after_later_windows(story: CaseScript) -> None:
    """A file of an earlier window comes again with the right amount of a line: its difference never was."""
    currency = story.currency(("EUR", "KWD"))  # no fee schedule: the wrong amount is all that is wrong
    amount, reference = story.amount(least=10_000), story.reference()
    run, _ = story.late_runs()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    off = story.terms.tolerance(currency) + story.rng.choice([1, 4_211])
    row = replace(line.row, gross_minor=line.row.gross_minor + off, net_minor=line.row.net_minor + off)
    wrong = PlacedLine(row, run, line.compared_minor + off)
    heard = story.success([line], [movement], amount)
    story.before = story.fork()
    story.before.lines = [wrong]
    story.before.match([wrong], [movement], callbacks=heard)
    story.restated_late.append((row, line.row))
    story.match([line], [movement], callbacks=heard)


@case(weight=2)
def posting_found_after_later_windows(story: CaseScript) -> None:
    """The ledger brings a posting of an earlier window late: its line, unmatched until then, matches there."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, _ = story.late_runs()
    line = story.line(run, amount, currency, reference)
    story.before = story.fork()
    movement = story.movement(run, amount, currency, reference)
    _comes_late(story, movement)
    story.match([line], [movement])


@case()
def line_found_after_later_windows(story: CaseScript) -> None:
    """A file of an earlier window comes again with a line more: the movement that waited for it never did."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, _ = story.late_runs()
    movement = story.movement(run, amount, currency, reference)
    story.before = story.fork()
    line = story.line(run, amount, currency, reference)
    _comes_late(story, line)
    story.match([line], [movement])


@case(weight=2)
def late_line_before_one_that_matched(story: CaseScript) -> None:
    """A line of an earlier window comes late and takes the movement: the later line that had it repeats it now."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, newest = story.late_runs()
    later = story.rng.randint(run + 1, newest)
    movement, line = story.movement(run, amount, currency, reference), story.line(later, amount, currency, reference)
    heard = story.success([line], [movement], amount)
    story.before = story.fork()
    story.before.match([line], [movement], callbacks=heard)
    first = story.line(run, amount, currency, reference)
    _comes_late(story, first)
    story.match([first], [movement], callbacks=heard)
    story.reason(line, "duplicate_settlement_line")


@case()
def late_posting_that_nothing_settles(story: CaseScript) -> None:
    """The ledger brings a posting of an earlier window late: later windows open with it, and it is overdue in time."""
    run, _ = story.late_runs()
    story.before = story.fork()
    _comes_late(story, story.movement(run, story.amount(), story.currency(), story.reference()))


@case()
def late_posting_of_a_later_line(story: CaseScript) -> None:
    """A posting of an earlier window comes late, and a line of a later one has waited for it: it matches there."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, newest = story.late_runs()
    line = story.line(story.rng.randint(run + 1, newest), amount, currency, reference)
    story.before = story.fork()
    movement = story.movement(run, amount, currency, reference)
    heard = story.success([line], [movement], amount)
    _comes_late(story, movement, *heard)  # a callback by itself would be an orphan after the lag
    story.match([line], [movement], callbacks=heard)


@case()
def callback_found_after_later_windows(story: CaseScript) -> None:
    """A file of callbacks that were received in time comes late: by then nothing is missing any more."""
    story.require(story.terms.expects_callbacks)
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run, _ = story.late_runs()
    line, movement = story.line(run, amount, currency, reference), story.movement(run, amount, currency, reference)
    story.before = story.fork()
    story.before.match([line], [movement], callbacks=[])
    heard = story.callback(amount, currency, reference, received_at=story.instant_in(story.calendar.runs[run]))
    _comes_late(story, heard)
    story.match([line], [movement], callbacks=[heard])


@case()
def original_found_after_later_windows(story: CaseScript) -> None:
    """The original of a later window's refund comes late, of an earlier window: the refund always knew it."""
    amount, original, reference = story.amount(least=10_000), story.reference(), story.reference()
    run, newest = story.late_runs()
    refunded = story.rng.randint(run, newest)
    part = -(amount // 2)
    line = story.line(refunded, part, "EUR", reference, line_type="refund", original=original)
    story.match([line], [story.movement(refunded, part, "EUR", reference, kind="refund")])
    story.before = story.fork()
    story.before.find("unresolved_reference", "settlement_line", line.row.line_id, refunded)
    paid, movement = story.line(run, amount, "EUR", original), story.movement(run, amount, "EUR", original)
    heard = story.success([paid], [movement], amount)
    _comes_late(story, paid, movement, *heard)  # a callback by itself would be an orphan after the lag
    story.match([paid], [movement], callbacks=heard)
