"""Cases about rows that come again, changed, contradicted, malformed, or that are not ours (contract §2, §10.13)."""

from dataclasses import replace

from zentra_pipeline.simulation.cases import case
from zentra_pipeline.simulation.rows import as_row
from zentra_pipeline.simulation.statements import Refused
from zentra_pipeline.simulation.story import CaseScript


@case(weight=2)
def line_delivered_again(story: CaseScript) -> None:
    """The same line, equal in content, is again in its own file or in a later one: a redelivery, no exception."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.redelivered_lines.append((story.rng.randint(run, story.last_run), line.row))
    if story.rng.random() < 0.7:
        story.match([line], [story.movement(run, amount, currency, reference)])


@case()
def posting_delivered_again(story: CaseScript) -> None:
    """Both entries of a posting are again in a later ledger file: one movement all the same."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])
    again = story.rng.randint(run, story.last_run)
    story.entries += [(again, entry) for _, entry in story.entries]


@case(weight=2)
def line_restated(story: CaseScript) -> None:
    """The file comes again with another amount under the line's id: the last word counts."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    wrong = replace(line.row, gross_minor=line.row.gross_minor + 4_211, net_minor=line.row.net_minor + 4_211)
    story.restated.append((wrong, line.row))
    story.match([line], [story.movement(run, amount, currency, reference)])


@case()
def line_contradicted_by_another_file(story: CaseScript) -> None:
    """A later file brings the line's id with other content: that row goes to quarantine, the first remains."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run(spare=1)
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)])
    other = replace(line.row, gross_minor=line.row.gross_minor + 1, net_minor=line.row.net_minor + 1)
    story.refused.append(Refused("settlement", story.later_run(run), as_row(other)))


@case()
def malformed_line(story: CaseScript) -> None:
    """A line whose amount, currency, type or instant breaks the contract goes to quarantine; its movement waits."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    story.line(run, amount, currency, reference)
    row = as_row(story.lines.pop().row)
    column, value = story.rng.choice(
        [
            ("gross_minor", f"{amount}.0"),
            ("gross_minor", f" {amount}"),
            ("net_minor", "1e3"),
            ("fee_minor", "+5"),
            ("gross_minor", str(10**15)),
            ("currency", "US"),
            ("currency", ""),
            ("line_type", "paiment"),
            ("settled_at", "2026-02-30T00:00:00Z"),
            ("settled_at", "2026-03-01T00:00:00"),
            ("status", "maybe"),
            ("line_id", ""),
        ]
    )
    story.refused.append(Refused("settlement", run, {**row, column: value}))
    story.movement(run, amount, currency, reference)


@case()
def malformed_posting(story: CaseScript) -> None:
    """A posting none of whose entries can be accepted leaves its line unmatched."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    story.line(run, amount, currency, reference)
    story.movement(run, amount, currency, reference)
    column, value = story.rng.choice(
        [("amount_minor", "0"), ("amount_minor", "-5"), ("direction", "Credit"), ("posted_at", ""), ("provider", "")]
    )
    story.refused += [Refused("ledger", run, {**as_row(entry), column: value}) for _, entry in story.entries]
    story.entries.clear()
    story.movements.clear()


@case()
def callback_not_verified(story: CaseScript) -> None:
    """A success whose signature failed goes to quarantine: it is as if it had never come."""
    currency, amount, reference = story.currency(), story.amount(), story.reference()
    run = story.any_run()
    line = story.line(run, amount, currency, reference)
    story.match([line], [story.movement(run, amount, currency, reference)], callbacks=[])
    received = story.instant_in(story.calendar.runs[run])
    story.callback(amount, currency, reference, received_at=received, verified=False)
    story.refused.append(Refused("callbacks", run, as_row(story.callbacks.pop())))


@case()
def posting_of_another_provider(story: CaseScript) -> None:
    """The ledger file also holds what another provider settles: not ours to reconcile."""
    run = story.any_run()
    story.movement(run, story.amount(), story.currency(), story.reference())
    story.entries = [(run, replace(entry, provider="rail_secondary")) for run, entry in story.entries]
    story.movements.clear()


@case()
def posting_beside_the_clearing_account(story: CaseScript) -> None:
    """A transaction without a clearing entry is no movement."""
    run = story.any_run()
    story.movement(run, story.amount(), story.currency(), story.reference())
    story.entries = [
        (run, replace(entry, account="fees_payable" if entry.account == "settlement_account" else entry.account))
        for run, entry in story.entries
    ]
    story.movements.clear()
