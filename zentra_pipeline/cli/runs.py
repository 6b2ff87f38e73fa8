"""`zentra runs`: lists runs, shows one with its history, takes one back; starting one does not belong here."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.group("runs")
def command() -> None:
    """List runs, show one, take one back."""


@command.command("list")
@options.tenant
@click.option(
    "--provider",
    metavar="P",
    callback=options.checked(identifiers.scope_id),
    help="Only its runs; bank:A for an account.",
)
@options.home
@options.as_json
def list_runs(tenant: "Tenant", provider: str | None, as_json: bool) -> None:
    """List a tenant's runs in order of creation."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import runs

    with tenant.reading() as connection:
        found = runs.list_runs(connection, provider)
    if as_json:
        printing.print_json({"items": [asdict(run) for run in found]})
        return
    headings = ("run", "provider", "settlement file", "window", "status", "closeout", "revision", "owner", "as of")
    printing.print_table(
        headings,
        [
            (
                run.run_id,
                run.provider,
                run.settlement_file,
                run.ledger_window,
                run.status,
                run.closeout_status,
                run.revision,
                run.owner,
                run.as_of,
            )
            for run in found
        ],
    )


@command.command("show")
@click.argument("run_id", metavar="RUN", callback=options.checked(options.record_id))
@options.tenant
@options.home
@options.as_json
def show(run_id: str, tenant: "Tenant", as_json: bool) -> None:
    """Show one run: what it is, how its status changed, what it published."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import runs

    with tenant.reading() as connection:
        run = runs.get(connection, run_id)
        changes = runs.transitions(connection, run_id)
        published = runs.revisions(connection, run_id)
    if as_json:
        history = {"transitions": [asdict(change) for change in changes], "revisions": [asdict(r) for r in published]}
        printing.print_json(asdict(run) | history)
        return
    for name, value in asdict(run).items():
        if value is not None:
            printing.say(f"{name.replace('_', ' '):<16} {value}")
    printing.say()
    printing.print_table(
        ("at", "status", "actor", "detail"), [(c.at, c.status, c.actor, c.detail or "") for c in changes]
    )
    if published:
        printing.say()
        printing.print_table(
            ("revision", "published at", "as of", "owner", "inputs digest"),
            [(r.revision, r.published_at, r.as_of, r.owner, r.inputs_digest) for r in published],
        )


@command.command("void")
@click.argument("run_id", metavar="RUN", callback=options.checked(options.record_id))
@options.tenant
@click.option("--reason", metavar="TEXT", required=True, help="Why it is taken back.")
@options.acting
@options.home
@options.as_json
def void(*, run_id: str, tenant: "Tenant", reason: str, actor: str, as_json: bool) -> None:
    """Take back a run that was asked for by mistake.

    A second person does it, before anything sealed depends on it. Later runs of the provider are made again without it.
    """
    from datetime import UTC, datetime

    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.defs.launch import run_queued
    from zentra_pipeline.errors import RunFailedError
    from zentra_pipeline.review import voiding

    run = voiding.void(tenant, run_id, actor, reason, datetime.now(UTC))
    with progress() as show_progress:
        followed = run_queued(tenant, run.provider, show_progress)
    again = [f"{item.run.settlement_file} {item.run.ledger_window}" for item in followed.results]
    if as_json:
        printing.print_json(asdict(run) | {"rerun": again})
    else:
        printing.say(f"{run.run_id} is void: {run.settlement_file} {run.ledger_window}")
        for name in again:
            printing.say(f"made again without it: {name}")
    if followed.failures:
        why = "; ".join(f"{failed}: {text}" for failed, text in followed.failures.items())
        raise RunFailedError(f"run {run_id} is void, but a later run could not be made again: {why}")
