"""`zentra exceptions`: lists exceptions and explains one; deciding about them does not belong here."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.lake import QueryResult


@click.group("exceptions")
def command() -> None:
    """List exceptions and explain one."""


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
@options.home
@options.as_json
def list_exceptions(tenant: str, home: Home, as_json: bool, **filters: str | None) -> None:
    """List a tenant's exceptions, those due first at the top."""
    from zentra_pipeline import lake, tenancy
    from zentra_pipeline.cli import printing

    given = {column: value for column, value in filters.items() if value is not None}
    condition = " AND ".join(f"{column} = ?" for column in given) or "true"
    result = lake.query(
        tenancy.require_tenant(home, tenant),
        f"SELECT * FROM exceptions WHERE {condition} ORDER BY due_at NULLS LAST, exception_id",
        list(given.values()),
    )
    found = _rows(result)
    if as_json:
        printing.print_json({"exceptions": found})
        return
    headings = ("exception", "type", "severity", "status", "subject", "amount", "difference", "owner", "lane", "due")
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
                row["due_at"],
            )
            for row in found
        ],
        amounts=("amount", "difference"),
    )
    printing.note(printing.counted(len(found), "exception"))


@command.command("show")
@click.argument("exception_id", metavar="ID", callback=options.checked(options.record_id))
@options.tenant
@options.home
@options.as_json
def show(exception_id: str, tenant: str, home: Home, as_json: bool) -> None:
    """Explain one exception: what happened, what it might belong to, whose it is and what to do."""
    from zentra_pipeline import lake, tenancy, vocabulary
    from zentra_pipeline.cli import printing
    from zentra_pipeline.errors import UsageError

    paths = tenancy.require_tenant(home, tenant)
    found = _rows(lake.query(paths, "SELECT * FROM exceptions WHERE exception_id = ?", [exception_id]))
    if not found:
        raise UsageError(f"there is no exception {exception_id!r}: `zentra exceptions list` names those of a tenant")
    (row,) = found
    kind = vocabulary.exception_type(row["exception_type"])
    if as_json:
        printing.print_json(row | {"title": kind.title, "remedy": kind.remedy})
        return
    printing.say(f"{row['exception_id']}  {row['exception_type']}  {row['severity']}  {row['status']}")
    printing.say(f"{kind.title}.")
    printing.say()
    printing.say(f"{row['explanation']}.")
    printing.say()
    for label, value in _facts(row):
        printing.say(f"{label:<12} {value}")
    if row["candidates"]:
        printing.say("\nWhat came close:")
        for candidate in row["candidates"]:
            printing.say(f"  - {_sentence(candidate)}")
    printing.say(f"\nWhat to do: {kind.remedy}")


def _rows(result: "QueryResult") -> list[dict[str, Any]]:
    """Rows as objects with JSON values, their candidates parsed."""
    from zentra_pipeline.cli import result_text

    rows: list[dict[str, Any]] = [
        {column: result_text.json_value(value) for column, value in zip(result.columns, values, strict=True)}
        for values in result.rows
    ]
    return [row | {"candidates": json.loads(row["candidates"] or "[]")} for row in rows]


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts of an exception that it has, each with its label."""
    facts = [
        ("subject", f"{_words(row['subject_type'])} {row['subject_id']}"),
        ("reference", row["provider_reference"]),
        ("amount", _amount(row, "amount_minor")),
        ("difference", _amount(row, "difference_minor")),
        ("owner", row["owner"]),
        ("lane", row["lane"]),
        ("due", row["due_at"]),
        ("opened", f"{row['opened_at']} by {row['run_id']}"),
        ("resolution", row["resolution"]),
    ]
    return [(label, value) for label, value in facts if value]


def _amount(row: Mapping[str, Any], column: str) -> str | None:
    from zentra_pipeline import money

    if row[column] is None:
        return None
    return money.amount_text(row[column], row["currency"]) if row["currency"] else str(row[column])


def _sentence(candidate: Mapping[str, Any]) -> str:
    """A near miss in words: `ledger transaction tx_9 of 12.50 USD: same reference, already matched`."""
    what = f"{_words(candidate['candidate_type'])} {candidate['candidate_id']}"
    return f"{what} of {_amount(candidate, 'amount_minor')}: {candidate['predicate']}"


def _words(name: str) -> str:
    return name.replace("_", " ")
