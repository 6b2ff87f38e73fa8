"""Calls about outbound webhooks: endpoints, deliveries and their attempts, sending again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from zentra_pipeline.client.exchange import Listing, Request, Script, Session, answer_of, answered, get, post
from zentra_pipeline.client.models import Attempt, Delivery, Endpoint, Replayed
from zentra_pipeline.client.operations import below, instant, listing

_ENDPOINTS: Final = "/webhooks/endpoints"
_DELIVERIES: Final = "/webhooks/deliveries"


def add_endpoint(
    session: Session,
    *,
    url: str,
    events: Sequence[str] | None = None,
    each_match: bool | None = None,
    failure_days: int | None = None,
) -> Script[Endpoint]:
    """Add an endpoint; its `secret` is shown this once. Not repeated where the answer is lost: it would be a second."""
    stated = {"url": url, "events": _listed(events), "each_match": each_match, "failure_days": failure_days}
    found = yield from answer_of(session, post(_ENDPOINTS, stated, is_repeatable=False), Endpoint)
    return found


def list_endpoints(session: Session, *, after: str | None = None, page_size: int = 100) -> Listing[Endpoint]:
    """The tenant's endpoints, oldest first."""
    return listing(session, _ENDPOINTS, Endpoint, {"limit": page_size}, after)


def get_endpoint(session: Session, endpoint_id: str) -> Script[Endpoint]:
    """An endpoint, without its secret."""
    found = yield from answer_of(session, get(below(_ENDPOINTS, endpoint_id)), Endpoint)
    return found


def change_endpoint(
    session: Session,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    each_match: bool | None = None,
    failure_days: int | None = None,
    status: str | None = None,
) -> Script[Endpoint]:
    """Change an endpoint; what is left out stays as it is."""
    stated = {"url": url, "events": _listed(events), "each_match": each_match, "failure_days": failure_days}
    request = replace(post(below(_ENDPOINTS, endpoint_id), stated | {"status": status}), method="PATCH")
    found = yield from answer_of(session, request, Endpoint)
    return found


def remove_endpoint(session: Session, endpoint_id: str) -> Script[None]:
    """Remove an endpoint; nothing more is sent to it."""
    yield from answered(session, Request("DELETE", below(_ENDPOINTS, endpoint_id), is_repeatable=False))


def rotate_secret(session: Session, endpoint_id: str, *, overlap_hours: int | None = None) -> Script[Endpoint]:
    """Give an endpoint a new `secret`, shown this once; the old one stays valid for `overlap_hours`."""
    path = below(_ENDPOINTS, endpoint_id, "rotate")
    request = post(path, {"overlap_hours": overlap_hours}, is_repeatable=False)
    found = yield from answer_of(session, request, Endpoint)
    return found


def list_deliveries(
    session: Session,
    *,
    endpoint: str | None = None,
    status: str | None = None,
    event: str | None = None,
    after: str | None = None,
    page_size: int = 100,
) -> Listing[Delivery]:
    """Deliveries in the order of the log."""
    wanted = {"endpoint": endpoint, "status": status, "event": event, "limit": page_size}
    return listing(session, _DELIVERIES, Delivery, wanted, after)


def get_delivery(session: Session, delivery_id: str) -> Script[Delivery]:
    """A delivery, with what is or was sent."""
    found = yield from answer_of(session, get(below(_DELIVERIES, delivery_id)), Delivery)
    return found


def list_attempts(
    session: Session, delivery_id: str, *, after: str | None = None, page_size: int = 100
) -> Listing[Attempt]:
    """The attempts of a delivery, oldest first."""
    return listing(session, below(_DELIVERIES, delivery_id, "attempts"), Attempt, {"limit": page_size}, after)


def replay(
    session: Session,
    *,
    event: str | None = None,
    first: str | None = None,
    last: str | None = None,
    since: datetime | str | None = None,
    endpoint: str | None = None,
) -> Script[Replayed]:
    """Have an event sent again, or those of a part of the log; `first` and `last` are places of it."""
    stated = {"event": event, "from": first, "to": last, "since": instant(since), "endpoint": endpoint}
    found = yield from answer_of(session, post("/webhooks/replay", stated, is_repeatable=False), Replayed)
    return found


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
