"""Adyen's notifications as callbacks: each item with its own signature, event codes as data, and the public samples."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.deliveries import ADYEN_KEY, adyen_item, adyen_notification
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import signatures
from zentra_pipeline.sources.adyen_events import callback, read_callbacks

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples"
needs_samples = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample files are not beside the project")
DOCUMENTED_KEYS = (
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174",
)

Json = dict[str, Any]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def rows(content: bytes, secrets: tuple[str, ...] = (), notes: dict[str, int] | None = None) -> list[Json]:
        path = tmp_path / "notifications.json"
        path.write_bytes(content)
        return [row for frame in read_callbacks(path, secrets, notes=notes) for row in frame.to_dicts()]

    return rows


def said(**changes: Any) -> tuple[str | None, ...] | None:
    """What an item says: reference, amount, status and movement type."""
    found = callback(adyen_item("8836MOD", **changes))
    names = ("provider_reference", "amount_minor", "status", "movement_type")
    return None if found is None else tuple(found[name] for name in names)


def test_an_authorised_payment_becomes_a_succeeded_callback(read: Any) -> None:
    assert read(adyen_notification(adyen_item("8836PAY"))) == [
        {
            "provider_event_id": "AUTHORISATION:8836PAY:true",
            "event_type": "AUTHORISATION",
            "provider_reference": "8836PAY",
            "merchant_reference": "order:8836PAY\\",
            "amount_minor": "1130",
            "currency": "EUR",
            "status": "succeeded",
            "occurred_at": "2026-04-26T08:00:00Z",
            "received_at": "2026-04-26T08:00:00Z",
            "sequence": None,
            "signature_verified": None,
            "movement_type": "payment",
            "raw": None,
            "row_number": 1,
            "refusal": None,
            "source_row": None,
        }
    ]


@pytest.mark.parametrize(
    ("code", "success", "expected"),
    [
        ("AUTHORISATION", "false", ("8836PAY", "1130", "failed", "payment")),
        ("CAPTURE", "true", ("8836PAY", "1130", "succeeded", "payment")),
        ("CAPTURE", "false", ("8836PAY", "1130", "failed", "payment")),
        ("CAPTURE_FAILED", "true", ("8836PAY", "1130", "failed", "payment")),
        ("CANCELLATION", "true", ("8836PAY", "1130", "failed", "payment")),
        ("CANCELLATION", "false", None),
        ("REFUND", "true", ("8836MOD", "-1130", "succeeded", "refund")),
        ("REFUND", "false", ("8836MOD", "-1130", "failed", "refund")),
        ("REFUND_FAILED", "true", ("8836MOD", "-1130", "failed", "refund")),
        ("REFUNDED_REVERSED", "true", ("8836MOD", "-1130", "reversed", "refund")),
        ("NOTIFICATION_OF_CHARGEBACK", "true", ("8836MOD", "-1130", "disputed", "chargeback")),
        ("CHARGEBACK", "true", ("8836MOD", "-1130", "succeeded", "chargeback")),
        ("SECOND_CHARGEBACK", "true", ("8836MOD", "-1130", "succeeded", "chargeback")),
        ("CHARGEBACK_REVERSED", "true", ("8836MOD", "1130", "succeeded", "chargeback_reversal")),
        ("REPORT_AVAILABLE", "true", None),
        ("REQUEST_FOR_INFORMATION", "true", None),
    ],
)
def test_an_event_speaks_for_its_own_money(code: str, success: str, expected: tuple[str, ...] | None) -> None:
    assert said(eventCode=code, success=success, originalReference="8836PAY") == expected


@pytest.mark.parametrize(("action", "expected"), [("refund", "-1130"), ("cancel", "1130")])
def test_a_cancel_or_refund_says_which_it_became(action: str, expected: str) -> None:
    additional = {"modification.action": action}
    found = said(eventCode="CANCEL_OR_REFUND", additionalData=additional, originalReference="8836PAY")
    assert found is not None
    assert found[1] == expected


@pytest.mark.parametrize(
    ("currency", "value", "minor"),
    [("ISK", 500, "5"), ("CLP", 1_500, "15"), ("CVE", 12, "1200"), ("IDR", 5, "500"), ("JPY", 7, "7"), ("KWD", 1, "1")],
)
def test_amounts_are_counted_in_adyens_minor_units(currency: str, value: int, minor: str) -> None:
    found = said(amount={"value": value, "currency": currency})
    assert found is not None
    assert found[1] == minor


def test_a_card_that_was_only_checked_moves_no_money() -> None:
    assert said(amount={"value": 0, "currency": "EUR"}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"success": "yes"}, "success: 'yes' is neither 'true' nor 'false'"),
        ({"amount": {"value": 1.5, "currency": "EUR"}}, "amount.value: 1.5 is not a whole number of minor units"),
        ({"amount": {"value": -5, "currency": "EUR"}}, "amount.value: -5 is not a whole number of minor units"),
        ({"amount": {"value": 501, "currency": "ISK"}}, "amount.value: 501 with 2 decimals is not exact with 0"),
        ({"amount": {"value": 5, "currency": "eur"}}, "amount.currency: 'eur' is not an ISO 4217 currency"),
        (
            {"eventDate": "2026-04-26T10:00:00"},
            "eventDate: '2026-04-26T10:00:00' is not an instant such as 2026-01-31T09:30:00+01:00",
        ),
        ({"pspReference": ""}, "pspReference: missing"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_the_field(read: Any, changes: Json, reason: str) -> None:
    good = adyen_item("8836PAY")
    refused, accepted = read(adyen_notification(adyen_item("8836BAD", **changes), good))
    assert (refused["refusal"], refused["row_number"]) == (reason, 1)
    assert json.loads(refused["source_row"])["eventCode"] == "AUTHORISATION"
    assert (accepted["refusal"], accepted["row_number"]) == (None, 2)


def test_a_forged_second_item_is_refused_and_no_other(read: Any) -> None:
    forged = adyen_item("8836B") | {"amount": {"value": 999_999, "currency": "EUR"}}
    body = adyen_notification(adyen_item("8836A"), forged, adyen_item("8836C"))
    envelope = {
        "received_at": "2026-04-26T08:00:05Z",
        "headers": {},
        "body_base64": base64.b64encode(body).decode(),
    }
    for content in (body, json.dumps(envelope).encode()):
        rows = read(content, ("not hex", "00", ADYEN_KEY))
        assert [row["refusal"] for row in rows] == [None, "callback signature not verified", None]
        assert [row["signature_verified"] for row in rows] == ["true", None, "true"]
        assert [row["row_number"] for row in rows] == [1, 2, 3]
    assert rows[0]["received_at"] == "2026-04-26T08:00:05Z"
    with pytest.raises(InputRejectedError, match="a signed delivery, but no secret is configured"):
        read(json.dumps(envelope).encode())


def test_events_that_move_no_money_are_noted(read: Any) -> None:
    notes: dict[str, int] = {}
    report = adyen_item("8836R", eventCode="REPORT_AVAILABLE")
    assert (
        read(
            adyen_notification(report, report, adyen_item("8836C", eventCode="CANCELLATION", success="false")),
            (),
            notes,
        )
        == []
    )
    assert notes == {
        "REPORT_AVAILABLE: no movement of money": 2,
        "CANCELLATION (success: false): no movement of money": 1,
    }


@pytest.mark.parametrize(
    "content", [b'{"notificationItems":1}', b'{"notificationItems":[1]}', b'{"notificationItems":[]}', b"[1]"]
)
def test_what_is_no_notification_is_refused_as_a_row(read: Any, content: bytes) -> None:
    (row,) = read(content)
    assert row["refusal"] in ("not an Adyen notification with notificationItems", "not a JSON object")


@needs_samples
def test_the_documented_signatures_hold_and_a_change_of_any_signed_value_breaks_them() -> None:
    vector = json.loads((SHARED / "signatures" / "vectors.json").read_text(encoding="utf-8"))["adyen"]
    mocks = sorted((SHARED / "adyen" / "Adyen__adyen-python-api-library" / "test" / "mocks" / "util").glob("*.json"))
    items = [vector["item"] | {"additionalData": {"hmacSignature": vector["signature"]}}]
    items += [json.loads(path.read_text(encoding="utf-8")) for path in mocks]
    assert len(items) == 3
    for item in items:
        assert signatures.verify_adyen(item, DOCUMENTED_KEYS)
        assert not signatures.verify_adyen(item, ("00", "not hex"))
        for name in (
            "pspReference",
            "originalReference",
            "merchantAccountCode",
            "merchantReference",
            "eventCode",
            "success",
        ):
            assert not signatures.verify_adyen(item | {name: f"{item.get(name, '')}x"}, DOCUMENTED_KEYS)
        assert not signatures.verify_adyen(item | {"amount": item["amount"] | {"value": 1}}, DOCUMENTED_KEYS)


@needs_samples
def test_every_sample_notification_is_a_callback_or_moves_no_money(tmp_path: Path) -> None:
    found = 0
    for path in sorted((SHARED / "adyen").glob("**/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "notificationItems" in content:
            rows = [row for frame in read_callbacks(path) for row in frame.to_dicts()]
            assert all(row["refusal"] is None for row in rows)
            found += len(rows)
    assert found >= 30
