"""`zentra tenant`: adds and lists tenants; nothing else belongs here."""

from datetime import UTC, datetime

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home


@click.group("tenant")
def command() -> None:
    """Add and list tenants."""


@command.command("add")
@click.argument("tenant", callback=options.checked(identifiers.tenant_id))
@options.home
@options.as_json
def add(tenant: str, home: Home, as_json: bool) -> None:
    """Make a tenant: its folders, its operational store and a starter routing.yml.

    Doing it again changes nothing.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import tenancy

    is_new = tenant not in tenancy.names(home)
    added = tenancy.add_tenant(home, tenant, datetime.now(UTC))
    if as_json:
        printing.print_json({"tenant": tenant, "folder": str(added.paths.root), "is_new": is_new})
    else:
        printing.say(f"{'Added' if is_new else 'Already there:'} tenant {tenant} in {added.paths.root}")
        printing.next_step(f"zentra ingest --tenant {tenant} --provider PROVIDER --kind settlement FILE")


@command.command("list")
@options.home
@options.as_json
def list_tenants(home: Home, as_json: bool) -> None:
    """List the home's tenants."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import tenancy

    found = tenancy.names(home)
    if as_json:
        printing.print_json({"items": found})
        return
    for tenant in found:
        printing.say(tenant)
    if not found:
        printing.note("No tenant yet: zentra tenant add TENANT")
