"""`zentra bank`: adds a bank's profile, lists the banks of a tenant and shows one; reading statements is not here."""

from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import RefusedError

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant

_STATEMENTS = """
select bank, account_id, currency, count(distinct statement_id) as statements, max(to_day) as last_day
from bank_statements where statement_type = 'statement' group by all order by all
"""


@click.group("bank")
def command() -> None:
    """Add a bank's profile, list the banks of a tenant, show one."""


@command.command("add")
@click.argument("bank", callback=options.checked(identifiers.bank_id))
@click.option("--like", "template", metavar="FORMAT", required=True, help="Format of its files: camt053, mt940, …")
@options.tenant
@options.home
@options.as_json
def add(bank: str, template: str, tenant: "Tenant", as_json: bool) -> None:
    """Write the profile of BANK, whose files are of a format, to be read and corrected.

    A profile that is there already stays as it is, and the exit code is 3.
    """
    from zentra_pipeline import durable_files
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import bank_profile

    text = bank_profile.profile_text(bank, template)
    path = bank_profile.path_of(tenant.paths, bank)
    if path.exists():
        raise RefusedError(f"{path} is there already and stays as it is: edit it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_files.write_durably(path, text.encode("utf-8"))
    if as_json:
        printing.print_json({"bank": bank, "template": template, "file": str(path)})
        return
    printing.say(f"Wrote {path}, like {template}: read it, correct what differs")
    printing.next_step(f"zentra ingest --tenant {tenant.name} --bank {bank} --kind bank_statement FILE")


@command.command("list")
@options.tenant
@options.home
@options.as_json
def list_banks(tenant: "Tenant", as_json: bool) -> None:
    """List the banks of a tenant: format, accounts, and how far their statements go."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import bank_profile

    items = [_item(tenant, bank) for bank in bank_profile.bank_names(tenant.paths)]
    if as_json:
        printing.print_json({"items": items})
        return
    headings = ("bank", "format", "account", "currency", "statements", "last day")
    rows = []
    for item in items:
        for account in item["accounts"] or [{}]:
            said = [account.get(key) or "" for key in ("account_id", "currency", "statements", "last_day")]
            rows.append((item["bank"], item["format"], *said))
    printing.print_table(headings, rows)


@command.command("show")
@click.argument("bank", callback=options.checked(identifiers.bank_id))
@options.tenant
@options.home
@options.as_json
def show(bank: str, tenant: "Tenant", as_json: bool) -> None:
    """Show BANK: its profile as it is read, defaults included, and the accounts whose statements are here."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.config import bank_profile

    profile = bank_profile.load_bank(tenant.paths, bank)
    item = _item(tenant, bank) | {"profile": profile.model_dump(mode="json")}
    if as_json:
        printing.print_json(item)
        return
    printing.say(f"{bank}: format {profile.format}, in {bank_profile.path_of(tenant.paths, bank)}")
    printing.say(
        f"accounts allowed: {', '.join(profile.accounts) or 'any'}; time zone: {profile.timezone or 'as written'}"
    )
    for drop in profile.drops:
        printing.say(f"files arrive in {drop.url} ({drop.files})")
    headings = ("account", "currency", "statements", "last day")
    keys = ("account_id", "currency", "statements", "last_day")
    printing.print_table(headings, [tuple(account[key] or "" for key in keys) for account in item["accounts"]])


def _item(tenant: "Tenant", bank: str) -> dict[str, Any]:
    """A bank, the format of its files, and its accounts with their statements: those here, and those of its profile."""
    from zentra_pipeline.config import bank_profile
    from zentra_pipeline.published import lake

    profile = bank_profile.load_bank(tenant.paths, bank)
    rows = [row[1:] for row in lake.query(tenant.paths, _STATEMENTS).rows if row[0] == bank]
    found = [
        {
            "account_id": account,
            "currency": currency,
            "statements": count,
            "last_day": None if day is None else str(day),
        }
        for account, currency, count, day in rows
    ]
    here = {account["account_id"] for account in found}
    found += [
        {"account_id": account, "currency": None, "statements": 0, "last_day": None}
        for account in profile.accounts
        if account not in here
    ]
    return {"bank": bank, "format": profile.format, "accounts": found}
