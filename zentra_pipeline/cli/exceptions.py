"""`zentra exceptions`: lists exceptions and explains one; those that decide: exception_decisions, exception_sheets."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import exception_decisions, exception_sheets, options

if TYPE_CHECKING:
    from zentra_pipeline.published.lake import QueryResult
    from zentra_pipeline.review.clocks import Clocks
    from zentra_pipeline.review.history import Shown
    from zentra_pipeline.store.decisions import Decision
    from zentra_pipeline.tenants.tenant import Tenant


_AS_OF = click.option(
    "--as-of",
    metavar="TS",
    callback=lambda _context, _parameter, value: options.instant(value) if value else datetime.now(UTC),
    help="Instant at which age and due dates are judged.  [default: now]",
)


@click.group("exceptions")
def command() -> None:
    """List exceptions, explain one and decide about it."""


for _deciding in (*exception_decisions.COMMANDS, exception_sheets.command):
    command.add_command(_deciding)


def _word(vocabulary: str) -> Callable[[str], str]:
    """A check that a word is in a vocabulary."""

    def check(value: str) -> str:
        from zentra_pipeline import vocabulary as words
        from zentra_pipeline.errors import UsageError

        if vocabulary == "exception_type":
            known = tuple(row.exception_type for row in words.exception_types())
        else:
            known = words.values(vocabulary)
        if value not in known:
            raise UsageError(f"{vocabulary.replace('_', ' ')} {value!r} is not known: use one of {', '.join(known)}")
        return value

    return check


@command.command("list")
@options.tenant
@click.option(
    "--run", "run_id", metavar="ID", callback=options.checked(options.record_id), help="Only those this run opened."
)
@click.option("--provider", "run_provider", metavar="P", help="Only those of this provider's, or bank account's, runs.")
@click.option("--status", metavar="S", callback=options.checked(_word("exception_status")), help="Only in this status.")
@click.option(
    "--type",
    "exception_type",
    metavar="T",
    callback=options.checked(_word("exception_type")),
    help="Only of this type.",
)
@click.option(
    "--owner", metavar="O", callback=options.checked(options.name_of_person), help="Only those of this owner."
)
@click.option("--lane", metavar="L", help="Only those in this lane.")
@click.option(
    "--reference",
    metavar="R",
    help="Only those about this reference, settlement line, transaction or callback event.",
)
@click.option("--open", "only_open", is_flag=True, help="Only those that are not resolved.")
@click.option(
    "--pending",
    "only_pending",
    is_flag=True,
    help="Only those that wait for approval, each with what is to be approved.",
)
@click.option("--overdue", "only_overdue", is_flag=True, help="Only those past their due date.")
@_AS_OF
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv")),
    default="table",
    show_default=True,
    help="A table to read, or RFC 4180 CSV to decide in.",
)
@options.home
@options.as_json
def list_exceptions(
    tenant: "Tenant",
    only_open: bool,
    only_pending: bool,
    only_overdue: bool,
    reference: str | None,
    as_of: datetime,
    form: str,
    as_json: bool,
    **filters: str | None,
) -> None:
    """List a tenant's exceptions, those due first at the top.

    As CSV the list has columns to decide in, for `zentra exceptions decide`; text that a spreadsheet would take for a
    formula is given a leading apostrophe.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.published import lake
    from zentra_pipeline.review.clocks import IS_ABOUT, IS_OVERDUE, TIMED, Clocks

    clocks = Clocks(tenant.paths, as_of)
    given: dict[str, Any] = {f"{column} = ?": value for column, value in filters.items() if value is not None}
    if reference is not None:
        given[IS_ABOUT] = reference
    if only_overdue:
        given[IS_OVERDUE] = clocks.instant
    if only_open:
        given["status <> ?"] = "resolved"
    if only_pending:
        given["status = ? "] = "pending_approval"
    if form == "csv" and not as_json:
        from zentra_pipeline.desk import sheets

        printing.write_bytes(sheets.as_csv(tenant, clocks, given))
        return
    condition = " AND ".join(given) or "true"
    result = lake.query(
        tenant.paths,
        f"SELECT * FROM {TIMED} WHERE {condition} ORDER BY due_at NULLS LAST, exception_id",
        list(given.values()),
    )
    found = _rows(result, clocks)
    if only_pending:
        _print_pending(tenant, result, found, as_json)
        return
    if as_json:
        printing.print_json({"items": found})
        return
    headings = (
        "exception",
        "type",
        "severity",
        "status",
        "subject",
        "amount",
        "difference",
        "owner",
        "lane",
        "age",
        "due",
    )
    printing.print_table(
        headings,
        [
            (
                row["exception_id"],
                row["exception_type"],
                row["severity"],
                row["status"],
                row["subject_id"],
                _amount(row, "amount_minor") or "",
                _amount(row, "difference_minor") or "",
                row["owner"],
                row["lane"],
                "" if row["age_business_days"] is None else row["age_business_days"],
                _due(row),
            )
            for row in found
        ],
        amounts=("amount", "difference"),
    )
    printing.note(printing.counted(len(found), "exception"))


