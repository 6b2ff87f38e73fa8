"""How a finished run is printed, for programs and for finance; working out its figures does not belong here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zentra_pipeline import identifiers
from zentra_pipeline.cli import printing

if TYPE_CHECKING:
    from zentra_pipeline.defs.launch import RunOutcome, RunRequest

_BUCKETS = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")
_SIDES = {
    "settlement": "settlement lines",
    "ledger": "ledger movements",
    "callback": "callbacks",
    "bank": "bank lines",
    "payout": "payouts",
}


def as_object(request: "RunRequest", outcome: "RunOutcome") -> dict[str, Any]:
    """The run as JSON; `exceptions` counts those it opened by type, amounts are integers of minor units."""
    summary = outcome.summary
    return {
        "run_id": outcome.run_id,
        "revision": outcome.revision,
        "status": outcome.status,
        "is_new_revision": outcome.is_new_revision,
        "provider": request.provider,
        **_of_account(request.provider),
        "settlement_file": request.settlement_file,
        "ledger_window": request.ledger_window.isoformat(),
        "owner": outcome.owner,
        "as_of": outcome.as_of,
        "inputs_digest": outcome.inputs_digest,
        "matches": summary.matches,
        "open_items": summary.open_items,
        "exceptions": summary.opened,
        "resolved": summary.resolved,
        "conservation": summary.conservation,
        "rollforward": summary.rollforward,
        "rerun": list(outcome.rerun),
    }


def _of_account(scope: str) -> dict[str, str]:
    """The bank account of a run of one; nothing for a provider's."""
    account = identifiers.account_of(scope)
    return {} if account is None else {"bank_account": account}


def print_run(request: "RunRequest", outcome: "RunOutcome") -> None:
    """Say on stdout what the run found: where every row went, what is still open, what needs a person."""
    summary = outcome.summary
    news = "published" if outcome.is_new_revision else "nothing new since"
    printing.say(f"Run {outcome.run_id}: {news} revision {outcome.revision}, {outcome.status.replace('_', ' ')}")
    account = identifiers.account_of(request.provider)
    if account is None:
        printing.say(f"{request.provider}, {request.settlement_file} against the ledger of {request.ledger_window}")
    else:
        printing.say(f"bank account {account} against the payouts up to {request.ledger_window}")
    matches = printing.counted(summary.matches, "match", "matches")
    open_items = printing.counted(summary.open_items, "open item")
    printing.say(f"{matches}, {open_items}, as known at {outcome.as_of}\n")
    if summary.conservation:
        headings = ("where every row went", "", "in", *(bucket.replace("_", " ") for bucket in _BUCKETS))
        printing.print_table(headings, map(_conservation_row, summary.conservation), amounts=headings[2:])
        printing.say()
    if summary.rollforward:
        headings = (
            "not settled yet" if account is None else "in transit",
            "opening",
            "posted",
            "settled",
            "written off",
            "closing",
        )
        printing.print_table(headings, map(_rollforward_row, summary.rollforward), amounts=headings[1:])
        printing.say()
    _print_exceptions(summary.opened, summary.resolved)
    for later in outcome.rerun:
        printing.say(f"Reconciled again because this run changed what it starts from: {later}")


def _print_exceptions(opened: Mapping[str, int], resolved: Mapping[str, int]) -> None:
    from zentra_pipeline import vocabulary

    if opened:
        printing.print_table(
            ("exceptions", "count", "meaning"),
            [(name, count, vocabulary.exception_type(name).title) for name, count in opened.items()],
        )
    else:
        printing.say("No exceptions.")
    for name, count in resolved.items():
        printing.say(f"Resolved, because the missing part arrived: {count:,} {name}")


def _conservation_row(row: Mapping[str, Any]) -> list[str]:
    """Counts with their amounts; quarantined rows have a count alone."""
    currency = row["currency"]
    figures = [(row["rows_in"], row["amount_in_minor"]), *((row[name], row[f"{name}_minor"]) for name in _BUCKETS)]
    return [_SIDES[row["side"]], currency, *(_figure(count, minor, currency) for count, minor in figures)]


def _figure(count: int, minor: int, currency: str) -> str:
    if not count:
        return "–"
    return f"{count:,} · {_amount(minor, currency)}" if currency else f"{count:,}"


def _rollforward_row(row: Mapping[str, Any]) -> list[str]:
    currency = row["currency"]
    names = ("opening_minor", "posted_minor", "settled_minor", "written_off_minor", "closing_minor")
    return [currency, *(_amount(row[name], currency) for name in names)]


def _amount(minor: int, currency: str) -> str:
    """An amount without its currency, which the row has in its own column."""
    from zentra_pipeline import money

    return money.amount_text(minor, currency).removesuffix(f" {currency}")
