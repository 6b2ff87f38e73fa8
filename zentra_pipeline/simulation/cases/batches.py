"""Cases about batches settled by one movement that names the batch id (contract §10.5)."""

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.rows import Callback
from zentra_pipeline.simulation.statements import PlacedLine
from zentra_pipeline.simulation.story import CaseScript


def _batch(story: CaseScript, run: int, batch: str, currency: str) -> list[PlacedLine]:
    """A batch of payments, refunds and perhaps a fee, none of which has a movement of its own."""
    amounts = [("payment", story.amount()) for _ in range(story.rng.randint(2, 4))]
    if story.rng.random() < 0.5:
        amounts.append(("refund", -story.rng.randrange(1, 900)))
    if story.rng.random() < 0.5:
        amounts.append(("fee", -story.rng.randrange(1, 90)))
    return [
        story.line(run, amount, currency, story.reference(), line_type=line_type, batch=batch)
        for line_type, amount in amounts
    ]


def _success(story: CaseScript, line: PlacedLine) -> list[Callback]:
    received = story.instant_in(story.calendar.runs[line.run])
    row = line.row
    return [story.callback(line.compared_minor, row.currency, row.provider_reference, received_at=received)]


def _net(lines: list[PlacedLine]) -> int:
    return sum(line.row.net_minor for line in lines)


@case(weight=2)
def batch_total(story: CaseScript) -> None:
    """All lines of a batch against the one movement that names its id: matched by net, fees and refunds included."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    kind = story.rng.choice(["payout", "payment", "adjustment"])
    movement = story.movement(run, _net(lines), currency, batch, kind=kind)
    heard = _success(story, lines[0])
    story.match(lines, [movement], "batch_total", callbacks=heard, settlement_minor=_net(lines))


@case()
def batch_with_its_payout_line(story: CaseScript) -> None:
    """The file also states the payout that takes the batch's balance out: no part of the total, and it ties."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    story.line(run, -_net(lines), currency, "", line_type="payout", batch=batch)
    movement = story.movement(run, _net(lines), currency, batch, kind="payout")
    heard = _success(story, lines[0])
    story.match(lines, [movement], "batch_total", callbacks=heard, settlement_minor=_net(lines))


@case()
def payout_off_its_rows(story: CaseScript) -> None:
    """The payout takes out less than its batch holds: the lines match, and the total it states is an exception."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    short = story.rng.randrange(1, 900)
    sign = story.rng.choice([-1, 1])
    payout = story.line(run, sign * (_net(lines) - short), currency, "", line_type="payout", batch=batch)
    movement = story.movement(run, _net(lines), currency, batch, kind="payout")
    heard = _success(story, lines[0])
    story.match(lines, [movement], "batch_total", callbacks=heard, settlement_minor=_net(lines))
    story.find("control_total_mismatch", "settlement_line", payout.row.line_id, run, None, currency, short)


@case()
def payout_before_its_rows(story: CaseScript) -> None:
    """The payout is stated before the last of its rows: off its total until a later file brings that one."""
    currency, batch = story.currency(), story.name("po_")
    run = story.any_run(spare=1)
    later = story.later_run(run)
    lines = [story.line(at, story.amount(), currency, story.reference(), batch=batch) for at in (run, run, later)]
    payout = story.line(run, -_net(lines), currency, "", line_type="payout", batch=batch)
    missing = -lines[-1].row.net_minor
    story.find("control_total_mismatch", "settlement_line", payout.row.line_id, run, later, currency, missing)


@case()
def batch_off_its_total(story: CaseScript) -> None:
    """The movement misses the batch's net by one minor unit: no match, within tolerance or not."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    story.movement(run, _net(lines) + 1, currency, batch, kind="payout")


@case()
def batch_with_a_failed_line(story: CaseScript) -> None:
    """A failed line counts in no total: the others make the batch's net without it."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    failed = story.line(run, story.amount(), currency, story.reference(), batch=batch, status="failed")
    story.reason(failed, "failed_settlement")
    movement = story.movement(run, _net(lines), currency, batch, kind="payout")
    heard = _success(story, lines[0])
    story.match(lines, [movement], "batch_total", callbacks=heard, settlement_minor=_net(lines))


@case()
def batch_with_a_line_of_its_own(story: CaseScript) -> None:
    """One line of the batch has found its own movement: the batch no longer matches as a whole."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    reference, amount = story.reference(), story.amount()
    lines = _batch(story, run, batch, currency)
    own = story.line(run, amount, currency, reference, batch=batch)
    story.match([own], [story.movement(run, amount, currency, reference)])
    story.movement(run, _net([*lines, own]), currency, batch, kind="payout")


@case()
def batch_borne_by_two_movements(story: CaseScript) -> None:
    """Two movements bear the batch id and both equal its net: nothing may be matched by luck."""
    currency, batch, run = story.currency(), story.name("po_"), story.any_run()
    lines = _batch(story, run, batch, currency)
    movements = [story.movement(run, _net(lines), currency, batch, kind="payout") for _ in range(2)]
    story.leave_open(*lines, *movements)
    for line in lines:
        story.reason(line, "unmatched_provider_row", "ambiguous_match")


@case()
def batch_over_two_files(story: CaseScript) -> None:
    """The batch's lines arrive in two files: unmatched in the first run, matched as a whole by the second."""
    currency, batch = story.currency(), story.name("po_")
    run = story.any_run(spare=1)
    later = story.later_run(run)
    lines = [story.line(at, story.amount(), currency, story.reference(), batch=batch) for at in (run, run, later)]
    movement = story.movement(run, _net(lines), currency, batch, kind="payout")
    heard = _success(story, lines[0])
    story.match(lines, [movement], "batch_total", callbacks=heard, settlement_minor=_net(lines))
