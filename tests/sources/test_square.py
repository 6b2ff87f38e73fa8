"""Square's payout entries, payouts and webhooks, and the samples of its API."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements, body_signatures
from zentra_pipeline.sources.provider_events import read_callbacks
from zentra_pipeline.sources.square import parts
from zentra_pipeline.sources.square_events import EVENTS, callback

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are not beside the project")
AT = "2026-04-14T09:30:00Z"


def money(amount: int, currency: str = "USD") -> dict[str, Any]:
    return {"amount": amount, "currency_code": currency}


def entry(number: int, kind: str, gross: int, fee: int, **details: str) -> dict[str, Any]:
    amounts = zip(("gross", "fee", "net"), (gross, fee, gross - fee), strict=True)
    return {
        "id": f"poe_{number}",
        "payout_id": "po_1",
        "type": kind,
        "effective_at": AT,
        f"type_{kind.lower()}_details": details,
    } | {f"{key}_amount_money": money(amount) for key, amount in amounts}


CHARGE = entry(1, "CHARGE", 10_000, 290, payment_id="pay_007")
REFUND = entry(2, "REFUND", -5_000, -145, payment_id="pay_007", refund_id="ref_1")
PAYOUT = {"payout": {"id": "po_1", "status": "PAID", "amount_money": money(4_855), "created_at": AT, "type": "BATCH"}}


def lines(path: Path, *pages: object) -> list[dict[str, Any]]:
    path.write_text("\n".join(json.dumps(page) for page in pages), encoding="utf-8")
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_entries_and_their_payout_are_lines_that_come_to_zero(tmp_path: Path) -> None:
    path = tmp_path / "payout.jsonl"
    found = lines(path, {"payout_entries": [CHARGE], "cursor": "next"}, {"payout_entries": [REFUND]}, PAYOUT)
    shown = (
        "line_id",
        "line_type",
        "provider_reference",
        "original_reference",
        "gross_minor",
        "fee_minor",
        "net_minor",
    )
    assert [tuple(line[key] for key in shown) for line in found] == [
        ("poe_1", "payment", "pay_007", None, "10000", "290", "9710"),
        ("poe_2", "refund", "ref_1", "pay_007", "-5000", "-145", "-4855"),
        ("po_1", "payout", "po_1", None, "-4855", "0", "-4855"),
    ]
    assert {(line["currency"], line["batch_id"], line["settled_at"]) for line in found} == {("USD", "po_1", AT)}
    (statement,) = inspect("square", path).statements
    assert (statement.id, statement.entries, statement.signed_sum_minor, statement.ties) == ("po_1", 2, 4_855, True)


def test_an_answer_without_anything_is_a_file_without_lines(tmp_path: Path) -> None:
    assert lines(tmp_path / "p.jsonl", {}) == []


def test_a_page_that_is_missing_is_seen_by_the_payout_and_one_saved_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "payout.jsonl"
    with pytest.raises(
        InputRejectedError, match=r"payout po_1: its amount is 48\.55 USD, and its 1 items come to 97\.10"
    ):
        lines(path, PAYOUT, {"payout_entries": [CHARGE], "cursor": "next"})
    assert len(lines(path, {"payout_entries": [CHARGE, REFUND]}, {"payout_entries": [REFUND]}, PAYOUT)) == 4
    assert lines(path, {"payout_entries": []}) == []


@pytest.mark.parametrize(
    ("entry", "line_type", "reference"),
    [
        (entry(3, "DISPUTE", -900, 0, payment_id="pay_1", dispute_id="dis_1"), "chargeback", "dis_1"),
        (entry(3, "DISPUTE", 900, 0, payment_id="pay_1", dispute_id="dis_1"), "chargeback_reversal", "dis_1"),
        (entry(3, "DEPOSIT_FEE", -95, 0, payout_id="po_1"), "fee", "poe_3"),
        (entry(3, "RESERVE_HOLD", -95, 0), "reserve", "poe_3"),
        (entry(3, "SQUARE_CAPITAL_PAYMENT", -95, 0, payment_id="pay_1"), "adjustment", "pay_1"),
    ],
)
def test_an_entrys_type_says_what_it_is(tmp_path: Path, entry: Any, line_type: str, reference: str) -> None:
    (line,) = lines(tmp_path / "p.json", {"payout_entries": [entry]})
    assert (line["line_type"], line["provider_reference"]) == (line_type, reference)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"payments": []}, "none of payout_entries, payouts, payout"),
        ({"payout_entries": 1}, "payout_entries: not a list of objects"),
        (
            {"payout_entries": [CHARGE | {"net_amount_money": money(1)}]},
            "gross, fee and net are 100.00 USD, 2.90 USD, 0.01",
        ),
        (
            {"payout_entries": [CHARGE | {"gross_amount_money": {"amount": 1.5, "currency": "USD"}}]},
            "'1.5' is not a whole",
        ),
        ({"payout_entries": [CHARGE | {"gross_amount_money": money(1, "ZZZ")}]}, "'ZZZ' is not an ISO 4217 currency"),
        ({"payout_entries": [CHARGE | {"id": None}]}, "id: missing"),
        ({"payout_entries": [CHARGE | {"id": "\ud800"}]}, "id: half of a surrogate pair is not text"),
    ],
)
def test_what_is_no_payout_is_refused_with_the_reason(tmp_path: Path, page: object, words: str) -> None:
    with pytest.raises(InputRejectedError) as refusal:
        lines(tmp_path / "p.json", page)
    assert words in str(refusal.value) and str(refusal.value).startswith("p.json: object 1: ")


def event(kind: str, subject: dict[str, Any], at: str = AT) -> dict[str, Any]:
    content = {"id": subject["id"], "type": kind, "object": {kind: subject}}
    return {"event_id": f"evt-{subject['id']}", "type": f"{kind}.updated", "created_at": at, "data": content}


PAYMENT = {
    "id": "pay_1",
    "status": "COMPLETED",
    "total_money": {"amount": 1_250, "currency": "USD"},
    "reference_id": "o1",
}


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("payment", {}, ("pay_1", "o1", "1250", "succeeded", "payment", None)),
        ("payment", {"status": "APPROVED"}, ("pay_1", "o1", "1250", "pending", "payment", None)),
        ("payment", {"status": "CANCELED"}, ("pay_1", "o1", "1250", "failed", "payment", None)),
        (
            "refund",
            {"id": "ref_1", "reference_id": None, "payment_id": "pay_1", "version": 7},
            ("ref_1", "pay_1", "-1250", "succeeded", "refund", "7"),
        ),
        ("refund", {"id": "ref_1", "status": "REJECTED"}, ("ref_1", "o1", "-1250", "failed", "refund", None)),
        ("dispute", {"id": "dis_1", "state": "PROCESSING"}, ("dis_1", "o1", "-1250", "disputed", "chargeback", None)),
        ("dispute", {"id": "dis_1", "state": "LOST"}, ("dis_1", "o1", "-1250", "succeeded", "chargeback", None)),
        ("dispute", {"id": "dis_1", "state": "WON"}, ("dis_1", "o1", "1250", "succeeded", "chargeback_reversal", None)),
        ("dispute", {"id": "dis_1", "state": "INQUIRY_PROCESSING"}, None),
    ],
)
def test_an_event_speaks_for_its_money(kind: str, changes: dict[str, Any], expected: Any) -> None:
    subject = PAYMENT | {"amount_money": PAYMENT["total_money"]} | changes
    found = callback(event(kind, subject))
    keys = ("provider_reference", "merchant_reference", "amount_minor", "status", "movement_type", "sequence")
    assert (None if isinstance(found, str) else tuple(found[key] for key in keys)) == expected


def test_the_url_is_signed_with_the_body() -> None:
    raw = json.dumps(event("payment", PAYMENT)).encode()
    digest = hmac.new(b"key", b"https://shop.example/hook?a=1,2@3" + raw, hashlib.sha256).digest()
    header = base64.b64encode(digest).decode()
    assert body_signatures.verify_square(raw, header, ("other@https://x", "key@https://shop.example/hook?a=1,2@3"))
    for secret in ("key", "key@", "key@https://shop.example/hook", "other@https://shop.example/hook?a=1,2@3"):
        assert not body_signatures.verify_square(raw, header, (secret,))
    assert not body_signatures.verify_square(raw + b" ", header, ("key@https://shop.example/hook?a=1,2@3",))


def test_a_delivery_that_nobody_signed_goes_to_quarantine(tmp_path: Path) -> None:
    body = json.dumps(event("payment", PAYMENT))
    header = base64.b64encode(hmac.new(b"key", b"https://x" + body.encode(), hashlib.sha256).digest()).decode()
    path = tmp_path / "hooks.jsonl"
    envelopes = [
        {"received_at": AT, "headers": {"X-Square-HmacSha256-Signature": sent}, "body": body}
        for sent in (header, "x", "é")
    ]
    path.write_text("\n".join(map(json.dumps, envelopes)), encoding="utf-8")
    rows = [row for frame in read_callbacks(EVENTS, path, ("key@https://x",)) for row in frame.to_dicts()]
    assert [row["refusal"] for row in rows] == [None, *["callback signature not verified"] * 2]
    assert (rows[0]["signature_verified"], rows[0]["received_at"]) == ("true", AT)
    with pytest.raises(InputRejectedError, match="to <signature key>@<notification URL>"):
        list(read_callbacks(EVENTS, path))


@needs_samples
def test_the_published_signature_holds() -> None:
    vector = json.loads((SAMPLES / "signatures" / "vectors.json").read_text(encoding="utf-8"))["square"]
    secret, body = f"{vector['secret']}@{vector['url']}", vector["body"].encode()
    assert body_signatures.verify_square(body, vector["signature"], (secret,))
    assert not body_signatures.verify_square(body + b"\n", vector["signature"], (secret,))


@needs_samples
def test_the_samples_of_the_api_and_of_webhooks_are_read(tmp_path: Path) -> None:
    (statement,) = inspect("square", SAMPLES / "square" / "ListPayoutEntriesResponse.json").statements
    assert (statement.entries, statement.signed_sum_minor, statement.currency, statement.ties) == (2, 33, "USD", None)
    payouts = inspect("square", SAMPLES / "square" / "ListPayoutsResponse.json").statements
    assert [(each.entries, each.ties) for each in payouts] == [(0, None), (0, None)]
    said: dict[str, Any] = {}
    for path in sorted((SAMPLES / "square").glob("*Event.json")):
        notes: dict[str, int] = {}
        rows = [row for frame in read_callbacks(EVENTS, path, notes=notes) for row in frame.to_dicts()]
        assert all(row["refusal"] is None for row in rows), path.name
        said[path.name] = [(row["movement_type"], row["status"]) for row in rows] or list(notes)
    assert said["PaymentUpdatedEvent.json"] == [("payment", "succeeded")]
    assert said["RefundCreatedEvent.json"] == [("refund", "pending")]
    assert said["DisputeCreatedEvent.json"] == [("chargeback", "disputed")]
    assert said["PayoutPaidEvent.json"] == ["payout.paid: no movement of money"]
    assert said["InvoicePaymentMadeEvent.json"] == ["invoice.payment_made: no movement of money"]
