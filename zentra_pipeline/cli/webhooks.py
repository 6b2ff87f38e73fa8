"""`zentra webhooks`: adds endpoints and changes them. Sending: webhook_deliveries. Receiving: webhook_listen."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options, webhook_deliveries, webhook_listen

if TYPE_CHECKING:
    from zentra_pipeline.store.webhooks import Endpoint
    from zentra_pipeline.tenants.tenant import Tenant

_endpoint = click.argument("endpoint_id", metavar="ENDPOINT", callback=options.checked(options.record_id))


@click.group("webhooks")
def command() -> None:
    """Send events to endpoints, list attempts, send again."""


for _other in (*webhook_deliveries.COMMANDS, webhook_listen.listen):
    command.add_command(_other)


@command.command("add")
@click.argument("url", metavar="URL")
@options.tenant
@click.option(
    "--events",
    metavar="GLOB",
    multiple=True,
    help="Only events of these types, such as reconciliation.exception.*; may be given several times.  [default: all]",
)
@click.option("--each-match", is_flag=True, help="One delivery per match, instead of one per run revision and rule.")
@click.option("--allow-loopback", is_flag=True, help="Allow a receiver on this machine, without TLS.")
@click.option(
    "--failure-days",
    metavar="N",
    type=click.IntRange(1, 90),
    default=5,
    show_default=True,
    help="Disable it after N days of failures only.",
)
@options.acting
@options.home
@options.as_json
def add(
    url: str,
    tenant: "Tenant",
    events: tuple[str, ...],
    each_match: bool,
    allow_loopback: bool,
    failure_days: int,
    actor: str,
    as_json: bool,
) -> None:
    """Add an endpoint: what happens from now on is sent to it.

    Its secret is printed once.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import endpoints

    endpoint, secret = endpoints.add(
        tenant,
        url,
        actor=actor,
        now=datetime.now(UTC),
        events=events,
        is_each_match=each_match,
        is_loopback_allowed=allow_loopback,
        failure_days=failure_days,
    )
    if as_json:
        printing.print_json(_as_object(endpoint) | {"secret": secret})
        return
    printing.say(endpoint.endpoint_id)
    printing.say(secret)
    printing.note(f"Endpoint {endpoint.endpoint_id} for {url}: keep the secret now, it is not shown again")
    printing.next_step(f"zentra webhooks deliver --tenant {tenant.name} --loop")


@command.command("list")
@options.tenant
@options.home
@options.as_json
def list_endpoints(tenant: "Tenant", as_json: bool) -> None:
    """List endpoints, oldest first: URL and health, never their secrets."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import webhooks as webhook_store

    with tenant.reading() as connection:
        found = webhook_store.endpoints(connection)
        counts = webhook_store.counts(connection)
    if as_json:
        items = [
            _as_object(endpoint)
            | {
                "deliveries": {
                    status: counts.get((endpoint.endpoint_id, status), 0) for status in webhook_store.DELIVERY_STATUSES
                }
            }
            for endpoint in found
        ]
        printing.print_json({"items": items})
        return
    if not found:
        printing.note(f"No endpoint yet: zentra webhooks add URL --tenant {tenant.name}")
        return
    printing.print_table(
        ("endpoint", "url", "events", "state", *webhook_store.DELIVERY_STATUSES),
        [
            (
                endpoint.endpoint_id,
                endpoint.url,
                " ".join(json.loads(endpoint.events)),
                _state(endpoint),
                *(counts.get((endpoint.endpoint_id, status), 0) for status in webhook_store.DELIVERY_STATUSES),
            )
            for endpoint in found
        ],
    )


@command.command("rotate")
@_endpoint
@options.tenant
@click.option(
    "--overlap-hours",
    metavar="N",
    type=click.IntRange(0, 720),
    default=24,
    show_default=True,
    help="How long the old secret stays valid.",
)
@options.home
@options.as_json
def rotate(endpoint_id: str, tenant: "Tenant", overlap_hours: int, as_json: bool) -> None:
    """Give an endpoint a new secret, printed once; the old one stays valid for a while."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import endpoints

    endpoint, secret = endpoints.rotate(tenant, endpoint_id, datetime.now(UTC), overlap_hours)
    if as_json:
        printing.print_json(_as_object(endpoint) | {"secret": secret})
    else:
        printing.say(secret)
        printing.note(f"The old secret stays valid until {endpoint.previous_until}")


@command.command("enable")
@_endpoint
@options.tenant
@options.home
@options.as_json
def enable(endpoint_id: str, tenant: "Tenant", as_json: bool) -> None:
    """Send to an endpoint again; what waited for it is due at once."""
    from zentra_pipeline.webhooks import endpoints

    _print_state(endpoints.enable(tenant, endpoint_id, datetime.now(UTC)), as_json)


@command.command("disable")
@_endpoint
@options.tenant
@options.acting
@options.home
@options.as_json
def disable(endpoint_id: str, tenant: "Tenant", actor: str, as_json: bool) -> None:
    """Send nothing to an endpoint until it is enabled; events are kept for it."""
    from zentra_pipeline.webhooks import endpoints

    _print_state(endpoints.disable(tenant, endpoint_id, f"disabled by {actor}"), as_json)


@command.command("remove")
@_endpoint
@options.tenant
@options.home
@options.as_json
def remove(endpoint_id: str, tenant: "Tenant", as_json: bool) -> None:
    """Remove an endpoint for good; its pending deliveries are given up."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import endpoints

    endpoint = endpoints.remove(tenant, endpoint_id)
    if as_json:
        printing.print_json({"id": endpoint.endpoint_id, "status": "removed"})
    else:
        printing.say(f"Removed {endpoint.endpoint_id}, which went to {endpoint.url}")


def _print_state(endpoint: "Endpoint", as_json: bool) -> None:
    from zentra_pipeline.cli import printing

    if as_json:
        printing.print_json(_as_object(endpoint))
    else:
        printing.say(f"{endpoint.endpoint_id} is {_state(endpoint)}")


def _state(endpoint: "Endpoint") -> str:
    return f"{endpoint.status}: {endpoint.status_reason}" if endpoint.status_reason else endpoint.status


def _as_object(endpoint: "Endpoint") -> dict[str, Any]:
    from zentra_pipeline.webhooks import endpoints

    return endpoints.as_object(endpoint)
