"""A receiver believes a delivery only when it is signed by us, of now, and the event that it says."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from zentra_pipeline.client import WebhookRejectedError, verify_webhook
from zentra_pipeline.errors import UsageError
from zentra_pipeline.webhooks import signing

NOW = datetime(2026, 4, 27, 10, tzinfo=UTC)
OLD, NEW = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
EVENT = {
    "specversion": "1.0",
    "id": "evt_1",
    "type": "reconciliation.run.created",
    "source": "/tenants/acme",
    "subject": "run_1",
    "time": "2026-04-27T10:00:00.000000Z",
    "tenant": "acme",
    "actor": "a",
    "runid": "run_1",
    "data": {"owner": "é"},
}
BODY = json.dumps(EVENT, ensure_ascii=False)


def headers(body: str = BODY, at: datetime = NOW, message_id: str = "evt_1", *keys: str) -> dict[str, str]:
    return signing.headers(message_id, at, body, keys or (NEW,))


def test_what_is_signed_is_parsed_as_an_event() -> None:
    for payload in (BODY, BODY.encode()):
        event = verify_webhook(payload, headers(), [NEW], NOW)
        assert (event.id, event.type, event.data) == ("evt_1", "reconciliation.run.created", {"owner": "é"})


def test_what_the_library_of_standard_webhooks_signs_is_taken() -> None:
    given = {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(int(NOW.timestamp()))}
    given["Webhook-Signature"] = Webhook(NEW).sign("evt_1", NOW, BODY)
    assert verify_webhook(BODY, given, NEW, NOW).id == "evt_1"


def test_while_a_secret_is_rotated_either_is_enough_on_either_side() -> None:
    both = headers(BODY, NOW, "evt_1", OLD, NEW)
    assert verify_webhook(BODY, both, [OLD], NOW).id == verify_webhook(BODY, both, [NEW], NOW).id
    assert verify_webhook(BODY, headers(), [OLD, NEW], NOW).id == "evt_1"


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_delivery_of_another_time_is_refused(minutes: int) -> None:
    with pytest.raises(WebhookRejectedError):
        verify_webhook(BODY, headers(), [NEW], NOW + timedelta(minutes=minutes))
    assert verify_webhook(BODY, headers(), [NEW], NOW + timedelta(minutes=minutes * 5 // 6)).id == "evt_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-id": "evt_2"},
        {"webhook-id": "evt.1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": ""},
        {"Webhook-Id": "evt_1"},
    ],
)
def test_headers_that_do_not_hold_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(WebhookRejectedError):
        verify_webhook(BODY, headers() | changes, [NEW], NOW)


def test_another_body_or_secret_is_refused() -> None:
    for body, secret in ((BODY + " ", NEW), (BODY.replace("run_1", "run_2"), NEW), (BODY, OLD)):
        with pytest.raises(WebhookRejectedError):
            verify_webhook(body, headers(), [secret], NOW)


def test_a_signed_delivery_that_is_no_event_or_another_is_refused() -> None:
    other: dict[str, Any] = EVENT | {"id": "evt_2"}
    for body in ("{}", "[", json.dumps(other)):
        with pytest.raises(WebhookRejectedError):
            verify_webhook(body, headers(body), [NEW], NOW)


def test_verifying_without_a_secret_is_a_mistake_and_never_a_yes() -> None:
    for secrets in ([], "", [""], [NEW, ""]):
        with pytest.raises(UsageError):
            verify_webhook(BODY, headers(), secrets, NOW)