def _print_pending(tenant: "Tenant", result: "QueryResult", found: list[dict[str, Any]], as_json: bool) -> None:
    """Each exception that waits for approval, with what is to be approved."""
    from zentra_pipeline.cli import approval_text, printing

    waiting = _pending(tenant, result)
    if as_json:
        printing.print_json({"items": [row | {"pending_approval": waiting.get(row["exception_id"])} for row in found]})
        return
    for row in found:
        printing.say(f"{row['exception_id']}  {row['exception_type']}  {row['subject_id']}  {row['owner']}")
        for line in approval_text.of_exception(waiting[row["exception_id"]]):
            printing.say(f"  {line}")
        printing.say()
    printing.note(f"{printing.counted(len(found), 'exception')} to approve")


def _pending(tenant: "Tenant", result: "QueryResult") -> dict[str, dict[str, Any]]:
    """What there is to approve of published exceptions, by id."""
    from zentra_pipeline.decisions.policy import load_policy
    from zentra_pipeline.review import approvals
    from zentra_pipeline.store import decisions

    rows = [dict(zip(result.columns, values, strict=True)) for values in result.rows]
    with tenant.reading() as connection:
        log = decisions.listed(connection, [row["exception_id"] for row in rows])
        return approvals.pending(connection, tenant.paths, load_policy(tenant.paths), rows, log)


@command.command("show")
@click.argument("exception_id", metavar="ID", callback=options.checked(options.record_id))
@options.tenant
@_AS_OF
@options.home
@options.as_json
def show(exception_id: str, tenant: "Tenant", as_of: datetime, as_json: bool) -> None:
    """Explain one exception: what happened, what it might belong to, its owner, what was decided and what to do."""
    from zentra_pipeline import vocabulary
    from zentra_pipeline.cli import approval_text, printing
    from zentra_pipeline.errors import UsageError
    from zentra_pipeline.published import lake
    from zentra_pipeline.review import history, searches
    from zentra_pipeline.review.clocks import TIMED, Clocks
    from zentra_pipeline.store import decisions

    result = lake.query(tenant.paths, f"SELECT * FROM {TIMED} WHERE exception_id = ?", [exception_id])
    found = _rows(result, Clocks(tenant.paths, as_of))
    if not found:
        raise UsageError(f"there is no exception {exception_id!r}: `zentra exceptions list` names those of a tenant")
    (row,) = found
    kind = vocabulary.exception_type(row["exception_type"])
    searched = searches.of_exception(tenant.paths, exception_id)
    with tenant.reading() as connection:
        log = decisions.listed(connection, [exception_id])
    waiting = _pending(tenant, result).get(exception_id)
    shown = history.of_exception(tenant, exception_id)
    if as_json:
        further = {
            "title": kind.title,
            "remedy": kind.remedy,
            "version": len(log),
            "pending_approval": waiting,
            "history": history.as_objects(shown),
            "decisions": [_as_object(decision) for decision in log],
            "ledger_search": searched,
        }
        printing.print_json(row | further)
        return
    printing.say(f"{row['exception_id']}  {row['exception_type']}  {row['severity']}  {row['status']}")
    printing.say(f"{kind.title}.")
    printing.say()
    printing.say(f"{row['explanation']}.")
    printing.say()
    for label, value in _facts(row):
        printing.say(f"{label:<12} {value}")
    _say_list("What it showed before:", [_shown(entry, row["currency"]) for entry in shown[:-1]])
    _say_list("What came close:", [_sentence(row["provider"], candidate) for candidate in row["candidates"]])
    _say_list("What was looked for:", [searches.sentence(search) for search in searched])
    if log:
        printing.say("\nWhat was decided:")
        for decision in log:
            printing.say(f"  - {_described(decision)}")
            if decision.action == "approve":
                for line in _approved(decision):
                    printing.say(f"      {line}")
    if waiting is not None:
        printing.say("\nWhat there is to approve:")
        for line in approval_text.of_exception(waiting):
            printing.say(f"  {line}")
    printing.say(f"\nWhat to do: {kind.remedy}")


