"""`zentra notices`: sends digests and escalations of each lane; what they say is elsewhere (webhooks.notices)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.group("notices")
def command() -> None:
    """Notify operators of what their lane has open or overdue, by chat or mail."""


_kind = click.argument("kind", metavar="digest|escalation", type=click.Choice(("digest", "escalation")))


@command.command("show")
@_kind
@options.tenant
@options.home
@options.as_json
def show(kind: str, tenant: "Tenant", as_json: bool) -> None:
    """Show what would be sent, and to whom; nothing is sent."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import notices

    found = notices.of_tenant(tenant, kind, datetime.now(UTC))
    if as_json:
        items = [
            {"lane": notice.lane, "receiver": notices.name_of(receiver), "text": notice.text}
            for notice, receiver in found
        ]
        printing.print_json({"items": items})
        return
    for notice, receiver in found:
        printing.say(f"{notices.name_of(receiver)}\n\n{notice.text}\n")
    printing.note(printing.counted(len(found), "notice"))


@command.command("send")
@_kind
@options.tenant
@click.option("--allow-loopback", is_flag=True, help="Allow a receiver on this machine, without TLS.")
@options.home
@options.as_json
def send(kind: str, tenant: "Tenant", allow_loopback: bool, as_json: bool) -> int:
    """Send them; ask for it by cron, as often as people want to hear. Exits 75 where one did not arrive."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.errors import UnavailableError
    from zentra_pipeline.webhooks import notices

    sent = notices.send(tenant, kind, datetime.now(UTC), is_loopback_allowed=allow_loopback)
    if as_json:
        items = [{"lane": each.notice.lane, "receiver": each.receiver, "failure": each.failure} for each in sent]
        printing.print_json({"items": items})
    else:
        printing.print_table(
            ("lane", "told", "failure"), [(each.notice.lane, each.receiver, each.failure or "") for each in sent]
        )
    return UnavailableError.exit_code if any(each.failure for each in sent) else 0
