"""Options that several commands share, checked as they are read; what commands do with them does not belong here."""

import os
import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from zentra_pipeline import identifiers, settings
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import DEFAULT_HOME, HOME_VARIABLE, Home

ACTOR_VARIABLE = "ZENTRA_ACTOR"
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_RECORD_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_MAX_NAME = 256


def checked(check: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A click callback that reads an option with `check`; an option not given stays None."""
    return lambda _context, _parameter, value: None if value is None else check(value)


def name_of_person(value: str) -> str:
    """An owner or actor unchanged; UsageError when it is blank, overlong or holds control characters."""
    if not value.strip() or len(value) > _MAX_NAME or not value.isprintable():
        raise UsageError(f"name {value!r} is not allowed: use 1 to {_MAX_NAME} printable characters")
    return value


def record_id(value: str) -> str:
    """An id that Zentra gave a run or an exception; UsageError when it cannot be one.

    White space around it is dropped: an id taken from CSV output brings its carriage return along.
    """
    value = value.strip()
    if not _RECORD_ID.fullmatch(value):
        raise UsageError(f"id {value!r} is not allowed: use it as the lists print it, such as run_1a2b")
    return value


def instant(value: str) -> datetime:
    """An aware UTC datetime; UsageError unless the text is YYYY-MM-DDTHH:MM:SS[.ffffff]Z and on the calendar."""
    try:
        if _INSTANT.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError as cause:
        raise UsageError(f"instant {value!r} is not on the calendar or the clock") from cause
    raise UsageError(f"instant {value!r} is not UTC of the form YYYY-MM-DDTHH:MM:SSZ")


def actor(value: str | None) -> str:
    """Who acts: the option, else the environment's actor, else `cli`."""
    return name_of_person(value or os.environ.get(ACTOR_VARIABLE) or "cli")


def _home(value: str | None) -> Home:
    if value == "":
        raise UsageError("--home is empty: name a folder, or leave it out")
    return Home.at(value)


home = click.option(
    "--home",
    metavar="DIR",
    callback=lambda _context, _parameter, value: _home(value),
    help=f"Folder that holds all state.  [default: ${HOME_VARIABLE}, else {DEFAULT_HOME}]",
)
tenant_of_query = click.option(
    "--tenant", metavar="T", required=True, callback=checked(identifiers.tenant_id), help="Tenant."
)
"""`--tenant` of a command that writes itself into the audit log."""


def tenant_name(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--tenant` for a command that has `--home` too; the tenant's audit log has the command before it begins."""

    @wraps(command)
    def recorded(*, tenant: str, home: Home, **given: Any) -> Any:
        from zentra_pipeline.cli import audited

        audited.record(home, tenant)
        return command(tenant=tenant, home=home, **given)

    return tenant_of_query(recorded)


def tenant(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--tenant` for a command that has `--home` too; it gets one Tenant, which exists, in place of both."""

    @wraps(command)
    def with_tenant(*, tenant: str, home: Home, **given: Any) -> Any:
        from zentra_pipeline.tenants.tenancy import require_tenant

        return command(tenant=require_tenant(home, tenant), **given)

    return tenant_name(with_tenant)


provider = click.option(
    "--provider",
    metavar="P",
    required=True,
    callback=checked(identifiers.provider_id),
    help="Provider.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
confirmed = click.option(
    "--yes",
    "is_confirmed",
    is_flag=True,
    help="Confirm a window or provider name that looks like a mistake.",
)


def run_scope(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options --provider and --bank-account, of which one is given; the command gets `scope`: whose its runs are."""

    @wraps(command)
    def with_scope(*, provider: str | None, bank_account: str | None, **given: Any) -> Any:
        if provider is None and bank_account is None:
            raise UsageError("Missing option '--provider', or '--bank-account'.")
        if provider is not None and bank_account is not None:
            raise UsageError("a run is of a provider or of a bank account: leave out --provider or --bank-account")
        scope = identifiers.bank_scope(bank_account) if bank_account is not None else provider
        return command(scope=scope, **given)

    about_account = click.option("--bank-account", metavar="A", help="Bank account, instead of a provider.")
    about_provider = click.option(
        "--provider", metavar="P", callback=checked(identifiers.provider_id), help="Provider."
    )
    return about_provider(about_account(with_scope))


owner = click.option(
    "--owner",
    metavar="O",
    required=True,
    callback=checked(name_of_person),
    help="Default owner of exceptions.",
)


def _executing_on(context: click.Context, parameter: click.Parameter, engine: str | None) -> None:
    """Have the runs of this process executed on an engine, as `$ZENTRA_ENGINE` would."""
    del context, parameter
    if engine is not None:
        os.environ[settings.ENGINE_VARIABLE] = engine


target = click.option(
    "--target",
    type=click.Choice(settings.ENGINES),
    expose_value=False,
    callback=_executing_on,
    help="What executes the models: DuckDB in this process, or a Spark Connect server ($ZENTRA_SPARK_REMOTE; Sail in "
    "this process without one). The results are the same.  [default: $ZENTRA_ENGINE, else duckdb]",
)
acting = click.option(
    "--actor",
    metavar="A",
    callback=lambda _context, _parameter, value: actor(value),
    help=f"Actor to record.  [default: ${ACTOR_VARIABLE}, else cli]",
)
