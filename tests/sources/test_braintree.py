"""Braintree's settled transactions, its signed notifications, and the samples that are its own and are not."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements, body_signatures
from zentra_pipeline.sources.braintree import parts
from zentra_pipeline.sources.braintree_events import EVENTS
from zentra_pipeline.sources.provider_events import read_callbacks

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "other-psp"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are not beside the project")
AT = "2026-04-14T09:30:00Z"
KEYS = "public=private"


def usd(value: str) -> dict[str, str]:
    return {"value": value, "currencyCode": "USD"}


def transaction(id: str, value: str = "12.50", **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "orderId": "0042",
        "status": "SETTLED",
        "amount": usd(value),
        "statusHistory": [{"timestamp": AT, "settlementBatchId": "2026-04-14_shop_a1"}, []],
        "disbursementDetails": {"date": "2026-04-15", "amount": usd(value)},
    } | changes


def lines(path: Path, *found: object, notes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    path.write_text(json.dumps(found), encoding="utf-8")
    frames = bank_statements.settlement_frames(parts(path, path.name, {} if notes is None else notes), path.name)
    return [line for frame in frames for line in frame.to_dicts()]


def test_settled_transactions_are_lines_under_the_id_that_webhooks_have(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    original = base64.b64encode(b"transaction_447840rc").decode().rstrip("=")
    found = lines(
        tmp_path / "batch.json",
        transaction(original),
        transaction("bare"),
        transaction("cmVmdW5kXzR6MXlyZ3o1", "2.00", refundedTransaction={"id": original}, orderId=None),
        transaction("eur", amount={"value": "11.00", "currencyCode": "EUR"}),
        transaction("early", status="SETTLING"),
        transaction("held", disbursementDetails=None),
        notes=notes,
    )
    shown = ("line_type", "provider_reference", "merchant_reference", "original_reference", "net_minor", "batch_id")
    assert [tuple(line[key] for key in shown) for line in found] == [
        ("payment", "447840rc", "0042", None, "1250", "2026-04-14_shop_a1"),
        ("payment", "bare", "0042", None, "1250", "2026-04-14_shop_a1"),
        ("refund", "4z1yrgz5", None, "447840rc", "-200", "2026-04-14_shop_a1"),
        ("payment", "eur", "0042", None, "1250", "2026-04-14_shop_a1"),
    ]
    assert (found[3]["presentment_minor"], found[3]["presentment_currency"]) == ("1100", "EUR")
    assert {line["settled_at"] for line in found} == {"2026-04-15T00:00:00Z"}
    assert notes == {"SETTLING: not settled": 1, "SETTLED: not disbursed yet": 1}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"gateway_txn_id": "x", "gross": "3.33"},
            "no disbursementDetails: not a transaction as Braintree's API returns",
        ),
        (
            transaction("t", disbursementDetails={"amount": usd("12.49")}),
            "its amount is 1250 and what was disbursed 1249",
        ),
        (transaction("t", "12.505"), "t: disbursementDetails.amount.value: '12.505' is not an amount in USD"),
    ],
)
def test_what_is_no_transaction_is_refused_with_the_reason(tmp_path: Path, found: Any, words: str) -> None:
    with pytest.raises(InputRejectedError) as refusal:
        lines(tmp_path / "batch.json", found)
    assert words in str(refusal.value)


def payload(kind: str, subject: str) -> str:
    content = (
        f'<notification><timestamp type="datetime">{AT}</timestamp><kind>{kind}</kind><subject>{subject}</subject>'
    )
    return base64.encodebytes(f"{content}</notification>".encode()).decode()


def form(text: str, private: str = "private", public: str = "public") -> bytes:
    key = hashlib.sha1(private.encode(), usedforsecurity=False).digest()
    signature = f"other|00&{public}|{hmac.new(key, text.encode(), hashlib.sha1).hexdigest()}"
    return urlencode({"bt_signature": signature, "bt_payload": text}).encode()


def read(path: Path, content: object, secrets: tuple[str, ...] = (KEYS,), notes: Any = None) -> list[dict[str, Any]]:
    path.write_text(json.dumps(content), encoding="utf-8")
    return [row for frame in read_callbacks(EVENTS, path, secrets, notes=notes) for row in frame.to_dicts()]


def envelope(raw: bytes) -> dict[str, Any]:
    return {"received_at": AT, "headers": {}, "body_base64": base64.b64encode(raw).decode()}


_COMMON = "<amount>12.50</amount><currency-iso-code>USD</currency-iso-code>"
SALE = f"<transaction><id>447840rc</id><type>{{}}</type>{_COMMON}<order-id>0042</order-id></transaction>"
DISPUTE = f"<dispute><id>dp1</id>{_COMMON}<transaction><id>447840rc</id></transaction></dispute>"


@pytest.mark.parametrize(
    ("kind", "subject", "expected"),
    [
        ("transaction_settled", SALE.format("sale"), ("447840rc", "0042", "1250", "succeeded", "payment")),
        ("transaction_disbursed", SALE.format("credit"), ("447840rc", "0042", "-1250", "succeeded", "refund")),
        ("transaction_settlement_declined", SALE.format("sale"), ("447840rc", "0042", "1250", "failed", "payment")),
        ("dispute_opened", DISPUTE, ("dp1", "447840rc", "-1250", "disputed", "chargeback")),
        ("dispute_lost", DISPUTE, ("dp1", "447840rc", "-1250", "succeeded", "chargeback")),
        ("dispute_won", DISPUTE, ("dp1", "447840rc", "1250", "succeeded", "chargeback_reversal")),
    ],
)
def test_a_signed_notification_speaks_for_its_money(tmp_path: Path, kind: str, subject: str, expected: Any) -> None:
    (row,) = read(tmp_path / "e.json", envelope(form(payload(kind, subject))))
    keys = ("provider_reference", "merchant_reference", "amount_minor", "status", "movement_type")
    assert tuple(row[key] for key in keys) == expected
    assert (row["provider_event_id"], row["signature_verified"]) == (f"{kind}:{expected[0]}:{AT}", "true")


def test_a_forged_notification_is_refused_with_or_without_an_envelope(tmp_path: Path) -> None:
    text = payload("transaction_settled", SALE.format("sale"))
    for raw in (
        form(text, private="guessed"),
        form(text, public="another"),
        form(text).replace(b"bt_payload=", b"bt_payload=QQ"),
    ):
        (row,) = read(tmp_path / "e.json", envelope(raw))
        assert row["refusal"] in (
            "callback signature not verified",
            "body: bt_payload: not the XML of a notification",
            "body: bt_payload: not base64",
        )
        assert not body_signatures.verify_braintree(raw, (KEYS,))
    found = dict(zip(("bt_signature", "bt_payload"), body_signatures.braintree_form(form(text)) or (), strict=True))
    (kept,) = read(tmp_path / "e.json", found)
    assert (kept["refusal"], kept["signature_verified"]) == (None, "true")
    (forged,) = read(tmp_path / "e.json", found | {"bt_signature": "public|00"})
    assert forged["refusal"] == "callback signature not verified"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{}", "not a form with bt_signature and bt_payload"),
        (b"bt_signature=a&bt_payload=b&bt_payload=c", "not a form with bt_signature and bt_payload"),
        (form(base64.b64encode(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>").decode()), "a document type"),
        (form(base64.b64encode(b"<a>" * 300 + b"</a>" * 300).decode()), "bt_payload: "),
    ],
)
def test_what_is_no_notification_is_refused_as_a_row(tmp_path: Path, raw: bytes, words: str) -> None:
    (row,) = read(tmp_path / "e.json", envelope(raw))
    assert words in row["refusal"]


def test_notifications_about_anything_else_are_noted(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    assert read(tmp_path / "e.json", envelope(form(payload("check", "<check>true</check>"))), notes=notes) == []
    assert notes == {"check: no movement of money": 1}


@needs_samples
def test_the_samples_are_read_or_refused_with_their_reason() -> None:
    folder = next(SAMPLES.glob("*/PaymentProviders/Braintree/Tests/Data"))
    found = inspect("braintree", folder / "raw_settlement_batch_report.json").statements
    assert [(each.entries, each.signed_sum_minor, each.currency) for each in found] == [
        *[(1, 310, "USD"), (1, 300, "USD")],
        (1, 310, "USD"),
    ]
    for path in folder.glob("settlement_batch_report*.json"):
        with pytest.raises(InputRejectedError, match="another program's extract"):
            inspect("braintree", path)
