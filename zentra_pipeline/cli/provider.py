"""`zentra provider`: adds a provider's profile from a template and lists templates; nothing else belongs here."""

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant


@click.group("provider")
def command() -> None:
    """Add a provider's profile, list templates."""


@command.command("add")
@click.argument("provider", callback=options.checked(identifiers.provider_id))
@click.option("--like", "template", metavar="TEMPLATE", default="canonical", help="Template.  [default: canonical]")
@options.tenant
@options.home
@options.as_json
def add(provider: str, template: str, tenant: Tenant, as_json: bool) -> None:
    """Write the profile of PROVIDER as a template has it, to be read and corrected.

    A profile that is there already stays as it is, and the exit code is 3.
    """
    from zentra_pipeline import durable_files
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import templates

    text = templates.profile_text(template, provider)
    path = tenant.paths.providers / f"{provider}.yml"
    if path.exists():
        raise RefusedError(f"{path} is there already and stays as it is: edit it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_files.write_durably(path, text.encode("utf-8"))
    if as_json:
        printing.print_json({"provider": provider, "template": template, "file": str(path)})
        return
    printing.say(f"Wrote {path}, like {template}: read it, correct what differs")
    printing.next_step(f"zentra ingest --tenant {tenant.name} --provider {provider} --kind settlement FILE")


@command.command("templates")
@options.home
@options.as_json
def list_templates(home: Home, as_json: bool) -> None:
    """List the templates that `provider add --like` knows."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import templates

    if as_json:
        printing.print_json({"items": list(templates.names())})
        return
    for name in templates.names():
        printing.say(name)
