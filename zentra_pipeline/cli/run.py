"""`zentra run`: reads its options and prints how a run ended; reconciling does not belong here."""

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.command("run")
@options.run_scope
@options.tenant
@click.option(
    "--settlement-file",
    metavar="ID",
    callback=options.checked(identifiers.settlement_file_id),
    help="Settlement file to reconcile; it must have been ingested. A run of a bank account has none.",
)
@click.option(
    "--ledger-window",
    metavar="D",
    required=True,
    callback=options.checked(identifiers.ledger_window),
    help="Day of the ledger, YYYY-MM-DD.",
)
@options.owner
@click.option(
    "--as-of",
    metavar="TS",
    callback=options.checked(options.instant),
    help="Judge callbacks as known at this instant, YYYY-MM-DDTHH:MM:SSZ.  [default: when the run was created]",
)
@click.option(
    "--no-settlement", is_flag=True, help="The provider settled nothing in the window: its file is one without lines."
)
@options.target
@options.acting
@options.confirmed
@options.home
@options.as_json
def command(
    *,
    tenant: "Tenant",
    scope: str,
    settlement_file: str | None,
    ledger_window: date,
    owner: str,
    as_of: datetime | None,
    no_settlement: bool,
    actor: str,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Reconcile one ledger window of a provider against its settlement file, or one day of a bank account.

    The same request again is the same run: unchanged inputs change nothing, later ones make a new revision.
    """
    from zentra_pipeline.cli import printing, run_output
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.config.profile import load_profile
    from zentra_pipeline.defs.launch import RunRequest, reconcile
    from zentra_pipeline.errors import UsageError

    is_of_account = identifiers.account_of(scope) is not None
    if is_of_account == (settlement_file is not None):
        named = "a run of a bank account has no --settlement-file" if is_of_account else "name the --settlement-file"
        raise UsageError(named)
    request = RunRequest(
        provider=scope,
        settlement_file=settlement_file or load_profile(tenant.paths, scope).settlement_file(ledger_window),
        ledger_window=ledger_window,
        owner=owner,
        as_of=as_of,
        actor=actor,
        is_confirmed=is_confirmed,
        is_nothing_settled=no_settlement,
    )
    with progress() as show_progress:
        outcome = reconcile(tenant, request, show_progress)
    if as_json:
        printing.print_json(run_output.as_object(request, outcome))
    else:
        run_output.print_run(request, outcome)
        if outcome.summary.opened:
            printing.next_step(f"zentra exceptions list --tenant {tenant.name} --run {outcome.run_id}")