@command.command("escalate")
@options.tenant
@_AS_OF
@options.home
@options.as_json
def escalate(tenant: "Tenant", as_of: datetime, as_json: bool) -> None:
    """Escalate overdue exceptions by the escalation rules of routing.yml; each step is taken once."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.review import escalation

    recorded = escalation.escalate(tenant, as_of, now=datetime.now(UTC))
    if as_json:
        objects = [{"exception_id": decision.exception_id, **_as_object(decision)} for decision in recorded]
        printing.print_json({"decisions": objects})
        return
    for decision in recorded:
        printing.say(f"{decision.exception_id}  {_described(decision)}")
    printing.note(printing.counted(len(recorded), "escalation"))


def _shown(entry: "Shown", currency: str) -> str:
    """A state in words: `60.00 EUR, difference -40.00 EUR, since window 2026-04-20 (run run_…)`."""
    values = {"currency": currency, "amount_minor": entry.amount_minor, "difference_minor": entry.difference_minor}
    amounts = [
        _amount(values, "amount_minor") or "no amount",
        *([f"difference {_amount(values, 'difference_minor')}"] if entry.difference_minor is not None else []),
    ]
    return f"{', '.join(amounts)}, since window {entry.ledger_window} (run {entry.run_id})"


def _as_object(decision: "Decision") -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "actor": decision.actor,
        "decided_at": decision.decided_at,
        "result": decision.result,
        "owner": decision.owner,
        "resolution": decision.resolution,
        "reason": decision.reason,
        "run_id": decision.run_id,
        "policy": dict(decision.policy),
        "approval": decision.details.get("approval"),
        "origin": decision.details.get("origin"),
        "attachment": decision.details.get("attachment"),
    }


def _approved(decision: "Decision") -> list[str]:
    """What was approved, as the log keeps it; nothing for decisions that are older than that."""
    from zentra_pipeline.cli import approval_text

    content = decision.details.get("approval")
    return [] if content is None else list(approval_text.of_exception(content))


def _described(decision: "Decision") -> str:
    """A decision in words: `2026-04-28T09:00:00Z ann: resolve as written_off → pending approval (too small)`."""
    what = decision.action
    if decision.owner is not None:
        what += f" to {decision.owner}"
    if decision.resolution is not None:
        what += f" as {decision.resolution}"
    why = f" ({decision.reason})" if decision.reason else ""
    return f"{decision.decided_at} {decision.actor}: {what} → {_words(decision.result)}{why}"


def _rows(result: "QueryResult", clocks: "Clocks") -> list[dict[str, Any]]:
    """Rows as objects with JSON values, their candidates parsed and their clocks read."""
    from zentra_pipeline.queries import result_text

    rows = []
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        clock = clocks.seen(row)
        shown = {column: result_text.json_value(value) for column, value in row.items()}
        rows.append(shown | {"candidates": json.loads(row["candidates"] or "[]"), **vars(clock)})
    return rows


def _due(row: Mapping[str, Any]) -> str:
    """The due date, and by how much it is past: `2026-04-28T00:00:00Z, 3 business days overdue`."""
    from zentra_pipeline.cli import printing

    if not row["is_overdue"]:
        return row["due_at"] or ""
    return f"{row['due_at']}, {printing.counted(row['overdue_business_days'], 'business day')} overdue"


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts of an exception that it has, each with its label."""
    from zentra_pipeline.review import searches

    facts = [
        ("subject", f"{searches.item_word(row['provider'], row['subject_type'])} {row['subject_id']}"),
        ("reference", row["provider_reference"]),
        ("amount", _amount(row, "amount_minor")),
        ("difference", _amount(row, "difference_minor")),
        ("owner", row["owner"]),
        ("lane", row["lane"]),
        ("due", _due(row)),
        ("age", None if row["age_business_days"] is None else f"{row['age_business_days']} business days"),
        ("opened", f"{row['opened_at']} by {row['run_id']}"),
        ("resolution", row["resolution"]),
        ("replaced by", row["superseded_by"]),
    ]
    return [(label, value) for label, value in facts if value]


def _amount(row: Mapping[str, Any], column: str) -> str | None:
    from zentra_pipeline import money

    if row[column] is None:
        return None
    return money.amount_text(row[column], row["currency"]) if row["currency"] else str(row[column])


def _sentence(provider: str, candidate: Mapping[str, Any]) -> str:
    """A near miss in words: `ledger transaction tx_9 of 12.50 USD: same reference, already matched`."""
    from zentra_pipeline.review import searches

    what = f"{searches.item_word(provider, candidate['candidate_type'])} {candidate['candidate_id']}"
    return f"{what} of {_amount(candidate, 'amount_minor')}: {candidate['predicate']}"


def _say_list(heading: str, sentences: Sequence[str]) -> None:
    """Print a heading and a line for each sentence; nothing where there is none."""
    from zentra_pipeline.cli import printing

    if sentences:
        printing.say(f"\n{heading}")
    for sentence in sentences:
        printing.say(f"  - {sentence}")


def _words(name: str) -> str:
    return name.replace("_", " ")
