"""`zentra retention`: shows and applies a tenant's rules of retention; what is due does not belong here (upkeep)."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UnconfirmedError

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant
    from zentra_pipeline.upkeep.retention import Verdict

_SHOWN = 20


@click.group("retention")
def command() -> None:
    """Delete bytes as received whose time is over, and list what was deleted."""


@command.command("plan")
@options.tenant
@options.home
@options.as_json
def plan(tenant: "Tenant", as_json: bool) -> None:
    """Show what `apply` would delete now, and why the rest is kept; nothing is changed."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.upkeep import retention

    verdicts = retention.plan(tenant, datetime.now(UTC))
    if as_json:
        printing.print_json({"items": [asdict(each) | {"is_deleted": each.is_deleted} for each in verdicts]})
        return
    _print(verdicts, "would be deleted")
    reasons = Counter(each.kept for each in verdicts if each.kept is not None)
    for reason, number in sorted(reasons.items()):
        printing.say(f"kept, {reason}: {printing.counted(number, 'file')}")


@command.command("apply")
@options.tenant
@options.acting
@click.option("--yes", "is_confirmed", is_flag=True, help="Confirm: what is deleted cannot be had again.")
@options.home
@options.as_json
def apply(tenant: "Tenant", actor: str, is_confirmed: bool, as_json: bool) -> None:
    """Delete what is due, each replaced by a tombstone with its digest, size, reason, actor and time.

    A backup that is being written is waited for.
    """
    from zentra_pipeline import locks
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import leases
    from zentra_pipeline.tenants import access
    from zentra_pipeline.upkeep import retention

    access.require_actor(tenant, actor)
    now = datetime.now(UTC)
    if not is_confirmed:
        due = sum(each.is_deleted for each in retention.plan(tenant, now))
        raise UnconfirmedError(
            f"{printing.counted(due, 'file')} would be deleted for good: see `zentra retention plan`."
        )
    if leases.is_held(tenant.paths, locks.BACKUP):
        printing.note("waiting for a backup to end, which takes along what would be deleted")
    deleted = retention.apply(tenant, actor, now)
    if as_json:
        printing.print_json({"items": [asdict(each) for each in deleted]})
    else:
        _print(deleted, "deleted")


@command.command("list")
@options.tenant
@options.home
@options.as_json
def list_tombstones(tenant: "Tenant", as_json: bool) -> None:
    """List what was deleted, oldest first."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import tombstones

    with tenant.reading() as connection:
        found = tombstones.listed(connection)
    if as_json:
        printing.print_json({"items": [asdict(each) for each in found]})
        return
    printing.print_table(
        ("bytes", "kind", "size", "why", "by", "at"),
        [(each.sha256[:16], each.kind, each.byte_size, each.why, each.actor, each.deleted_at) for each in found],
    )


def _print(verdicts: list["Verdict"], words: str) -> None:
    from zentra_pipeline.cli import printing

    due = [each for each in verdicts if each.is_deleted]
    if due:
        printing.print_table(
            ("bytes", "kind", "provider", "file", "size", "due"),
            [(e.sha256[:16], e.kind, e.provider, e.file_id, e.byte_size, e.due_at or "") for e in due[:_SHOWN]],
        )
    size = sum(each.byte_size for each in due)
    printing.say(f"{words}: {printing.counted(len(due), 'file')}, {size:,} bytes")
