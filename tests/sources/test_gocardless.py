"""GoCardless's payouts with their items, its webhooks of many events, and the samples of its library."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements, body_signatures
from zentra_pipeline.sources.gocardless import parts
from zentra_pipeline.sources.gocardless_events import EVENTS
from zentra_pipeline.sources.provider_events import read_callbacks

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are not beside the project")
AT = "2026-04-14T09:30:00.000Z"
KEY = "gocardless-key"


def payout(amount: int, **changes: object) -> dict[str, Any]:
    stated = {"id": "PO1", "amount": amount, "currency": "GBP", "created_at": AT, "status": "paid", "reference": "AC-7"}
    return {"payouts": stated | changes}


def item(kind: str, amount: str, **links: str) -> dict[str, Any]:
    return {"type": kind, "amount": amount, "links": links}


def lines(path: Path, *pages: object) -> list[dict[str, Any]]:
    path.write_text("\n".join(json.dumps(page) for page in pages), encoding="utf-8")
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_items_and_their_payout_are_lines_that_come_to_zero(tmp_path: Path) -> None:
    path = tmp_path / "PO1.jsonl"
    paid = [item("payment_paid_out", "1000.0", payment="PM007"), item("gocardless_fee", "-20.0", payment="PM007")]
    taken = [
        item("payment_refunded", "-300.0", payment="PM007", refund="RF1"),
        item("payment_charged_back", "-100.0", payment="PM2"),
    ]
    found = lines(path, payout(580), {"payout_items": paid}, {"payout_items": taken})
    shown = ("line_id", "line_type", "provider_reference", "original_reference", "net_minor")
    assert [tuple(line[key] for key in shown) for line in found] == [
        ("PO1", "payout", "PO1", None, "-580"),
        ("PO1:payment_paid_out:PM007", "payment", "PM007", None, "1000"),
        ("PO1:gocardless_fee:PM007", "fee", "PM007", None, "-20"),
        ("PO1:payment_refunded:RF1", "refund", "RF1", "PM007", "-300"),
        ("PO1:payment_charged_back:PM2", "chargeback", "PM2", "PM2", "-100"),
    ]
    assert found[0]["merchant_reference"] == "AC-7"
    (statement,) = inspect("gocardless", path).statements
    assert (statement.id, statement.entries, statement.signed_sum_minor, statement.ties) == ("PO1", 4, 580, True)
    with pytest.raises(
        InputRejectedError, match=r"payout PO1: its amount is 5\.79 GBP, and its 4 items come to 5\.80 GBP"
    ):
        lines(path, payout(579), {"payout_items": [*paid, *taken]})


def test_fees_with_half_a_penny_are_rounded_as_a_sum(tmp_path: Path) -> None:
    fees = [item("gocardless_fee", "-20.5", payment=f"PM{number}") for number in (1, 2, 3)]
    found = lines(
        tmp_path / "PO1.jsonl",
        payout(938),
        {"payout_items": [item("payment_paid_out", "1000.0", payment="PM1"), *fees]},
    )
    assert [line["net_minor"] for line in found] == ["-938", "1000", "-20", "-20", "-20", "-2"]
    assert (found[-1]["line_id"], found[-1]["line_type"]) == ("PO1:rounding", "adjustment")
    assert sum(int(line["net_minor"]) for line in found) == 0


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        (({"payments": []},), "neither payouts nor payout_items"),
        (({"payout_items": [item("payment_paid_out", "1.0")]},), "payout_items name no payout"),
        ((payout(1, currency="GBPX"),), "'GBPX' is not an ISO 4217 currency"),
        ((payout(1) | {"payout_items": [item("payment_paid_out", "45,0")]},), "'45,0' is not a decimal of minor units"),
        ((payout(1) | {"payout_items": [{"type": "refund", "amount": 45}]},), "'45' is not a decimal of minor units"),
        (
            (payout(1) | {"payout_items": [item("payment_paid_out", "0.5")]},),
            "'0.5' of a payment_paid_out is not a whole",
        ),
    ],
)
def test_what_is_no_payout_is_refused_with_the_reason(tmp_path: Path, pages: tuple[object, ...], words: str) -> None:
    with pytest.raises(InputRejectedError) as refusal:
        lines(tmp_path / "p.json", *pages)
    assert words in str(refusal.value)


def event(number: int, kind: str, action: str, **links: str) -> dict[str, Any]:
    return {"id": f"EV{number}", "resource_type": kind, "action": action, "created_at": AT, "links": links}


LINKED = {
    "payments": [{"id": "PM1", "amount": 1_000, "currency": "GBP", "reference": "INV-1"}],
    "refunds": [{"id": "RF1", "amount": 300, "currency": "GBP", "links": {"payment": "PM1"}}],
}


def read(path: Path, content: object, secrets: tuple[str, ...] = (), notes: Any = None) -> list[dict[str, Any]]:
    path.write_text(json.dumps(content), encoding="utf-8")
    return [row for frame in read_callbacks(EVENTS, path, secrets, notes=notes) for row in frame.to_dicts()]


@pytest.mark.parametrize(
    ("kind", "action", "expected"),
    [
        ("payments", "submitted", ("PM1", "INV-1", "1000", "pending", "payment")),
        ("payments", "confirmed", ("PM1", "INV-1", "1000", "succeeded", "payment")),
        ("payments", "paid_out", ("PM1", "INV-1", "1000", "succeeded", "payment")),
        ("payments", "failed", ("PM1", "INV-1", "1000", "failed", "payment")),
        ("payments", "charged_back", ("PM1", "INV-1", "-1000", "disputed", "chargeback")),
        ("payments", "chargeback_settled", ("PM1", "INV-1", "-1000", "succeeded", "chargeback")),
        ("payments", "chargeback_cancelled", ("PM1", "INV-1", "1000", "succeeded", "chargeback_reversal")),
        ("payments", "late_failure_settled", ("PM1", "INV-1", "-1000", "succeeded", "chargeback")),
        ("refunds", "paid", ("RF1", "PM1", "-300", "succeeded", "refund")),
        ("refunds", "funds_returned", ("RF1", "PM1", "-300", "reversed", "refund")),
    ],
)
def test_an_action_speaks_for_its_money(tmp_path: Path, kind: str, action: str, expected: tuple[str, ...]) -> None:
    body = {"events": [event(1, kind, action, payment="PM1", refund="RF1")], "linked": LINKED}
    (row,) = read(tmp_path / "e.json", body)
    keys = ("provider_reference", "merchant_reference", "amount_minor", "status", "movement_type")
    assert tuple(row[key] for key in keys) == expected
    assert (row["provider_event_id"], row["refusal"]) == ("EV1", None)


def test_every_event_of_a_body_is_judged_by_itself(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    events = [
        event(1, "mandates", "created", mandate="MD1"),
        event(2, "payments", "confirmed", payment="PM1"),
        event(3, "payments", "confirmed", payment="PM2"),
    ]
    rows = read(tmp_path / "e.json", {"events": events, "linked": LINKED}, notes=notes)
    assert [(row["row_number"], row["provider_event_id"]) for row in rows] == [(2, "EV2"), (3, None)]
    assert rows[1]["refusal"] == (
        "payments confirmed of PM2: the event states no amount; record events with the resource they are about "
        "(GET /events?include=payment)"
    )
    assert notes == {"mandates created: no movement of money": 1}
    (odd,) = read(tmp_path / "e.json", {"events": [event(4, "payments", "confirmed", payment="\ud800PM1")]})
    assert str(odd["refusal"]).startswith("payments confirmed of ?PM1: the event states no amount")


def test_the_body_is_signed_to_its_last_byte(tmp_path: Path) -> None:
    body = json.dumps({"events": [event(1, "payments", "confirmed", payment="PM1")], "linked": LINKED})
    signature = hmac.new(KEY.encode(), body.encode(), hashlib.sha256).hexdigest()
    for sent, refusal in ((body, None), (body + "\n", "callback signature not verified")):
        envelope = {"received_at": "2026-04-14T09:31:00Z", "headers": {"Webhook-Signature": signature}, "body": sent}
        (row,) = read(tmp_path / "e.json", envelope, ("other", KEY))
        assert row["refusal"] == refusal
    with pytest.raises(InputRejectedError, match="to the webhook endpoint's secret"):
        read(tmp_path / "e.json", envelope)


@needs_samples
def test_the_published_signature_holds() -> None:
    vector = json.loads((SAMPLES / "signatures" / "vectors.json").read_text(encoding="utf-8"))["gocardless"]
    for body, holds in ((vector["body"], True), (vector["body"] + "\n", False)):
        assert body_signatures.verify_gocardless(body.encode(), vector["signature"], (vector["secret"],)) is holds
    fixtures = SAMPLES / "gocardless" / "gocardless__gocardless-pro-python" / "tests" / "fixtures"
    published = (fixtures / "webhook_body.json").read_bytes()
    assert body_signatures.verify_gocardless(published.rstrip(b"\n"), vector["signature"], (vector["secret"],))


@needs_samples
def test_the_samples_are_read_or_refused_with_their_reason(tmp_path: Path) -> None:
    fixtures = SAMPLES / "gocardless" / "gocardless__gocardless-pro-python" / "tests" / "fixtures"
    notes: dict[str, int] = {}
    assert read(tmp_path / "e.json", json.loads((fixtures / "webhook_body.json").read_text()), notes=notes) == []
    assert notes == {"subscriptions created: no movement of money": 1, "mandates created: no movement of money": 1}
    listed = json.loads((fixtures / "payouts.json").read_text(encoding="utf-8"))["get"]["body"]
    (line,) = lines(tmp_path / "p.json", listed)
    assert (line["line_type"], line["net_minor"], line["currency"]) == ("payout", "-1000", "EUR")
    with pytest.raises(InputRejectedError, match="neither payouts nor payout_items"):
        list(parts(fixtures / "balances.json", "balances.json"))
