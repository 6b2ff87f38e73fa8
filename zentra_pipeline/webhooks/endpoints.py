"""Adds, changes and ends webhook endpoints and their secrets; what is sent to them does not belong here (sending).

A secret is shown once, to whoever adds the endpoint or rotates it, and lies in the store only encrypted.
"""

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import types
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.keys import secret_box
from zentra_pipeline.keys import signing_keys as keys
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.settings import Home
from zentra_pipeline.store import event_log
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Endpoint
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import signing, targets

ALL_EVENTS: Final = ("reconciliation.*",)
DEFAULT_FAILURE_DAYS: Final = 5
MOST_FAILURE_DAYS: Final = 90
DEFAULT_OVERLAP_HOURS: Final = 24
MOST_OVERLAP_HOURS: Final = 24 * 30
_MOST_ENDPOINTS: Final = 100
_GLOB: Final = re.compile(r"[a-z_.*]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Changes:
    """What to change of an endpoint; null leaves it as it is."""

    url: str | None = None
    events: Sequence[str] | None = None
    is_each_match: bool | None = None
    failure_days: int | None = None
    is_loopback_allowed: bool = False  # of the new URL


def add(
    tenant: Tenant,
    url: str,
    *,
    actor: str,
    now: datetime,
    events: Sequence[str] = (),
    is_each_match: bool = False,
    is_loopback_allowed: bool = False,
    failure_days: int = DEFAULT_FAILURE_DAYS,
) -> tuple[Endpoint, str]:
    """A new endpoint and its secret; it gets what happens from now on. UsageError for a URL or event it cannot have."""
    targets.target_of(url, is_loopback_allowed=is_loopback_allowed)
    globs = globs_of(events or ALL_EVENTS)
    keys.init(tenant.home, now)  # whose passphrase encrypts the secret
    endpoint_id, secret = f"whe_{secrets.token_hex(8)}", signing.new_secret()
    kept = secret_box.sealed(tenant.home, endpoint_id, secret)
    with tenant.writing() as connection:
        if len(webhook_store.endpoints(connection)) >= _MOST_ENDPOINTS:
            raise UsageError(f"tenant {tenant.name} has {_MOST_ENDPOINTS} webhook endpoints: remove one first")
        endpoint = Endpoint(
            endpoint_id=endpoint_id,
            url=url,
            events=json.dumps(globs),
            is_each_match=is_each_match,
            is_loopback_allowed=is_loopback_allowed,
            failure_days=_failure_days(failure_days),
            secret=kept,
            previous_secret=None,
            previous_until=None,
            status=webhook_store.ENABLED,
            status_reason=None,
            position=event_log.next_position(connection) - 1,
            failing_since=None,
            held_until=None,
            created_at=instant_text(now),
            created_by=actor,
        )
        webhook_store.add_endpoint(connection, endpoint)
    return endpoint, secret


def listed(tenant: Tenant) -> list[Endpoint]:
    """The tenant's endpoints, oldest first."""
    with tenant.reading() as connection:
        return webhook_store.endpoints(connection)


def known(connection: Connection, endpoint_id: str) -> Endpoint:
    """The endpoint of an id; UsageError where there is none."""
    endpoint = webhook_store.find_endpoint(connection, endpoint_id)
    if endpoint is None:
        raise UsageError(
            f"there is no webhook endpoint {endpoint_id}", remedy=Remedy("look at the endpoints", "list_webhooks")
        )
    return endpoint


def change(tenant: Tenant, endpoint_id: str, changes: Changes) -> Endpoint:
    """Change an endpoint; a new URL is judged again, with what it allows."""
    values: dict[str, Any] = {}
    if changes.url is not None:
        targets.target_of(changes.url, is_loopback_allowed=changes.is_loopback_allowed)
        values |= {"url": changes.url, "is_loopback_allowed": changes.is_loopback_allowed, "held_until": None}
    if changes.events is not None:
        values["events"] = json.dumps(globs_of(changes.events))
    if changes.is_each_match is not None:
        values["is_each_match"] = changes.is_each_match
    if changes.failure_days is not None:
        values["failure_days"] = _failure_days(changes.failure_days)
    return _changed(tenant, endpoint_id, lambda _connection, _endpoint: values)


def rotate(
    tenant: Tenant, endpoint_id: str, now: datetime, overlap_hours: int = DEFAULT_OVERLAP_HOURS
) -> tuple[Endpoint, str]:
    """A new secret; the one before signs as well for some hours more, and the one before that no longer."""
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        raise UsageError(f"an overlap of {overlap_hours} hours is not possible: give 0 to {MOST_OVERLAP_HOURS}")
    keys.init(tenant.home, now)
    secret = signing.new_secret()
    kept = secret_box.sealed(tenant.home, endpoint_id, secret)
    until = instant_text(now + timedelta(hours=overlap_hours))
    rotated = _changed(
        tenant,
        endpoint_id,
        lambda _connection, endpoint: {
            "secret": kept,
            "previous_secret": endpoint.secret,
            "previous_until": until,
        },
    )
    return rotated, secret


def enable(tenant: Tenant, endpoint_id: str, now: datetime) -> Endpoint:
    """Send to an endpoint again, at once what waits for it; events that came meanwhile are sent as well."""

    def enabled(connection: Connection, _endpoint: Endpoint) -> dict[str, Any]:
        webhook_store.make_due(connection, instant_text(now), endpoint_id)
        return {
            "status": webhook_store.ENABLED,
            "status_reason": None,
            "failing_since": None,
            "held_until": None,
        }

    return _changed(tenant, endpoint_id, enabled)


def disable(tenant: Tenant, endpoint_id: str, reason: str) -> Endpoint:
    """Send nothing to an endpoint until it is enabled; what it should get is kept for it."""
    values = {"status": webhook_store.DISABLED, "status_reason": reason}
    return _changed(tenant, endpoint_id, lambda _connection, _endpoint: values)


def remove(tenant: Tenant, endpoint_id: str) -> Endpoint:
    """End an endpoint for good: its secrets are gone, what waits is given up, its deliveries can still be read."""
    with tenant.writing() as connection:
        endpoint = known(connection, endpoint_id)
        webhook_store.bury(connection, endpoint_id)
        gone = {"status": webhook_store.REMOVED, "secret": None, "previous_secret": None, "previous_until": None}
        webhook_store.change_endpoint(connection, endpoint_id, gone)
    return endpoint


def signing_keys(home: Home, endpoint: Endpoint, now: datetime) -> list[str]:
    """The secrets an endpoint's deliveries are signed with at an instant, the current one first."""
    kept = [endpoint.secret]
    if endpoint.previous_until is not None and now < instant_of(endpoint.previous_until):
        kept.append(endpoint.previous_secret)
    return [secret_box.opened(home, endpoint.endpoint_id, text) for text in kept if text is not None]


def wants(endpoint: Endpoint, event_type: str) -> bool:
    """Whether an endpoint asked for events of a type."""
    return any(fnmatchcase(event_type, glob) for glob in json.loads(endpoint.events))


def as_object(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as it is shown to its owner: everything but its secrets and its place in the log."""
    return {
        "id": endpoint.endpoint_id,
        "url": endpoint.url,
        "events": json.loads(endpoint.events),
        "each_match": endpoint.is_each_match,
        "allow_loopback": endpoint.is_loopback_allowed,
        "failure_days": endpoint.failure_days,
        "status": endpoint.status,
        "status_reason": endpoint.status_reason,
        "previous_secret_until": endpoint.previous_until,
        "failing_since": endpoint.failing_since,
        "held_until": endpoint.held_until,
        "created_at": endpoint.created_at,
        "created_by": endpoint.created_by,
    }


def globs_of(events: Sequence[str]) -> list[str]:
    """Globs over event types (`reconciliation.exception.*`) without repeats; UsageError for one that no type fits."""
    for glob in events:
        if not _GLOB.fullmatch(glob) or not any(fnmatchcase(name, glob) for name in types.DATA):
            raise UsageError(f"no event is of type {glob[:64]!r}: use {', '.join(types.DATA)}, or * for a part of it")
    if not events:
        raise UsageError("name at least one type of event, such as reconciliation.*")
    return list(dict.fromkeys(events))


def _failure_days(days: int) -> int:
    if not 1 <= days <= MOST_FAILURE_DAYS:
        raise UsageError(f"{days} days of failure are not possible: give 1 to {MOST_FAILURE_DAYS}")
    return days


def _changed(tenant: Tenant, endpoint_id: str, values: Callable[[Connection, Endpoint], dict[str, Any]]) -> Endpoint:
    """Set what `values` gives for an endpoint in one transaction; the endpoint as it is then."""
    with tenant.writing() as connection:
        changes = values(connection, known(connection, endpoint_id))
        if changes:
            webhook_store.change_endpoint(connection, endpoint_id, changes)
        return known(connection, endpoint_id)
