"""What one Stripe webhook event says about one movement of money, as a canonical callback.

Amounts are in Stripe's minor units and become ISO 4217's, signed like the settlement line: money out (refunds,
disputes, payouts, transfers) is negative. Does not belong here: files, signatures, settlement reports.
Sources: docs.stripe.com/api/events/types, docs.stripe.com/currencies, docs.stripe.com/api/disputes/object,
docs.stripe.com/api/checkout/sessions/object, docs.stripe.com/changelog/2022-11-15/deprecates-charges-auto-expand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from zentra_pipeline import money, vocabulary
from zentra_pipeline.errors import ZentraError

Json = Mapping[str, Any]

_LAST_SECOND = 253_402_300_799


@dataclass(frozen=True)
class _Movement:
    """What an event's object says: the reference, the amount in Stripe's minor units, signed, and its state.

    `reference` is None where the event names none of the movement's own. `movement_type` is None for payouts, transfers
    and top-ups, which are none of the contract's types. `merchant_reference` is given where it is not the object's.
    """

    reference: str | None
    amount: Any
    status: str
    movement_type: str | None
    merchant_reference: str | None = None


def callback(event: Json) -> dict[str, str | None] | None:
    """The canonical callback of an event, all values text; None when the event is about no movement of money.

    ValueError with the reason when the event cannot be believed: not an event, a status or currency nobody knows, an
    amount that is no integer or has no exact ISO counterpart.
    """
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if event.get("object") != "event" or not isinstance(data, dict) or not isinstance(subject, dict):
        raise ValueError("not a Stripe event with data.object")
    event_type = _text(event, "type")
    created = event.get("created")
    if type(created) is not int or not 0 <= created <= _LAST_SECOND:
        raise ValueError(f"created: {created!r} is not Unix seconds")
    occurred = datetime.fromtimestamp(created, UTC)
    read = _SUBJECTS.get(str(subject.get("object")))
    if read is None:
        return None
    movement = read(event_type, subject, data.get("previous_attributes"))
    if movement is None:
        return None
    currency = _text(subject, "currency").upper()
    return {
        "provider_event_id": _text(event, "id"),
        "event_type": event_type,
        "provider_reference": movement.reference,
        "merchant_reference": movement.merchant_reference or _merchant_reference(subject),
        "amount_minor": str(_iso_minor(movement.amount, currency, occurred)),
        "currency": currency,
        "status": movement.status,
        "occurred_at": occurred.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "movement_type": movement.movement_type,
    }


def _charge(event_type: str, charge: Json, previous: object) -> _Movement | None:
    """A charge counts as succeeded once captured; before that it is an authorization, which moves no money."""
    if event_type == "charge.refunded":
        return _refund_of_charge(charge, previous)
    status = charge.get("status", "succeeded" if charge.get("paid") is True else "failed")
    if event_type == "charge.expired":
        status = "failed"
    if status == "succeeded" and charge.get("captured") is False:
        status = "pending"
    captured = charge.get("amount_captured")
    amount = captured if status == "succeeded" and captured else charge.get("amount")
    return _Movement(_required(charge.get("id")), amount, _status("charge", status, _SAME), "payment")


def _refund_of_charge(charge: Json, previous: object) -> _Movement | None:
    """The newest refund listed in `charge.refunded`, else what was refunded more than before, under no id of its own.

    API versions since 2022-11-15 list no refunds. None where the event says neither.
    """
    refunds = charge.get("refunds")
    known = refunds.get("data") if isinstance(refunds, dict) else None
    if isinstance(known, list) and known and all(isinstance(refund, dict) for refund in known):
        return _refund("", max(known, key=lambda refund: (str(refund.get("created")), str(refund.get("id")))), None)
    refunded = charge.get("amount_refunded")
    before = previous.get("amount_refunded") if isinstance(previous, dict) else None
    if type(refunded) is not int or _merchant_reference(charge) is None:
        return None
    amount = refunded - (before if type(before) is int else 0)
    return _Movement(None, -amount, "succeeded", "refund") if amount > 0 else None


def _payment_intent(event_type: str, intent: Json, _: object) -> _Movement:
    charges = intent.get("charges")
    listed = charges.get("data") if isinstance(charges, dict) else None
    newest = listed[0] if isinstance(listed, list) and listed else None
    reference = intent.get("latest_charge") or newest or intent.get("id")
    status = "failed" if event_type == "payment_intent.payment_failed" else intent.get("status")
    received = intent.get("amount_received")
    amount = received if status == "succeeded" and received else intent.get("amount")
    return _Movement(_required(reference), amount, _status("payment intent", status, _INTENT), "payment")


def _checkout_session(event_type: str, session: Json, _: object) -> _Movement | None:
    """A paid session is a success of its payment intent, one whose delayed payment failed is a failure.

    Its only reference is the intent: callbacks of the intent or its charge, which name the charge, have precedence.
    """
    intent = session.get("payment_intent")
    reference = intent.get("id") if isinstance(intent, dict) else intent
    if not isinstance(reference, str) or not reference:
        return None
    if event_type == "checkout.session.async_payment_failed":
        status = "failed"
    elif session.get("payment_status") == "paid":
        status = "succeeded"
    else:
        return None
    return _Movement(reference, session.get("amount_total"), status, "payment", merchant_reference=reference)


def _refund(_: str, refund: Json, __: object) -> _Movement:
    status = refund.get("status") or "succeeded"
    amount = _negative(refund.get("amount"))
    return _Movement(_required(refund.get("id")), amount, _status("refund", status, _REFUND), "refund")


def _dispute(event_type: str, dispute: Json, _: object) -> _Movement | None:
    """A withdrawal or a loss is the chargeback, a reinstatement or a win its reversal; until then it is disputed.

    An inquiry (`warning_…`) and a dispute that was prevented move no money.
    """
    status, amount, reference = dispute.get("status"), dispute.get("amount"), _required(dispute.get("id"))
    is_closed = event_type == "charge.dispute.closed"
    if event_type == "charge.dispute.funds_reinstated" or (is_closed and status == "won"):
        return _Movement(reference, amount, "succeeded", "chargeback_reversal")
    if event_type == "charge.dispute.funds_withdrawn" or (is_closed and status == "lost"):
        return _Movement(reference, _negative(amount), "succeeded", "chargeback")
    if isinstance(status, str) and (status.startswith("warning_") or status == "prevented"):
        return None
    return _Movement(reference, _negative(amount), "disputed", "chargeback")


def _payout(_: str, payout: Json, __: object) -> _Movement:
    status = _status("payout", payout.get("status"), _PAYOUT)
    return _Movement(_required(payout.get("id")), _negative(payout.get("amount")), status, None)


def _transfer(_: str, transfer: Json, __: object) -> _Movement:
    """Transfers to connected accounts have no status of their own today: they succeed at once, unless reversed."""
    status = transfer.get("status") or ("canceled" if transfer.get("reversed") is True else "paid")
    amount = _negative(transfer.get("amount"))
    return _Movement(_required(transfer.get("id")), amount, _status("transfer", status, _PAYOUT), None)


def _topup(_: str, topup: Json, __: object) -> _Movement:
    status = _status("top-up", topup.get("status"), _TOPUP)
    return _Movement(_required(topup.get("id")), topup.get("amount"), status, None)


_SAME = {status: status for status in ("pending", "succeeded", "failed")}
_INTENT = {
    "requires_payment_method": "pending",
    "requires_confirmation": "pending",
    "requires_action": "pending",
    "requires_capture": "pending",
    "processing": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
_REFUND = {**_SAME, "requires_action": "pending", "canceled": "failed"}
_PAYOUT = {
    "pending": "pending",
    "in_transit": "pending",
    "paid": "succeeded",
    "failed": "failed",
    "canceled": "reversed",
}
_TOPUP = {**_SAME, "canceled": "failed", "reversed": "reversed"}

_SUBJECTS: Mapping[str, Callable[[str, Json, object], _Movement | None]] = {
    "charge": _charge,
    "payment_intent": _payment_intent,
    "checkout.session": _checkout_session,
    "refund": _refund,
    "dispute": _dispute,
    "payout": _payout,
    "transfer": _transfer,
    "topup": _topup,
}


def _status(what: str, status: object, canonical: Mapping[str, str]) -> str:
    found = canonical.get(status) if isinstance(status, str) else None
    if found is None:
        raise ValueError(f"status: {status!r} of a {what} is not known")
    return found


def _negative(amount: object) -> object:
    return -amount if type(amount) is int else amount


def _iso_minor(amount: object, currency: str, on: datetime) -> int:
    if type(amount) is not int:
        raise ValueError(f"amount: {amount!r} is not an integer")
    try:
        stripe = vocabulary.provider_exponent("stripe", "api", currency, on.date())
    except ZentraError as cause:
        raise ValueError(f"currency: {currency!r} is not an ISO 4217 currency") from cause
    try:
        return money.rescaled(amount, stripe, vocabulary.exponent(currency))
    except ValueError as cause:
        raise ValueError(f"amount: {cause}") from cause


def _required(value: object) -> str:
    """An id, given bare or as the expanded object; ValueError where there is none."""
    found = value.get("id") if isinstance(value, dict) else value
    if not isinstance(found, str) or not found:
        raise ValueError("data.object.id: missing")
    return found


def _merchant_reference(subject: Json) -> str | None:
    """The only metadata value, else the payment intent: with two values nobody can tell which is the order's."""
    metadata = subject.get("metadata")
    values = [value for value in metadata.values() if value not in ("", None)] if isinstance(metadata, dict) else []
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    intent = subject.get("id") if subject.get("object") == "payment_intent" else subject.get("payment_intent")
    found = intent.get("id") if isinstance(intent, dict) else intent
    return found if isinstance(found, str) and found else None


def _text(content: Json, key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}: missing")
    return value
