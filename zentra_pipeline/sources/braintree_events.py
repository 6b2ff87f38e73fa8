"""Braintree's webhooks as canonical callbacks: a form of `bt_signature` and `bt_payload`, which is XML in base64.

A notification has no id of its own: kind, subject and timestamp identify it. What a kind says is data (seed
provider_event_types). Does not belong here: settled transactions (braintree).
Sources: developer.paypal.com/braintree/docs/reference/general/webhooks.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from zentra_pipeline.sources.body_signatures import BRAINTREE_FIELDS, braintree_form, verify_braintree_payload
from zentra_pipeline.sources.provider_events import (
    Callback,
    EventFormat,
    Json,
    each,
    inner,
    minor_decimal,
    occurred,
    optional,
    said,
    signed,
    text,
)

_FORMAT = "braintree"
_SUBJECTS = ("transaction", "dispute")
_DEPTH = 16


def event_of(body: bytes) -> dict[str, Any]:
    """The notification of a posted form; ValueError where it is none."""
    found = braintree_form(body)
    if found is None:
        raise ValueError(f"not a form with {' and '.join(BRAINTREE_FIELDS)}, as Braintree posts it")
    return notification(found[1])


def notification(payload: str) -> dict[str, Any]:
    """A notification's fields by their names, objects within objects; ValueError where the payload is no XML of one."""
    try:
        content = base64.b64decode("".join(payload.split()), validate=True)
        root = etree.fromstring(
            content, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
        )
    except (binascii.Error, ValueError) as cause:
        raise ValueError("bt_payload: not base64") from cause
    except etree.XMLSyntaxError as cause:
        raise ValueError("bt_payload: not the XML of a notification") from cause
    if root.getroottree().docinfo.doctype:
        raise ValueError("bt_payload: a document type, which no notification has")
    found = _fields(root, 0)
    return found if isinstance(found, dict) else {}


def callback(event: Json) -> Callback | str:
    """The canonical callback of a notification, or why it moves no money; ValueError when it cannot be believed."""
    if "bt_payload" in event:
        event = notification(text(event, "bt_payload"))
    kind, subject = text(event, "kind"), inner(event, "subject")
    found = said(_FORMAT, kind)
    name = next((each for each in _SUBJECTS if each in subject), None)
    if found is None or name is None:
        return f"{kind}: no movement of money"
    about = inner(subject, name)
    amount, currency = minor_decimal(about.get("amount"), about.get("currency-iso-code"), "amount")
    occurred_at = occurred(event, "timestamp")
    reference = text(about, "id")
    is_credit = name == "transaction" and about.get("type") == "credit"
    movement = "refund" if is_credit else found.movement_type
    return {
        "provider_event_id": f"{kind}:{reference}:{occurred_at}",
        "event_type": kind,
        "provider_reference": reference,
        "merchant_reference": optional(about, "order-id") or optional(inner(about, "transaction"), "id"),
        "amount_minor": signed(amount, movement),
        "currency": currency,
        "status": found.status,
        "occurred_at": occurred_at,
        "movement_type": movement,
    }


def _fields(element: "etree._Element", depth: int) -> dict[str, Any] | str | None:
    """Text of an element without children, else its children by name; the first of several with one name."""
    if depth > _DEPTH:
        raise ValueError("bt_payload: nested too deeply")
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return (element.text or "").strip() or None
    found: dict[str, Any] = {}
    for child in children:
        found.setdefault(str(child.tag), _fields(child, depth + 1))
    return found


def _callbacks(event: Json) -> "Iterator[Callback | str | ValueError]":
    return each([event], callback)


def _is_signed(event: Json, secrets: Sequence[str]) -> bool:
    given = [optional(event, field) or "" for field in BRAINTREE_FIELDS]
    return verify_braintree_payload(given[0], given[1], secrets)


EVENTS = EventFormat(_FORMAT, _callbacks, "<public key>=<private key>", event_of, _is_signed)
