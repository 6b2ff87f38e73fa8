"""Verifies what Zentra delivers to a webhook, for whoever receives it; sending does not belong here (webhooks)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from zentra_pipeline.client.errors import WebhookRejectedError
from zentra_pipeline.client.models import Event
from zentra_pipeline.errors import UsageError
from zentra_pipeline.sources.signatures import verify_standard

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"


def verify_webhook(
    payload: bytes | str, headers: Mapping[str, str], secrets: Sequence[str] | str, now: datetime
) -> Event:
    """The event of a delivery, once it is certain that it is ours and of now; WebhookRejectedError otherwise.

    `payload` is the body as it came, byte for byte; `headers` by any case of their names; `secrets` those of the
    endpoint (while one is rotated, both); `now` an aware instant, from which the delivery may be 5 minutes away. An
    event may be delivered again: its `id` is how to know it. Source: Standard Webhooks
    (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
    """
    raw = payload.encode() if isinstance(payload, str) else payload
    keys = [secrets] if isinstance(secrets, str) else list(secrets)
    if not keys or not all(keys):
        raise UsageError("there is no secret to verify with: use the one that adding the endpoint printed")
    message_id, timestamp, signature = (_header(headers, name) for name in (ID, TIMESTAMP, SIGNATURE))
    if not verify_standard(raw, message_id, timestamp, signature, keys, now):
        raise WebhookRejectedError("the delivery is not signed with this secret, or not within 5 minutes: refuse it")
    try:
        event = Event.model_validate_json(raw)
    except ValidationError as cause:
        raise WebhookRejectedError("the delivery is signed, but is not an event: refuse it") from cause
    if event.id != message_id:
        raise WebhookRejectedError("the delivery is signed for another event than its body names: refuse it")
    return event


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header by any case of its name; one that is missing, or is there in two spellings, is blank."""
    found = [value for given, value in headers.items() if given.lower() == name]
    return found[0] if len(found) == 1 else ""
