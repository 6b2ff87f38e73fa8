"""The commands of `zentra webhooks` that send, send again, and show the outcome; the endpoints are in webhooks."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.store.webhooks import Delivery
    from zentra_pipeline.tenants.tenant import Tenant
    from zentra_pipeline.webhooks.sending import Sender, Tally

_POLL_SECONDS = 1.0

_endpoint = click.option(
    "--endpoint", "endpoint_id", metavar="ID", callback=options.checked(options.record_id), help="Only this endpoint's."
)
_seconds = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 60),
    default=15,
    show_default=True,
    help="How long an answer may take.",
)


def _cursor(value: str) -> int:
    from zentra_pipeline.events import log_reading

    return log_reading.position_of(value)


def _status(value: str) -> str:
    from zentra_pipeline.store import webhooks as webhook_store

    if value not in webhook_store.DELIVERY_STATUSES:
        raise UsageError(f"status {value!r} is not known: use one of {', '.join(webhook_store.DELIVERY_STATUSES)}")
    return value


@click.command("deliver")
@options.tenant
@click.option("--once", is_flag=True, help="Send what is due now and end (the default).")
@click.option("--until-empty", is_flag=True, help="Wait for retries too, and end when nothing is left to send.")
@click.option("--loop", is_flag=True, help="Keep sending until interrupted.")
@click.option("--retry-now", is_flag=True, help="Retry now.")
@_endpoint
@_seconds
@options.home
@options.as_json
def deliver(
    tenant: "Tenant",
    once: bool,
    until_empty: bool,
    loop: bool,
    retry_now: bool,
    endpoint_id: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Send what is due: new events in the order of the log, and retries whose time has come."""
    from zentra_pipeline.store.engine import kept_connections
    from zentra_pipeline.webhooks import sending

    if once + until_empty + loop > 1:
        raise UsageError("--once, --until-empty and --loop exclude each other: give one of them")
    if loop and as_json:
        raise UsageError("--loop never ends, and --json is one object: leave one of them out")
    sender = _sender(tenant, timeout)
    with kept_connections():
        if retry_now:
            sending.retry_now(sender, endpoint_id)
        if loop:
            _go_on(sender, endpoint_id)
            return
        tally = sending.send_due(sender, endpoint_id)
        while until_empty and (due := sending.next_due(sender, endpoint_id)) is not None:
            time.sleep(min(max((due - sender.clock()).total_seconds(), 0.0), _POLL_SECONDS))
            tally += sending.send_due(sender, endpoint_id)
    _print_tally(sender, tally, endpoint_id, as_json)


