"""`zentra backtest`: prints what a changed profile would have made of past windows; replaying does not belong here."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from zentra_pipeline.reconcile.backtest import WindowChange
    from zentra_pipeline.tenants.tenant import Tenant


@click.command("backtest")
@options.tenant
@options.provider
@click.option(
    "--profile",
    "profile_path",
    metavar="FILE",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The changed profile, a YAML file such as tenants/<tenant>/providers/<provider>.yml.",
)
@click.option("--from", "first", metavar="D", callback=options.checked(identifiers.ledger_window), help="First window.")
@click.option("--to", "last", metavar="D", callback=options.checked(identifiers.ledger_window), help="Last window.")
@options.home
@options.as_json
def command(
    tenant: "Tenant", provider: str, profile_path: Path, first: date | None, last: date | None, as_json: bool
) -> None:
    """Show what a changed profile would make of past windows.

    Published windows are replayed in scratch; the matches and exceptions that would change are listed. Nothing is
    published and the profile in force stays as it is.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.config import strict_yaml
    from zentra_pipeline.config.profile import parse_profile
    from zentra_pipeline.reconcile.backtest import backtest

    profile = parse_profile(strict_yaml.read_mapping(profile_path), profile_path.name)
    with progress() as show_progress:
        changes = backtest(tenant, provider, profile, first=first, last=last, progress=show_progress)
    if as_json:
        printing.print_json({"windows": [asdict(change) for change in changes]})
        return
    for change in changes:
        _print_result(change)
    changed = sum(not change.is_unchanged for change in changes)
    printing.say(f"{changed:,} of {len(changes):,} windows would change")


def _print_result(change: "WindowChange") -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.money import amount_text

    printing.say(f"{change.ledger_window} {change.settlement_file}{': no change' if change.is_unchanged else ''}")
    for sign, matches in (("-", change.matches_gone), ("+", change.matches_new)):
        for match in matches:
            amount = amount_text(match["settlement_minor"], match["currency"])
            printing.say(f"  {sign} match {match['rule']} ({match['status']}) {amount}: {match['legs']}")
    for sign, exceptions in (("-", change.exceptions_gone), ("+", change.exceptions_new)):
        for item in exceptions:
            amount = (
                "" if item["amount_minor"] is None else f" of {amount_text(item['amount_minor'], item['currency'])}"
            )
            printing.say(f"  {sign} {item['exception_type']} {item['subject_id']}{amount}")
