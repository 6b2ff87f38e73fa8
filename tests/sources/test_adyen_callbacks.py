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
    "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00",
    "9064450A8892A093D9E97EFCC9639DE31B74F3A7803135555A3C96F5A57915D6",
)
_TEST_PAYMENT = ("7914073381342284", "", "TestMerchant", "TestPayment-1407325143704")
PUBLISHED_VECTORS = (
    (*_TEST_PAYMENT, 1130, "AUTHORISATION", "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="),
    (*_TEST_PAYMENT, 1130, "AUTHORISATION", "Ny9gS2veKo5E4w8/OL6xz1/wvT/hYkAXy1xNc/QvO4I="),
    (
        *("M8NB66SBZSGLNK82", "", "AntoniStroinski", ":slashes are fun"),
        *(1000, "AUTHORISATION", "2EQYm7YJpKO4EtHSPu55SQTyWf8dkW5u2nD1tJFpViA="),
    ),
    (*_TEST_PAYMENT, 0, "REFUND", "J7HhsgZo5KwqdB7LFZJV6rfQgp+RqC2kuYyw/3x3w+8="),
    (
        *("pspReference", "originalReference", "merchantAccount", "reference"),
        *(1000, "CAPTURE", "xhpHvYq2u2Np0rstbZ6QjLGu7JWhvf7Iwaa6EviJSX0="),
    ),
    (
        *("test_REPORT_AVAILABLE", "", "Magento2Rik", "testMerchantRef1"),
        *("0", "REPORT_AVAILABLE", "NuEkADFmlCC6VgX+wcoPAegIWxVPNBPCuKlM4Hzo5qc="),
    ),
)
"""Signed values and signature as Adyen's client libraries (Python, Ruby, PHP, Node, Java) test them; EUR, success."""

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
def test_a_cancel_or_refund_says_which_it_was(action: str, expected: str) -> None:
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


def check_signature(item: Json) -> None:
    """Hold an item's signature against the published keys, then against a change of every value that it signs."""
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
        assert not signatures.verify_adyen(item | {name: f"{item.get(name, '')}x"}, DOCUMENTED_KEYS), name
    assert not signatures.verify_adyen(item | {"amount": item["amount"] | {"value": 1}}, DOCUMENTED_KEYS)
    assert not signatures.verify_adyen(item | {"amount": item["amount"] | {"currency": "USD"}}, DOCUMENTED_KEYS)


@pytest.mark.parametrize("vector", PUBLISHED_VECTORS, ids=lambda vector: str(vector[-1])[:8])
def test_the_signatures_that_adyens_libraries_publish_hold(vector: tuple[Any, ...]) -> None:
    psp, original, account, merchant, value, code, signature = vector
    check_signature(
        {
            "pspReference": psp,
            "originalReference": original,
            "merchantAccountCode": account,
            "merchantReference": merchant,
            "amount": {"value": value, "currency": "EUR"},
            "eventCode": code,
            "success": "true",
            "additionalData": {"hmacSignature": signature},
        }
    )


@needs_samples
def test_of_all_signed_items_among_the_samples_those_with_a_known_key_hold() -> None:
    """Three have their key beside them. Of the others, five signatures of 2017 (in eleven files) have a key that was
    never published, and the rest holds a placeholder that is no base64 at all."""
    vector = json.loads((SHARED / "signatures" / "vectors.json").read_text(encoding="utf-8"))["adyen"]
    items = [vector["item"] | {"additionalData": {"hmacSignature": vector["signature"]}}]
    for path in sorted((SHARED / "adyen").glob("**/*.json")):
        items += signed_items(json.loads(path.read_text(encoding="utf-8")))
    holding = [item for item in items if signatures.verify_adyen(item, DOCUMENTED_KEYS)]
    for item in holding:
        check_signature(item)
    without_key = [item["additionalData"]["hmacSignature"] for item in items if item not in holding]
    real = [signature for signature in without_key if len(signature) == 44]
    assert (len(holding), len(real), len(set(real))) == (3, 11, 5)
    assert {signature[:8] for signature in without_key if signature not in real} == {"b0ea55c2", "YOUR_HMA"}


def signed_items(content: object) -> list[Json]:
    """Every item with a signature in a document, wherever it is."""
    if isinstance(content, list):
        return [item for each in content for item in signed_items(each)]
    if not isinstance(content, dict):
        return []
    additional = content.get("additionalData")
    if "pspReference" in content and isinstance(additional, dict) and "hmacSignature" in additional:
        return [content]
    return [item for each in content.values() for item in signed_items(each)]


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