@click.command("replay")
@options.tenant
@click.option("--event", "event_id", metavar="ID", callback=options.checked(options.record_id), help="This event.")
@click.option(
    "--from",
    "first",
    metavar="CURSOR",
    callback=options.checked(_cursor),
    help="Events from this place of the log on, inclusive.",
)
@click.option("--to", "last", metavar="CURSOR", callback=options.checked(_cursor), help="Up to this place, inclusive.")
@click.option("--since", metavar="TS", callback=options.checked(options.instant), help="Events that happened since.")
@click.option("--queue-only", is_flag=True, help="Queue them for the next `zentra webhooks deliver`.")
@_endpoint
@_seconds
@options.home
@options.as_json
def replay(
    tenant: "Tenant",
    event_id: str | None,
    first: int | None,
    last: int | None,
    since: datetime | None,
    queue_only: bool,
    endpoint_id: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Send events once more, under the same ids; receivers recognize a repeat by its webhook-id."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import replay as replaying
    from zentra_pipeline.webhooks import sending

    is_range = first is not None or since is not None
    if (event_id is not None) == is_range or (last is not None and first is None):
        raise UsageError("say what to send again: --event ID, or --from CURSOR [--to CURSOR], or --since TS")
    sender = _sender(tenant, timeout)
    if event_id is not None:
        asked = replaying.event(tenant, event_id, sender.clock(), endpoint_id)
    else:
        chosen = replaying.Range(first or 1, last, since)
        asked = replaying.events(tenant, chosen, sender.clock(), endpoint_id)
    if not as_json:
        printing.say(f"{printing.counted(len(asked), 'delivery', 'deliveries')} to send again")
    tally = sending.Tally() if queue_only else sending.send_due(sender, endpoint_id)
    _print_tally(sender, tally, endpoint_id, as_json, {"replayed": len(asked)})


@click.command("deliveries")
@options.tenant
@_endpoint
@click.option("--status", metavar="S", callback=options.checked(_status), help="Only in this status.")
@click.option("--event", "event_id", metavar="ID", callback=options.checked(options.record_id), help="Only this event.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1), default=1_000, show_default=True, help="At most this many."
)
@options.home
@options.as_json
def deliveries(
    tenant: "Tenant",
    endpoint_id: str | None,
    status: str | None,
    event_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries in the order of the log."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import webhooks as webhook_store

    with tenant.reading() as connection:
        found = webhook_store.deliveries(
            connection, endpoint_id=endpoint_id, status=status, event_id=event_id, limit=limit
        )
    if as_json:
        printing.print_json({"items": [_as_object(delivery) for delivery in found]})
        return
    printing.print_table(
        ("delivery", "endpoint", "event", "type", "status", "attempts", "next attempt"),
        [
            (
                delivery.delivery_id,
                delivery.endpoint_id,
                delivery.event_id,
                delivery.event_type,
                delivery.status,
                delivery.attempts,
                delivery.next_attempt_at or "",
            )
            for delivery in found
        ],
    )
    printing.note(printing.counted(len(found), "delivery", "deliveries"))


@click.command("attempts")
@options.tenant
@_endpoint
@click.option(
    "--delivery", "delivery_id", metavar="ID", callback=options.checked(options.record_id), help="Only this delivery's."
)
@click.option("--limit", metavar="N", type=click.IntRange(1), default=1_000, show_default=True, help="Newest N.")
@options.home
@options.as_json
def attempts(tenant: "Tenant", endpoint_id: str | None, delivery_id: str | None, limit: int, as_json: bool) -> None:
    """List attempts, oldest first: when, what was answered, how long it took, why it failed."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import webhooks as webhook_store

    with tenant.reading() as connection:
        found = webhook_store.attempts(connection, delivery_id=delivery_id, endpoint_id=endpoint_id, limit=limit)
        deliveries = webhook_store.deliveries_of(connection, [attempt.delivery_id for attempt in found])
    states = [webhook_store.attempt_state(attempt, deliveries[attempt.delivery_id]) for attempt in found]
    if as_json:
        shown = [
            asdict(attempt) | {"event_id": deliveries[attempt.delivery_id].event_id, "state": state}
            for attempt, state in zip(found, states, strict=True)
        ]
        printing.print_json({"items": shown})
        return
    printing.print_table(
        ("delivery", "event", "attempt", "state", "at", "answer", "ms", "result"),
        [
            (
                attempt.delivery_id,
                deliveries[attempt.delivery_id].event_id,
                attempt.number,
                state,
                attempt.at,
                "" if attempt.status_code is None else str(attempt.status_code),
                attempt.latency_ms,
                attempt.error or "delivered",
            )
            for attempt, state in zip(found, states, strict=True)
        ],
    )
    printing.note(printing.counted(len(found), "attempt"))


COMMANDS: Sequence[click.Command] = (deliver, replay, deliveries, attempts)


def _go_on(sender: "Sender", endpoint_id: str | None) -> None:
    """Send what comes and falls due until interrupted."""
    from zentra_pipeline.webhooks import sending

    try:
        while True:
            _note(sending.send_due(sender, endpoint_id))
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _sender(tenant: "Tenant", timeout: float) -> "Sender":
    from zentra_pipeline.webhooks import sending, transport

    limits = transport.Limits(connect_seconds=min(5.0, timeout), total_seconds=timeout)
    return sending.Sender(tenant, lambda: datetime.now(UTC), limits)


def _print_tally(
    sender: "Sender", tally: "Tally", endpoint_id: str | None, as_json: bool, further: dict[str, Any] | None = None
) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.instants import instant_text
    from zentra_pipeline.webhooks import sending

    due = sending.next_due(sender, endpoint_id)
    next_attempt = None if due is None else instant_text(due)
    if as_json:
        counts = {"made": tally.made, "delivered": tally.delivered, "failed": tally.failed, "dead": tally.dead}
        printing.print_json({**(further or {}), **counts, "next_attempt_at": next_attempt})
        return
    printing.say(_words(tally))
    if next_attempt is not None:
        printing.note(f"Next attempt due at {next_attempt}")


def _note(tally: "Tally") -> None:
    from zentra_pipeline.cli import printing

    if tally.made or tally.attempts:
        printing.note(_words(tally))


def _words(tally: "Tally") -> str:
    from zentra_pipeline.cli import printing

    made = printing.counted(tally.made, "new delivery", "new deliveries")
    tried = printing.counted(tally.attempts, "attempt")
    return f"{made}, {tried}: {tally.delivered:,} delivered, {tally.failed:,} failed, {tally.dead:,} given up"


def _as_object(delivery: "Delivery") -> dict[str, Any]:
    return {
        "id": delivery.delivery_id,
        "endpoint": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "created_at": delivery.created_at,
        "resolved_at": delivery.resolved_at,
    }
