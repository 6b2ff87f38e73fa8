"""`zentra token`: makes, lists and revokes API tokens; nothing else belongs here."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.store.tokens import StoredToken


def _role(value: str) -> str:
    from zentra_pipeline import vocabulary
    from zentra_pipeline.errors import UsageError

    known = vocabulary.values("role")
    if value not in known:
        raise UsageError(f"role {value!r} is not known: use one of {', '.join(known)}")
    return value


@click.group("token")
def command() -> None:
    """Make, list and revoke API tokens."""


@command.command("create")
@options.tenant_name
@click.option(
    "--actor",
    metavar="A",
    required=True,
    callback=options.checked(options.name_of_person),
    help="Person or system it acts as.",
)
@click.option(
    "--role",
    metavar="R",
    required=True,
    callback=options.checked(_role),
    help="Role: service, operator, approver, analyst or admin.",
)
@click.option(
    "--expires-days", metavar="N", type=click.IntRange(1, 3650), help="Days until it expires.  [default: never]"
)
@click.option(
    "--name", metavar="TEXT", callback=options.checked(options.name_of_person), help="Note on what it is for."
)
@options.home
@options.as_json
def create(
    tenant: str, actor: str, role: str, expires_days: int | None, name: str | None, home: Home, as_json: bool
) -> None:
    """Make a token for one tenant, actor and role.

    It is printed once and kept nowhere.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import access

    secret, token = access.create_token(
        home,
        tenant=tenant,
        actor=actor,
        role=role,
        now=datetime.now(UTC),
        expires_in=None if expires_days is None else timedelta(days=expires_days),
        name=name,
    )
    if as_json:
        printing.print_json({"token": secret, **_known(token)})
    else:
        printing.say(secret)
        printing.note(f"Token {token.token_id} of {actor}, {role} of {tenant}: keep it now, it is not shown again")


@command.command("list")
@click.option("--tenant", metavar="T", callback=options.checked(identifiers.tenant_id), help="Only this tenant's.")
@options.home
@options.as_json
def list_tokens(tenant: str | None, home: Home, as_json: bool) -> None:
    """List tokens, oldest first: tenant, actor and role, never the token itself."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import access

    now = datetime.now(UTC)
    found = access.listed(home, tenant)
    if as_json:
        printing.print_json(
            {"items": [_known(token) | {"is_in_force": access.is_in_force(token, now)} for token in found]}
        )
        return
    if not found:
        printing.note("No token yet: zentra token create --tenant TENANT --actor ACTOR --role ROLE")
        return
    printing.print_table(
        ("token", "tenant", "actor", "role", "name", "made", "expires", "state"),
        [
            (
                token.token_id,
                token.tenant_id,
                token.actor,
                token.role,
                token.name or "",
                token.created_at,
                token.expires_at or "",
                "in force" if access.is_in_force(token, now) else "revoked" if token.revoked_at else "expired",
            )
            for token in found
        ],
    )


@command.command("revoke")
@click.argument("token_id", metavar="ID", callback=options.checked(options.record_id))
@options.home
@options.as_json
def revoke(token_id: str, home: Home, as_json: bool) -> None:
    """Revoke a token for good; it works for up to 1 s more."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.tenants import access

    token = access.revoke_token(home, token_id, datetime.now(UTC))
    if as_json:
        printing.print_json(_known(token))
    else:
        printing.say(f"Revoked token {token.token_id} of {token.actor}, {token.role} of {token.tenant_id}")


def _known(token: "StoredToken") -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "tenant": token.tenant_id,
        "actor": token.actor,
        "role": token.role,
        "name": token.name,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }
