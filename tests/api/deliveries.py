"""Callbacks as a provider sends them: bodies, and the headers that sign them. Nothing is sent here."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

PROVIDER = "signed_rail"
STRIPE = "stripe"
ADYEN = "adyen"
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C"
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()


def callback(number: int, **changes: object) -> bytes:
    """The body of a canonical callback."""
    content = {
        "provider_event_id": f"evt_{number}",
        "event_type": "payment.succeeded",
        "provider_reference": f"pay_{number}",
        "merchant_reference": None,
        "amount_minor": 1000 + number,
        "currency": "USD",
        "status": "succeeded",
        "occurred_at": "2026-04-26T08:00:00Z",
    }
    return json.dumps(content | changes).encode()


def signed(body: bytes, message_id: str = "msg_1", at: int | None = None, key: str = SECRET) -> dict[str, str]:
    """The headers of Standard Webhooks, as our own callbacks are signed."""
    at = int(time.time()) if at is None else at
    raw = base64.b64decode(key.removeprefix("whsec_")) if key.startswith("whsec_") else key.encode()
    digest = hmac.new(raw, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def stripe_signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header of Stripe."""
    at = int(time.time())
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={digest}"}


def stripe_charge(number: int) -> bytes:
    """A Stripe event about a captured charge."""
    charge = {"id": f"ch_{number}", "object": "charge", "amount": 1000, "currency": "usd", "status": "succeeded"}
    event = {"id": f"evt_{number}", "object": "event", "type": "charge.succeeded", "created": 1_777_190_400}
    return json.dumps(event | {"data": {"object": charge | {"captured": True, "paid": True}}}).encode()


def adyen_item(psp: str, key: str = ADYEN_KEY, **changes: object) -> dict[str, object]:
    """An item of an Adyen notification, signed: a payment of 11.30 EUR that was authorised."""
    item: dict[str, object] = {
        "pspReference": psp,
        "originalReference": "",
        "merchantAccountCode": "LanternEU",
        "merchantReference": f"order:{psp}\\",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "eventDate": "2026-04-26T10:00:00+02:00",
        "success": "true",
    }
    item |= changes
    amount = item["amount"]
    assert isinstance(amount, dict)
    before = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
    values = [*(item[name] for name in before), amount["value"], amount["currency"], item["eventCode"], item["success"]]
    signed_text = ":".join(str(value) for value in values)
    digest = hmac.new(bytes.fromhex(key), signed_text.encode(), hashlib.sha256).digest()
    return {"additionalData": {"hmacSignature": base64.b64encode(digest).decode()}} | item


def adyen_notification(*items: dict[str, object]) -> bytes:
    """The body of an Adyen delivery."""
    wrapped = [{"NotificationRequestItem": item} for item in items]
    return json.dumps({"live": "true", "notificationItems": wrapped}).encode()


def _square() -> tuple[bytes, dict[str, str], str]:
    payment = {"id": "pay_1", "status": "COMPLETED", "total_money": {"amount": 1250, "currency": "USD"}}
    event = {"event_id": "sq_1", "type": "payment.updated", "created_at": "2026-04-26T08:00:00Z"}
    body = json.dumps(event | {"data": {"object": {"payment": payment}}}).encode()
    digest = hmac.new(SECRET.encode(), b"https://shop.example/hooks" + body, hashlib.sha256).digest()
    return body, _JSON | {"x-square-hmacsha256-signature": base64.b64encode(digest).decode()}, "sq_1"


def _gocardless() -> tuple[bytes, dict[str, str], str]:
    event = {"id": "EV1", "resource_type": "payments", "action": "confirmed", "created_at": "2026-04-26T08:00:00Z"}
    linked = {"payments": [{"id": "PM1", "amount": 1250, "currency": "GBP"}]}
    body = json.dumps({"events": [event | {"links": {"payment": "PM1"}}], "linked": linked}).encode()
    return body, _JSON | {"webhook-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}, "EV1"


def _braintree() -> tuple[bytes, dict[str, str], str]:
    sale = "<transaction><id>t1</id><amount>12.50</amount><currency-iso-code>USD</currency-iso-code></transaction>"
    text = (
        '<notification><timestamp type="datetime">2026-04-26T08:00:00Z</timestamp>'
        f"<kind>transaction_settled</kind><subject>{sale}</subject></notification>"
    )
    payload = base64.encodebytes(text.encode()).decode()
    key = hashlib.sha1(SECRET.encode(), usedforsecurity=False).digest()
    signature = f"public|{hmac.new(key, payload.encode(), hashlib.sha1).hexdigest()}"
    body = urlencode({"bt_signature": signature, "bt_payload": payload}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return body, form, "transaction_settled:t1:2026-04-26T08:00:00Z"


_JSON = {"Content-Type": "application/json"}
SIGNED_BODIES = {"square": _square(), "gocardless": _gocardless(), "braintree": _braintree()}
"""Provider that signs the whole body → a signed delivery about 12.50, its headers and its event id."""
