"""Writes a command into the audit log of the tenant it is about; options.py has every command with --tenant do so.

`backup` and `restore`, which are about all tenants, do so themselves.

Whoever may read the home's files needs no command to read them, so that a log that cannot be written stops none: it is
said on stderr. A home that cannot be written, as an auditor's copy, has no log to write. Does not belong here: the
chain (store.audit).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from zentra_pipeline import actors
from zentra_pipeline.errors import UnavailableError
from zentra_pipeline.settings import Home

_LEFT_OUT = frozenset(("home", "tenant", "as_json", "actor"))


def record(home: Home, tenant: str) -> None:
    """Add the command that is being run, with its options as given."""
    context = click.get_current_context()
    write(home, tenant, context.command_path, context.params)


def write(home: Home, tenant: str, what: str, options: Mapping[str, Any]) -> None:
    """Add a command; nothing where the tenant has no store yet, or one that cannot be written."""
    from zentra_pipeline import blobs
    from zentra_pipeline.instants import instant_text
    from zentra_pipeline.store import audit
    from zentra_pipeline.store.engine import operational_store
    from zentra_pipeline.store.place import operational_place
    from zentra_pipeline.store.sqlite import read_only_uri
    from zentra_pipeline.tenants import tenancy

    paths = home.tenant(tenant)
    is_in_database = False
    try:
        place = operational_place(paths)
        if not place.is_made and not (blobs.are_shared(paths) and tenant in tenancy.names(home)):
            return  # a host that shares files learns where the store is by its first command
        if place.is_made and place.schema is None and read_only_uri(place.file) is not None:
            return
        is_in_database = place.schema is not None
        entry = audit.Entry(
            at=instant_text(datetime.now(UTC)),
            kind=audit.COMMAND,
            via="command_line",
            actor=None if options.get("actor") is None else str(options["actor"]),
            os_user=actors.command_line().os_user,
            what=what,
            details={
                name: audit.kept_text(" ".join(map(str, value)) if isinstance(value, tuple) else str(value))
                for name, value in options.items()
                if _is_given(name, value)
            },
        )
        with operational_store(paths).begin() as connection:
            audit.append(connection, [entry])
    except Exception as error:
        if is_in_database and isinstance(error, UnavailableError):
            return  # the command needs that database too, and says of it what is wrong
        from zentra_pipeline.cli import printing
        from zentra_pipeline.machine_errors import explained

        printing.note(f"Not in the audit log of {tenant}: {explained(error) or error}")


def _is_given(name: str, value: Any) -> bool:
    return name not in _LEFT_OUT and value is not None and value is not False and value != ()
