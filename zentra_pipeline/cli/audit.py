"""`zentra audit`: lists and checks the record of who read and asked what; the chain does not belong here (store)."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from zentra_pipeline.store.audit import Recorded
    from zentra_pipeline.tenants.tenant import Tenant

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
_KINDS = ("read", "request", "command", "decision")


def _head(value: str) -> tuple[int, str]:
    found = _HEAD.fullmatch(value.strip())
    if found is None:
        raise UsageError(f"head {value!r} is not PLACE:DIGEST, as `zentra audit verify` prints it")
    return int(found[1]), found[2]


@click.group("audit")
def command() -> None:
    """List and check the record of who read and asked what, and of decisions."""


@command.command("list")
@options.tenant
@click.option("--actor", "by", metavar="A", callback=options.checked(options.name_of_person), help="Only this actor's.")
@click.option("--kind", type=click.Choice(_KINDS), help="Only entries of this kind.")
@click.option("--after", metavar="N", type=click.IntRange(0), help="Only entries behind this place.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most."
)
@options.home
@options.as_json
def list_entries(
    tenant: "Tenant", by: str | None, kind: str | None, after: int | None, limit: int, as_json: bool
) -> None:
    """List entries, oldest first; without --after the newest."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import audit

    with tenant.reading() as connection:
        found = audit.listed(connection, after=after, actor=by, kind=kind, limit=limit)
    if as_json:
        printing.print_json({"items": [_content(each) for each in found]})
        return
    printing.print_table(
        ("place", "at", "kind", "via", "actor", "what", "status"),
        [
            (
                each.sequence,
                each.entry.at,
                each.entry.kind,
                each.entry.via,
                each.entry.actor or each.entry.os_user or "",
                each.entry.what,
                "" if each.entry.status is None else str(each.entry.status),
            )
            for each in found
        ],
    )


@command.command("verify")
@options.tenant
@click.option(
    "--head",
    metavar="PLACE:DIGEST",
    callback=options.checked(_head),
    help="A head that was printed earlier and kept elsewhere.",
)
@options.home
@options.as_json
def verify(tenant: "Tenant", head: tuple[int, str] | None, as_json: bool) -> int:
    """Check the chain and the citations of decisions, and print its head.

    Keep the head where nobody writes to the store: given again as --head, it shows a chain that was made anew or cut.
    Exit code 5 when anything does not hold.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import audit

    with tenant.reading() as connection:
        checked = audit.check(connection, head)
    place = f"{checked.entries}:{checked.head}"
    if as_json:
        problems = [{"place": number, "what": what} for number, what in checked.problems]
        printing.print_json({"holds": not problems, "entries": checked.entries, "head": place, "problems": problems})
    else:
        for number, what in checked.problems:
            printing.say(f"place {number}: {what}")
        printing.say(f"{'holds' if not checked.problems else 'does not hold'}: {checked.entries} entries")
        printing.say(f"head {place}")
    return VerificationError.exit_code if checked.problems else 0


def _content(found: "Recorded") -> dict[str, Any]:
    return {"place": found.sequence, **asdict(found.entry), "digest": found.digest}
