"""Sends what is due: makes deliveries from the log, posts them in its order, records each attempt.

An attempt is recorded after it was made: a sender that dies in between sends the delivery again under the same id, and
the receiver notices by it. One process at a time sends to an endpoint. What an attempt means does not belong here
(progress).
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from zentra_pipeline import __version__
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Attempt, Delivery, Endpoint
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, outbox, progress, schedule, signing, targets, transport
from zentra_pipeline.webhooks.progress import DeliveryProgress

Clock = Callable[[], datetime]

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_AT_ONCE: Final = 100
_MOST_THREADS: Final = 8
_SHOWN_BYTES: Final = 1_024


@dataclass(frozen=True)
class Sender:
    """Whose deliveries are sent, by which clock, and how the network is used."""

    tenant: Tenant
    clock: Clock
    limits: transport.Limits = field(default_factory=transport.Limits)
    resolver: targets.Resolver | None = None

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.tenant.paths


@dataclass(frozen=True)
class Tally:
    """What a pass did: deliveries made, and attempts by how they ended."""

    made: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0

    @property
    def attempts(self) -> int:
        return self.delivered + self.failed + self.dead

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.made + other.made,
            self.delivered + other.delivered,
            self.failed + other.failed,
            self.dead + other.dead,
        )


def send_due(sender: Sender, endpoint_id: str | None = None) -> Tally:
    """Make the deliveries the log holds and send what is due as this begins, to one endpoint or to all."""
    with sender.tenant.reading() as connection:
        found = webhook_store.endpoints(connection)
    chosen = [
        endpoint.endpoint_id
        for endpoint in found
        if endpoint.status == webhook_store.ENABLED and endpoint_id in (None, endpoint.endpoint_id)
    ]
    if not chosen:
        return Tally()
    by = sender.clock()
    with ThreadPoolExecutor(min(len(chosen), _MOST_THREADS), thread_name_prefix="webhooks") as pool:
        return sum(pool.map(lambda each: _send_to(sender, each, by), chosen), Tally())


def next_due(sender: Sender, endpoint_id: str | None = None) -> datetime | None:
    """When the next delivery is due, of one endpoint when given; null when nothing waits for an enabled one."""
    with sender.tenant.reading() as connection:
        found = webhook_store.next_due(connection, endpoint_id)
    return None if found is None else instant_of(found)


def retry_now(sender: Sender, endpoint_id: str | None = None) -> None:
    """Have what waits for its time be due at once."""
    with sender.tenant.writing() as connection:
        webhook_store.make_due(connection, instant_text(sender.clock()), endpoint_id)


def _send_to(sender: Sender, endpoint_id: str, by: datetime) -> Tally:
    tally = Tally()
    with sender.tenant.holding(f"webhooks-{endpoint_id}"):
        while True:
            endpoint = _ready(sender, endpoint_id)
            made = 0 if endpoint is None else outbox.make(sender.tenant, endpoint, by)
            sent = Tally() if endpoint is None else _send_batches(sender, endpoint, by)
            tally += Tally(made=made) + sent
            if not made and not sent.attempts:  # more may be in the log than had room
                return tally


def _send_batches(sender: Sender, endpoint: Endpoint, by: datetime) -> Tally:
    """Send what is due until nothing is, or the endpoint is disabled, held or removed."""
    tally, unreachable = Tally(), 0
    while True:
        with sender.tenant.reading() as connection:
            batch = webhook_store.due(connection, endpoint.endpoint_id, instant_text(by), _AT_ONCE)
        for delivery in batch:
            current = _ready(sender, endpoint.endpoint_id)
            if current is None:
                return tally
            outcome = _attempt(sender, current, delivery)
            unreachable = unreachable + 1 if outcome.status_code is None else 0
            tally += _record(sender.tenant, delivery.delivery_id, outcome, unreachable)
        if not batch:
            return tally


def _ready(sender: Sender, endpoint_id: str) -> Endpoint | None:
    """The endpoint as it is, null when nothing may be sent to it now."""
    with sender.tenant.reading() as connection:
        endpoint = webhook_store.find_endpoint(connection, endpoint_id)
    if endpoint is None or endpoint.status != webhook_store.ENABLED:
        return None
    is_held = endpoint.held_until is not None and instant_text(sender.clock()) < endpoint.held_until
    return None if is_held else endpoint


def _attempt(sender: Sender, endpoint: Endpoint, delivery: Delivery) -> DeliveryProgress:
    """Post a delivery once; whatever the network does is an outcome."""
    at, begun = sender.clock(), time.monotonic()
    keys = endpoints.signing_keys(sender.tenant.home, endpoint, at)
    headers = signing.headers(delivery.event_id, at, delivery.body, keys)
    headers |= {"content-type": CONTENT_TYPE, "user-agent": f"zentra/{__version__}", "accept": "*/*"}
    try:
        target = targets.target_of(endpoint.url, is_loopback_allowed=endpoint.is_loopback_allowed)
        found = targets.resolve(target, sender.resolver, sender.limits.connect_seconds)
        answer = transport.post(target, found, headers, delivery.body.encode(), sender.limits)
    except (UsageError, RefusedError, transport.NoAnswerError) as error:
        return DeliveryProgress(at, _milliseconds(begun), error=str(error))
    is_delivered = 200 <= answer.status_code < 300
    return DeliveryProgress(
        at=at,
        latency_ms=_milliseconds(begun),
        status_code=answer.status_code,
        error=None if is_delivered else _refusal(answer.status_code),
        response=_shown(answer.body),
        retry_after=schedule.retry_after(answer.headers.get("retry-after"), at),
    )


def _record(tenant: Tenant, delivery_id: str, outcome: DeliveryProgress, unreachable_in_a_row: int) -> Tally:
    """Keep an attempt and what it changes, on top of what a replay or an operator has changed meanwhile."""
    with tenant.writing() as connection:
        delivery = webhook_store.find_delivery(connection, delivery_id)
        assert delivery is not None, f"delivery {delivery_id} is gone"
        changes = progress.of_delivery(delivery, outcome)
        webhook_store.add_attempt(
            connection,
            Attempt(
                delivery_id=delivery_id,
                number=changes["attempts"],
                at=instant_text(outcome.at),
                status_code=outcome.status_code,
                latency_ms=outcome.latency_ms,
                error=outcome.error,
                response=outcome.response,
            ),
        )
        endpoint = webhook_store.find_endpoint(connection, delivery.endpoint_id)
        if endpoint is None:  # removed meanwhile: what waited was given up
            changes = {"attempts": changes["attempts"]}
        elif of_endpoint := progress.of_endpoint(endpoint, outcome, unreachable_in_a_row):
            webhook_store.change_endpoint(connection, endpoint.endpoint_id, of_endpoint)
        webhook_store.change_delivery(connection, delivery_id, changes)
    if outcome.is_delivered:
        return Tally(delivered=1)
    return Tally(dead=1) if changes.get("status") == webhook_store.DEAD else Tally(failed=1)


def _refusal(status_code: int) -> str:
    if 300 <= status_code < 400:
        return f"the receiver answered {status_code}; redirects are not followed: change the endpoint's URL"
    return f"the receiver answered {status_code}"


def _shown(body: bytes) -> str | None:
    """How an answer begins, on one line of printable text of at most 1 KB."""
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return shown.encode()[:_SHOWN_BYTES].decode("utf-8", "ignore") or None


def _milliseconds(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
