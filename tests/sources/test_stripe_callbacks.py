"""Stripe's webhook events as callbacks: file shapes, mappings, signatures of envelopes, and the public samples."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline import vocabulary
from zentra_pipeline.contracts import callbacks
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import stripe_events
from zentra_pipeline.sources.deliveries import EVENT_BYTES
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK
from zentra_pipeline.sources.stripe import read_callbacks

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "stripe"
CORPUS = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora" / "JSONTestSuite" / "test_parsing"

Json = dict[str, Any]
Read = Callable[..., list[Json]]

WHSEC = "whsec_made_up"
CREATED = 1_777_204_800
CREATED_AT = "2026-04-26T12:00:00Z"
CHARGE: Json = {
    "id": "ch_1",
    "object": "charge",
    "amount": 2500,
    "amount_captured": 2500,
    "captured": True,
    "currency": "usd",
    "metadata": {},
    "paid": True,
    "payment_intent": "pi_1",
    "status": "succeeded",
}
INTENT: Json = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 2500,
    "amount_received": 2500,
    "currency": "usd",
    "latest_charge": "ch_1",
    "status": "succeeded",
}
REFUND: Json = {
    "id": "re_1",
    "object": "refund",
    "amount": 1000,
    "charge": "ch_1",
    "currency": "usd",
    "payment_intent": "pi_1",
    "status": "succeeded",
}
DISPUTE: Json = {
    "id": "du_1",
    "object": "dispute",
    "amount": 2500,
    "charge": "ch_1",
    "currency": "usd",
    "payment_intent": "pi_1",
    "status": "needs_response",
}
SESSION: Json = {
    "id": "cs_1",
    "object": "checkout.session",
    "amount_total": 2500,
    "currency": "usd",
    "metadata": {},
    "payment_intent": "pi_1",
    "payment_status": "paid",
    "status": "complete",
}
PAYOUT: Json = {"id": "po_1", "object": "payout", "amount": 9000, "currency": "usd", "status": "paid"}
TRANSFER: Json = {"id": "tr_1", "object": "transfer", "amount": 700, "currency": "usd", "reversed": False}
TOPUP: Json = {"id": "tu_1", "object": "topup", "amount": 700, "currency": "usd", "status": "succeeded"}


def event(event_type: str, subject: Json, **changes: Any) -> Json:
    return {
        "id": "evt_1",
        "object": "event",
        "created": CREATED,
        "type": event_type,
        "data": {"object": subject},
    } | changes


CHARGED = event("charge.succeeded", CHARGE)


def envelope(body: str, *, key: str = WHSEC, received_at: str = CREATED_AT, **changes: Any) -> Json:
    signed = f"{CREATED}.{body}".encode()
    digest = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
    return {
        "received_at": received_at,
        "headers": {"Stripe-Signature": f"t={CREATED},v1={digest}"},
        "body": body,
    } | changes


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def rows(content: str | bytes, secrets: tuple[str, ...] = (), notes: dict[str, int] | None = None) -> list[Json]:
        path = tmp_path / "events.json"
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return [row for frame in read_callbacks(path, secrets, notes=notes) for row in frame.to_dicts()]

    return rows


def test_a_captured_charge_becomes_a_succeeded_callback(read: Read) -> None:
    assert read(json.dumps(CHARGED)) == [
        {
            "provider_event_id": "evt_1",
            "event_type": "charge.succeeded",
            "provider_reference": "ch_1",
            "merchant_reference": "pi_1",
            "amount_minor": "2500",
            "currency": "USD",
            "status": "succeeded",
            "occurred_at": CREATED_AT,
            "received_at": CREATED_AT,
            "sequence": None,
            "signature_verified": None,
            "movement_type": "payment",
            "raw": None,
            "row_number": 1,
            "refusal": None,
            "source_row": None,
        }
    ]


def test_a_frame_has_the_contracts_columns_and_its_lineage(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(CHARGED), encoding="utf-8")
    frame = next(read_callbacks(path))
    assert frame.columns == [*callbacks.CONTRACT.columns, "raw", "row_number", "refusal", "source_row"]


@pytest.mark.parametrize(
    ("subject", "event_type", "reference", "amount_minor", "status"),
    [
        (CHARGE, "charge.succeeded", "ch_1", "2500", "succeeded"),
        (CHARGE, "charge.updated", "ch_1", "2500", "succeeded"),
        (CHARGE | {"amount_captured": 1500}, "charge.captured", "ch_1", "1500", "succeeded"),
        (CHARGE | {"captured": False, "amount_captured": 0}, "charge.succeeded", "ch_1", "2500", "pending"),
        (CHARGE | {"status": "pending", "captured": True}, "charge.pending", "ch_1", "2500", "pending"),
        (CHARGE | {"status": "failed", "captured": False}, "charge.failed", "ch_1", "2500", "failed"),
        (CHARGE | {"captured": False}, "charge.expired", "ch_1", "2500", "failed"),
        (CHARGE | {"amount_refunded": 1000}, "charge.refunded", None, "-1000", "succeeded"),
        (CHARGE | {"amount_refunded": 900, "refunds": {"data": []}}, "charge.refunded", None, "-900", "succeeded"),
        (
            CHARGE | {"refunds": {"data": [REFUND | {"created": 2}, REFUND | {"created": 1, "id": "re_0"}]}},
            *("charge.refunded", "re_1", "-1000", "succeeded"),
        ),
        (INTENT, "payment_intent.succeeded", "ch_1", "2500", "succeeded"),
        (INTENT | {"amount_received": 1500}, "payment_intent.succeeded", "ch_1", "1500", "succeeded"),
        (INTENT | {"latest_charge": {"id": "ch_2"}}, "payment_intent.succeeded", "ch_2", "2500", "succeeded"),
        (
            INTENT | {"latest_charge": None, "charges": {"data": [{"id": "ch_3"}]}},
            *("payment_intent.succeeded", "ch_3", "2500", "succeeded"),
        ),
        (
            INTENT | {"latest_charge": None, "status": "requires_payment_method", "amount_received": 0},
            *("payment_intent.created", "pi_1", "2500", "pending"),
        ),
        (INTENT | {"status": "requires_payment_method"}, "payment_intent.payment_failed", "ch_1", "2500", "failed"),
        (INTENT | {"status": "processing"}, "payment_intent.processing", "ch_1", "2500", "pending"),
        (INTENT | {"status": "requires_action"}, "payment_intent.requires_action", "ch_1", "2500", "pending"),
        (INTENT | {"status": "canceled"}, "payment_intent.canceled", "ch_1", "2500", "failed"),
        (REFUND, "refund.created", "re_1", "-1000", "succeeded"),
        (REFUND | {"status": "pending"}, "refund.created", "re_1", "-1000", "pending"),
        (REFUND | {"status": "requires_action"}, "refund.updated", "re_1", "-1000", "pending"),
        (REFUND | {"status": "failed"}, "refund.failed", "re_1", "-1000", "failed"),
        (REFUND | {"status": "canceled"}, "charge.refund.updated", "re_1", "-1000", "failed"),
        (DISPUTE, "charge.dispute.created", "du_1", "-2500", "disputed"),
        (DISPUTE | {"status": "under_review"}, "charge.dispute.updated", "du_1", "-2500", "disputed"),
        (DISPUTE, "charge.dispute.funds_withdrawn", "du_1", "-2500", "succeeded"),
        (DISPUTE | {"status": "won"}, "charge.dispute.funds_reinstated", "du_1", "2500", "succeeded"),
        (DISPUTE | {"status": "won"}, "charge.dispute.closed", "du_1", "2500", "succeeded"),
        (DISPUTE | {"status": "lost"}, "charge.dispute.closed", "du_1", "-2500", "succeeded"),
        (SESSION, "checkout.session.completed", "pi_1", "2500", "succeeded"),
        (SESSION, "checkout.session.async_payment_succeeded", "pi_1", "2500", "succeeded"),
        (SESSION | {"payment_intent": {"id": "pi_2"}}, "checkout.session.completed", "pi_2", "2500", "succeeded"),
        (SESSION | {"payment_status": "unpaid"}, "checkout.session.async_payment_failed", "pi_1", "2500", "failed"),
        (PAYOUT | {"status": "in_transit"}, "payout.created", "po_1", "-9000", "pending"),
        (PAYOUT, "payout.paid", "po_1", "-9000", "succeeded"),
        (PAYOUT | {"status": "failed"}, "payout.failed", "po_1", "-9000", "failed"),
        (PAYOUT | {"status": "canceled"}, "payout.canceled", "po_1", "-9000", "reversed"),
        (TRANSFER, "transfer.created", "tr_1", "-700", "succeeded"),
        (TRANSFER | {"reversed": True}, "transfer.reversed", "tr_1", "-700", "reversed"),
        (TRANSFER | {"status": "pending"}, "transfer.created", "tr_1", "-700", "pending"),
        (TOPUP, "topup.succeeded", "tu_1", "700", "succeeded"),
        (TOPUP | {"status": "reversed"}, "topup.reversed", "tu_1", "700", "reversed"),
    ],
)
def test_an_event_says_reference_signed_amount_and_status(
    subject: Json, event_type: str, reference: str | None, amount_minor: str, status: str
) -> None:
    found = stripe_events.callback(event(event_type, subject))
    assert found is not None
    assert (found["provider_reference"], found["amount_minor"], found["status"]) == (reference, amount_minor, status)
    assert found["status"] in vocabulary.values("callback_status")


@pytest.mark.parametrize(
    ("subject", "event_type", "movement_type"),
    [
        (CHARGE, "charge.succeeded", "payment"),
        (CHARGE | {"status": "failed"}, "charge.failed", "payment"),
        (CHARGE | {"amount_refunded": 1000}, "charge.refunded", "refund"),
        (INTENT, "payment_intent.succeeded", "payment"),
        (SESSION, "checkout.session.completed", "payment"),
        (REFUND, "refund.created", "refund"),
        (DISPUTE, "charge.dispute.created", "chargeback"),
        (DISPUTE, "charge.dispute.funds_withdrawn", "chargeback"),
        (DISPUTE | {"status": "lost"}, "charge.dispute.closed", "chargeback"),
        (DISPUTE | {"status": "won"}, "charge.dispute.closed", "chargeback_reversal"),
        (DISPUTE | {"status": "won"}, "charge.dispute.funds_reinstated", "chargeback_reversal"),
        (PAYOUT, "payout.paid", None),
        (TRANSFER, "transfer.created", None),
        (TOPUP, "topup.succeeded", None),
    ],
)
def test_an_event_says_what_kind_of_movement_it_is_about(
    subject: Json, event_type: str, movement_type: str | None
) -> None:
    found = stripe_events.callback(event(event_type, subject))
    assert found is not None
    assert found["movement_type"] == movement_type


def test_a_refund_of_a_charge_is_what_was_refunded_more_than_before() -> None:
    second = CHARGE | {"amount_refunded": 1500}
    reported = event("charge.refunded", second) | {
        "data": {"object": second, "previous_attributes": {"amount_refunded": 900}}
    }
    found = stripe_events.callback(reported)
    assert found is not None
    assert (found["provider_reference"], found["merchant_reference"], found["amount_minor"]) == (None, "pi_1", "-600")


@pytest.mark.parametrize(
    ("subject", "event_type"),
    [
        (DISPUTE | {"status": "warning_needs_response"}, "charge.dispute.created"),
        (DISPUTE | {"status": "warning_under_review"}, "charge.dispute.updated"),
        (DISPUTE | {"status": "warning_closed"}, "charge.dispute.closed"),
        (DISPUTE | {"status": "prevented"}, "charge.dispute.closed"),
        (CHARGE, "charge.refunded"),
        (CHARGE | {"amount_refunded": 0}, "charge.refunded"),
        (CHARGE | {"amount_refunded": 900, "payment_intent": None}, "charge.refunded"),
        (SESSION | {"payment_status": "unpaid"}, "checkout.session.completed"),
        (SESSION | {"payment_status": "no_payment_required", "payment_intent": None}, "checkout.session.completed"),
        (SESSION | {"payment_status": "unpaid"}, "checkout.session.expired"),
    ],
)
def test_an_event_that_says_of_no_money_that_it_moved_gives_no_callback(subject: Json, event_type: str) -> None:
    assert stripe_events.callback(event(event_type, subject)) is None


def test_a_session_speaks_for_its_payment_intent_whatever_its_own_metadata_say() -> None:
    found = stripe_events.callback(event("checkout.session.completed", SESSION | {"metadata": {"cart": "9"}}))
    assert found is not None
    assert found["merchant_reference"] == "pi_1"


@pytest.mark.parametrize(
    ("subject", "reference"),
    [
        (CHARGE | {"metadata": {"order": "A-17"}}, "A-17"),
        (CHARGE | {"metadata": {"order": "A-17", "note": ""}}, "A-17"),
        (CHARGE | {"metadata": {"order": "A-17", "channel": "web"}}, "pi_1"),
        (CHARGE | {"metadata": None}, "pi_1"),
        (CHARGE | {"payment_intent": {"id": "pi_9"}}, "pi_9"),
        (CHARGE | {"payment_intent": None}, None),
        (INTENT, "pi_1"),
        (REFUND, "pi_1"),
        (PAYOUT, None),
    ],
)
def test_the_merchants_reference_is_the_only_metadata_value_or_the_payment_intent(
    subject: Json, reference: str | None
) -> None:
    found = stripe_events.callback(event("any.type", subject))
    assert found is not None
    assert found["merchant_reference"] == reference


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        *(("usd", 2500, "2500"), ("jpy", 1500, "1500"), ("kwd", 1230, "1230")),
        *(("mga", 5, "500"), ("isk", 500, "5"), ("ugx", 1200, "12"), ("huf", 12300, "12300"), ("USD", 0, "0")),
    ],
)
def test_stripes_minor_units_become_iso_minor_units(currency: str, amount: int, minor: str) -> None:
    subject = CHARGE | {"currency": currency, "amount": amount, "amount_captured": amount}
    found = stripe_events.callback(event("charge.succeeded", subject))
    assert found is not None
    assert found["amount_minor"] == minor


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        (
            event("charge.succeeded", CHARGE | {"currency": "isk", "amount_captured": 501}),
            "amount: 501 with 2 decimals",
        ),
        (event("charge.succeeded", CHARGE | {"currency": "xyz"}), "currency: 'XYZ' is not an ISO 4217 currency"),
        (event("charge.succeeded", CHARGE | {"currency": None}), "currency: missing"),
        (event("charge.succeeded", CHARGE | {"amount_captured": "2500"}), "amount: '2500' is not an integer"),
        (event("charge.succeeded", CHARGE | {"amount_captured": 25.0}), "amount: 25.0 is not an integer"),
        (event("charge.succeeded", CHARGE | {"amount_captured": True}), "amount: True is not an integer"),
        (event("payout.paid", PAYOUT | {"amount": None}), "amount: None is not an integer"),
        (event("charge.succeeded", CHARGE | {"status": "maybe"}), "status: 'maybe' of a charge is not known"),
        (event("refund.created", REFUND | {"status": ["x"]}), "status: ['x'] of a refund is not known"),
        (event("charge.succeeded", CHARGE | {"id": ""}), "data.object.id: missing"),
        (event("charge.succeeded", CHARGE, id=None), "id: missing"),
        (event("", CHARGE), "type: missing"),
        (event("charge.succeeded", CHARGE, created="1777204800"), "created: '1777204800' is not Unix seconds"),
        (event("charge.succeeded", CHARGE, created=True), "created: True is not Unix seconds"),
        (event("charge.succeeded", CHARGE, created=-1), "created: -1 is not Unix seconds"),
        (event("charge.succeeded", CHARGE, created=10**15), "is not Unix seconds"),
        (event("charge.succeeded", CHARGE, object="charge"), "not a Stripe event"),
        (event("charge.succeeded", CHARGE, data=None), "not a Stripe event"),
        (event("charge.succeeded", CHARGE, data={"object": []}), "not a Stripe event"),
        (
            event("charge.succeeded", CHARGE | {"metadata": {"order": "\ud800"}}),
            "merchant_reference: half of a surrogate",
        ),
        ({}, "not a Stripe event"),
        (CHARGE, "not a Stripe event"),
    ],
)
def test_an_event_that_cannot_be_believed_refuses_its_row_and_no_other(read: Read, changed: Json, refusal: str) -> None:
    first, second = read(json.dumps(changed) + "\n" + json.dumps(CHARGED) + "\n")
    assert refusal in first["refusal"]
    assert json.loads(first["source_row"]) == changed
    assert (second["refusal"], second["row_number"]) == (None, 2)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(CHARGED),
        json.dumps(CHARGED, indent=2),
        json.dumps([CHARGED]),
        json.dumps([CHARGED], indent=2),
        json.dumps(CHARGED) + "\n",
        "\n\n" + json.dumps(CHARGED) + "\r\n\n",
        "\ufeff" + json.dumps(CHARGED),
        "\ufeff" + json.dumps(CHARGED, indent=2),
        "[" + json.dumps(CHARGED) + "\n]",
    ],
)
def test_one_event_reads_alike_in_every_shape(read: Read, content: str) -> None:
    assert read(content) == read(json.dumps(CHARGED))


def test_many_events_keep_their_order_and_numbers(read: Read) -> None:
    events = [CHARGED | {"id": f"evt_{number}"} for number in range(20_000)]
    rows = read("\n".join(json.dumps(one) for one in events))
    assert [(row["row_number"], row["provider_event_id"]) for row in rows] == [
        (number + 1, one["id"]) for number, one in enumerate(events)
    ]
    assert read(json.dumps(events)) == rows


@pytest.mark.parametrize("content", ["", "\n\n", "[]", "[ ]", "\ufeff"])
def test_a_file_without_events_has_no_rows(read: Read, content: str) -> None:
    assert read(content) == []


def test_events_about_anything_else_are_counted_and_give_no_row(read: Read) -> None:
    other = event("customer.created", {"id": "cus_1", "object": "customer"})
    notes: dict[str, int] = {}
    assert [row["row_number"] for row in read(json.dumps([other, CHARGED, other]), notes=notes)] == [2]
    assert notes == {"customer.created: no movement of money": 2}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(CHARGED)[:-1],
        json.dumps(CHARGED) + "x",
        json.dumps(CHARGED, indent=2) + json.dumps(CHARGED, indent=2),
        json.dumps([CHARGED])[:-1],
        json.dumps([CHARGED]) + "]",
        f"[{json.dumps(CHARGED)},]",
        f"[{json.dumps(CHARGED)} {json.dumps(CHARGED)}]",
        json.dumps(CHARGED) + "\n{",
        json.dumps(CHARGED).replace("2500", "NaN"),
        "[",
        '"text"',
        "17",
        "id,type\nevt_1,charge.succeeded\n",
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps(CHARGED).encode("utf-16"),
        json.dumps(CHARGED).encode() + b"\n\xff\n",
    ],
)
def test_a_broken_file_is_refused_whole(read: Read, content: str | bytes) -> None:
    with pytest.raises(InputRejectedError, match=r"^events\.json: "):
        read(content)


def test_a_line_beyond_the_limit_is_refused_without_reading_on(read: Read) -> None:
    with pytest.raises(InputRejectedError, match="line 2: longer than"):
        read(json.dumps(CHARGED) + '\n{"a":"' + "x" * EVENT_BYTES + '"}')


def test_an_array_may_be_longer_than_any_stretch_held_at_once(read: Read) -> None:
    events = [CHARGED | {"id": f"evt_{number}", "note": "é" * 50_000} for number in range(100)]
    rows = read("[" + " ,\n ".join(json.dumps(one, ensure_ascii=False) for one in events) + "]\n")
    assert [row["provider_event_id"] for row in rows] == [one["id"] for one in events]


def test_an_event_of_an_array_beyond_the_limit_is_refused(read: Read) -> None:
    with pytest.raises(InputRejectedError, match="event 2: "):
        read(json.dumps([CHARGED, {"a": "x" * EVENT_BYTES}]))


def test_an_object_of_many_keys_with_one_twice_is_refused_at_once(read: Read) -> None:
    keys = ",".join(f'"k{number}":0' for number in range(50_000))
    (row,) = read("{" + keys + ',"k49999":0}')
    assert row["refusal"] == "key 'k49999' appears twice in one object"


def test_a_key_that_is_there_twice_refuses_its_row(read: Read) -> None:
    twice = json.dumps(CHARGED).replace('"amount": 2500', '"amount": 1, "amount": 2500')
    first, second = read(twice + "\n" + json.dumps(CHARGED))
    assert first["refusal"] == "key 'amount' appears twice in one object"
    assert first["source_row"] == twice
    assert second["refusal"] is None


@pytest.mark.parametrize("number", ["2500.0", "2.5e3", "9" * 30, "9" * 6_000])
def test_an_amount_written_as_another_number_refuses_its_row(read: Read, number: str) -> None:
    (row,) = read(json.dumps(CHARGED).replace("2500", number))
    assert row["refusal"] == f"amount: {number} is not an integer"


def test_a_signed_delivery_is_verified_and_received_when_it_says(read: Read) -> None:
    delivery = envelope(json.dumps(CHARGED), received_at="2026-04-26T12:04:59.250Z")
    (row,) = read(json.dumps(delivery), secrets=(WHSEC,))
    assert (row["signature_verified"], row["received_at"], row["occurred_at"]) == (
        "true",
        "2026-04-26T12:04:59.250Z",
        CREATED_AT,
    )
    assert row["refusal"] is None


def test_a_body_may_be_given_as_base64(read: Read) -> None:
    plain = envelope(json.dumps(CHARGED, indent=2))
    encoded = plain | {"body_base64": base64.b64encode(plain["body"].encode()).decode()}
    del encoded["body"]
    assert read(json.dumps(encoded), secrets=(WHSEC,)) == read(json.dumps(plain), secrets=(WHSEC,))


def test_the_header_is_found_in_any_case(read: Read) -> None:
    plain = envelope(json.dumps(CHARGED))
    lower = plain | {"headers": {"stripe-signature": plain["headers"]["Stripe-Signature"]}}
    assert read(json.dumps(lower), secrets=(WHSEC,))[0]["signature_verified"] == "true"


@pytest.mark.parametrize("secrets", [(WHSEC, "whsec_new"), ("whsec_new", WHSEC)])
def test_during_a_rotation_either_secret_verifies(read: Read, secrets: tuple[str, ...]) -> None:
    assert read(json.dumps(envelope(json.dumps(CHARGED))), secrets=secrets)[0]["signature_verified"] == "true"


@pytest.mark.parametrize(
    "changes",
    [
        {"body": json.dumps(CHARGED | {"id": "evt_2"})},
        {"received_at": "2026-04-26T12:05:01Z"},
        {"headers": {}},
        {"headers": {"Stripe-Signature": ""}},
        {"headers": {"Stripe-Signature": "t=1,v1=é"}},
        {"headers": {"Stripe-Signature": "t=1", "stripe-signature": "t=1"}},
    ],
)
def test_a_delivery_whose_signature_does_not_hold_is_refused(read: Read, changes: Json) -> None:
    delivery = envelope(json.dumps(CHARGED)) | changes
    (row,) = read(json.dumps(delivery), secrets=(WHSEC,))
    assert row["refusal"] == "callback signature not verified"
    assert json.loads(row["source_row"]) == delivery


def test_a_forged_event_about_anything_else_is_refused_not_skipped(read: Read) -> None:
    other = json.dumps(event("customer.created", {"id": "cus_1", "object": "customer"}))
    (row,) = read(json.dumps(envelope(other, key="whsec_forged")), secrets=(WHSEC,))
    assert row["refusal"] == "callback signature not verified"


def test_signed_deliveries_without_a_configured_secret_are_refused_whole(read: Read) -> None:
    with pytest.raises(InputRejectedError, match="ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER>"):
        read(json.dumps(envelope(json.dumps(CHARGED))))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"body": "not json"}, "body: "),
        ({"body": "[]"}, "body: not a JSON object"),
        ({"body": '{"a":1,"a":2}'}, "body: key 'a' appears twice in one object"),
        ({"body": CHARGED}, "body: not a text"),
        ({"body": '"\ud800"'}, "body: "),
        ({"body_base64": "e30="}, "body: given twice"),
        ({"headers": []}, "headers: not an object of texts"),
        ({"headers": {"Stripe-Signature": 1}}, "headers: not an object of texts"),
        ({"received_at": CREATED}, "received_at: not an instant"),
        ({"received_at": "yesterday"}, "received_at: 'yesterday' is not an instant"),
        ({"received_at": "2026-02-30T00:00:00Z"}, "day is out of range"),
    ],
)
def test_a_malformed_envelope_refuses_its_row(read: Read, changes: Json, refusal: str) -> None:
    good = envelope(json.dumps(CHARGED))
    first, second = read("\n".join(json.dumps(one) for one in (good | changes, good)), secrets=(WHSEC,))
    assert first["refusal"].startswith(refusal) or refusal in first["refusal"]
    assert second["refusal"] is None


@pytest.mark.parametrize("text", ["***", "e30", "e3\u00e9="])
def test_a_body_that_is_no_base64_refuses_its_row(read: Read, text: str) -> None:
    delivery = {"received_at": CREATED_AT, "headers": {}, "body_base64": text}
    (row,) = read(json.dumps(delivery), secrets=(WHSEC,))
    assert row["refusal"].startswith("body: ")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_value_anywhere_in_an_event_is_an_unexpected_error(value: Any) -> None:
    subjects = (CHARGE, INTENT, REFUND, DISPUTE, PAYOUT, TRANSFER, TOPUP)
    changed = [event("charge.dispute.closed", subject | {key: value}) for subject in subjects for key in subject]
    changed += [
        event("charge.refunded", CHARGE | {"refunds": {"data": value}}),
        event("charge.refunded", CHARGE | {"refunds": value}),
    ]
    changed += [event("payment_intent.succeeded", INTENT | {"latest_charge": None, "charges": {"data": [value]}})]
    changed += [CHARGED | {key: value} for key in CHARGED]
    for one in changed:
        try:
            stripe_events.callback(one)
        except ValueError as refusal:
            assert str(refusal)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_every_public_sample_event_is_a_callback_or_no_movement_of_money() -> None:
    paths = [
        path for path in SAMPLES.rglob("*.json") if "webhook_fixtures" in str(path) or path.name.startswith("event_")
    ]
    rows: dict[str, Json] = {}
    notes: dict[str, int] = {}
    for path in paths:
        for frame in read_callbacks(path, notes=notes):
            for row in frame.to_dicts():
                rows[path.name] = row
    assert len(paths) > 70
    assert len(rows) + sum(notes.values()) == len(paths)
    assert {name: (row["status"], row["amount_minor"]) for name, row in rows.items()} == {
        "charge.captured.json": ("succeeded", "100"),
        "charge.failed.json": ("failed", "2000"),
        "charge.succeeded.json": ("succeeded", "2000"),
        "charge.updated.json": ("succeeded", "1000"),
        "checkout.session.completed.json": ("succeeded", "3000"),
        "checkout.session.completed.payment_mode.json": ("succeeded", "25000"),
        "payment_intent.created.json": ("pending", "2000"),
        "payment_intent.payment_failed.json": ("failed", "2000"),
        "payment_intent.requires_action.json": ("pending", "2000"),
        "payment_intent.succeeded.json": ("succeeded", "2000"),
        "transfer.created.json": ("pending", "-67"),
        "transfer.failed.json": ("failed", "-67"),
        "transfer.paid.json": ("succeeded", "-67"),
        "transfer.updated.json": ("pending", "-67"),
    }
    for row in rows.values():
        assert row["refusal"] is None
        assert datetime.fromisoformat(row["occurred_at"]).tzinfo == UTC


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_a_bare_object_or_a_fixture_collection_is_refused_with_a_reason() -> None:
    paths = [
        path for path in SAMPLES.rglob("*.json") if path.name.startswith(("charge_", "payment_intent_", "fixtures3"))
    ]
    for path in paths:
        (row,) = (row for frame in read_callbacks(path) for row in frame.to_dicts())
        assert row["refusal"] == "not a Stripe event with data.object"


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpora are not beside this checkout")
def test_no_malformed_json_gets_in_and_none_crashes_the_reader() -> None:
    paths = sorted(CORPUS.glob("*.json"))
    assert len(paths) > 280
    for path in paths:
        refusals, rejection = outcome(path)
        assert None not in refusals, f"{path.name}: no document of the collection is an event"
        if path.name.startswith("n_") and path.read_bytes().removeprefix(BYTE_ORDER_MARK).strip():
            assert rejection, path.name
        if path.name.startswith("y_"):
            assert not rejection or "neither an object nor an array" in rejection, path.name


def outcome(path: Path) -> tuple[list[str | None], str]:
    """The refusals of a file's rows, and why the file as a whole was refused."""
    try:
        return [row["refusal"] for frame in read_callbacks(path) for row in frame.to_dicts()], ""
    except InputRejectedError as rejected:
        return [], str(rejected)
