"""`zentra journal`: proposed journal entries of a month, nothing is posted; working them out does not belong here."""

from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.command("journal")
@click.argument("period", metavar="MONTH", callback=options.checked(identifiers.period))
@options.tenant
@click.option(
    "--provider", metavar="P", callback=options.checked(identifiers.provider_id), help="Only of this provider."
)
@click.option(
    "--format",
    "output",
    type=click.Choice(("table", "csv", "semicolons", "json")),
    default="table",
    show_default=True,
    help="How to print the lines.",
)
@options.home
@options.as_json
def command(*, period: str, tenant: "Tenant", provider: str | None, output: str, as_json: bool) -> None:
    """Propose journal entries of a month for fees, write-offs, adjustments and FX, by the accounts of policy.yml."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.desk import journal
    from zentra_pipeline.money import amount_text

    found = journal.of_month(tenant.paths, period, provider)
    if not found.has_accounts:
        raise UsageError(
            "policy.yml maps no accounts: add accounts: {fee: …, write_off: …, adjustment: …, fx: …}, and ask again"
        )
    if as_json or output == "json":
        items = [line | {"ledger_window": str(line["ledger_window"])} for line in found.lines]
        printing.print_json({"period": period, "items": items, "totals": found.totals})
    elif output in ("csv", "semicolons"):
        printing.write_bytes(journal.as_csv(found, ";" if output == "semicolons" else ","))
    else:
        rows = [
            (
                *(line[name] for name in ("entry_id", "ledger_window", "provider", "kind", "account")),
                *(
                    amount_text(line["amount_minor"], line["currency"]) if line["direction"] == side else ""
                    for side in ("debit", "credit")
                ),
                line["rests_on"] + (f" ({line['decision_id']}, {line['decided_by']})" if line["decision_id"] else ""),
            )
            for line in found.lines
        ]
        printing.print_table(("entry", "window", "provider", "kind", "account", "debit", "credit", "rests on"), rows)
