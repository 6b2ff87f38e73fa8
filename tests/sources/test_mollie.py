"""Mollie's settlements with what is in them, next-gen webhooks, and classic ones, which cannot be believed."""

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
from zentra_pipeline.sources.mollie import parts
from zentra_pipeline.sources.mollie_events import EVENTS
from zentra_pipeline.sources.provider_events import read_callbacks

AT = "2026-04-14T09:30:00+00:00"
UTC_AT = "2026-04-14T09:30:00Z"


def eur(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


def settlement(value: str, *costs: str) -> dict[str, Any]:
    fees = [
        {"method": method, "description": "fee", "amountGross": eur(cost)}
        for method, cost in zip(("ideal", "creditcard"), costs, strict=False)
    ]
    stated = {
        "resource": "settlement",
        "id": "stl_1",
        "reference": "1234567.2604.03",
        "createdAt": AT,
        "status": "paidout",
    }
    return stated | {"amount": eur(value), "periods": {"2026": {"04": {"costs": fees}}}}


def page(**lists: list[dict[str, Any]]) -> dict[str, Any]:
    return {"_embedded": lists}


PAYMENT = {
    "id": "tr_007",
    "amount": {"value": "27.50", "currency": "USD"},
    "settlementAmount": eur("25.00"),
    "settlementId": "stl_1",
    "metadata": {"order_id": "0012"},
    "paidAt": AT,
}
REFUND = {
    "id": "re_1",
    "amount": eur("10.00"),
    "settlementAmount": eur("-10.00"),
    "paymentId": "tr_007",
    "createdAt": AT,
}
CHARGEBACK = {
    "id": "chb_1",
    "amount": eur("5.00"),
    "settlementAmount": eur("-5.00"),
    "paymentId": "tr_2",
    "createdAt": AT,
}
CAPTURE = {"id": "cpt_1", "amount": eur("8.00"), "settlementAmount": eur("8.00"), "paymentId": "tr_3", "createdAt": AT}


MONTH = {"periods": {"2026": {"\ud800": settlement("-0.35", "0.35")["periods"]["2026"]["04"]}}}


def lines(path: Path, *pages: object) -> list[dict[str, Any]]:
    path.write_text("\n".join(json.dumps(page) for page in pages), encoding="utf-8")
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_a_settlement_and_what_is_in_it_are_lines_that_come_to_zero(tmp_path: Path) -> None:
    path = tmp_path / "stl_1.jsonl"
    pages = (page(payments=[PAYMENT]), page(refunds=[REFUND]), page(chargebacks=[CHARGEBACK], captures=[CAPTURE]))
    found = lines(path, settlement("17.43", "0.3509", "0.2175"), *pages)
    shown = ("line_id", "line_type", "provider_reference", "original_reference", "net_minor")
    assert [tuple(line[key] for key in shown) for line in found] == [
        ("stl_1", "payout", "stl_1", None, "-1743"),
        ("stl_1:2026-04:ideal:fee", "fee", None, None, "-35"),
        ("stl_1:2026-04:creditcard:fee", "fee", None, None, "-22"),
        ("tr_007", "payment", "tr_007", None, "2500"),
        ("re_1", "refund", "re_1", "tr_007", "-1000"),
        ("cpt_1", "payment", "tr_3", None, "800"),
        ("chb_1", "chargeback", "chb_1", "tr_2", "-500"),
    ]
    assert (found[3]["merchant_reference"], found[3]["presentment_minor"], found[3]["presentment_currency"]) == (
        *("0012", "2750"),
        "USD",
    )
    (statement,) = inspect("mollie", path).statements
    assert (statement.id, statement.entries, statement.signed_sum_minor, statement.ties) == ("stl_1", 6, 1_743, True)
    assert len(lines(path, settlement("17.43", "0.3509", "0.2175"), *pages, pages[0])) == len(found) + 1
    with pytest.raises(
        InputRejectedError, match=r"settlement stl_1: its amount is 17\.43 EUR, and its 3 items come to 24\.43"
    ):
        lines(path, settlement("17.43", "0.3509", "0.2175"), page(payments=[PAYMENT]))


def test_costs_with_fractions_of_a_cent_are_rounded_as_a_sum(tmp_path: Path) -> None:
    found = lines(tmp_path / "s.json", [settlement("24.01", "0.4940", "0.4960"), page(payments=[PAYMENT])])
    assert [line["net_minor"] for line in found] == ["-2401", "-49", "-50", "2500"]
    rounded = lines(tmp_path / "s.json", [settlement("24.02", "0.4940", "0.4895"), page(payments=[PAYMENT])])
    assert [line["net_minor"] for line in rounded] == ["-2402", "-49", "-49", "2500"]
    halves = lines(tmp_path / "s.json", [settlement("24.01", "0.4950", "0.4950"), page(payments=[PAYMENT])])
    assert [(line["line_type"], line["net_minor"]) for line in halves][1:] == [
        *[("fee", "-50"), ("fee", "-50")],
        *[("payment", "2500"), ("adjustment", "1")],
    ]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        (({"resource": "payment"},), "neither a settlement nor a list of what is in one"),
        ((page(payments=[PAYMENT | {"settlementId": None}]),), "tr_007: no settlementId, and no settlement before it"),
        ((page(payments=[PAYMENT | {"settlementAmount": None}]),), "tr_007: settlementAmount.currency: 'None' is not"),
        ((page(payments=[PAYMENT | {"settlementAmount": eur("1.005")}]),), "'1.005' has a fraction of a minor unit"),
        ((settlement("1e400"),), "amount.value: '1e400' is not an amount in EUR"),
        ((settlement("1.00", "NaN"),), "'NaN' 'EUR' is not an amount in EUR"),
        ((settlement("1.00", "1e999999"),), "'1e999999' 'EUR' is not an amount in EUR"),
        ((settlement("1.00", "1_0"),), "'1_0' 'EUR' is not an amount in EUR"),
        ((settlement("1.00"), settlement("1.00")), "settlement stl_1 is there twice"),
        ((settlement("-0.35", "0.35") | MONTH,), r"'\ud800' is half of a surrogate pair, which is no text"),
    ],
)
def test_what_is_no_settlement_is_refused_with_the_reason(
    tmp_path: Path, pages: tuple[object, ...], words: str
) -> None:
    with pytest.raises(InputRejectedError) as refusal:
        lines(tmp_path / "p.json", *pages)
    assert words in str(refusal.value)


def event(kind: str, entity: dict[str, Any] | None, what: str = "updated") -> dict[str, Any]:
    content = {"resource": "event", "id": "event_1", "type": f"{kind}.{what}", "entityId": "x", "createdAt": AT}
    return content if entity is None else content | {"_embedded": {"entity": entity}}


def read(path: Path, content: object, secrets: tuple[str, ...] = (), notes: Any = None) -> list[dict[str, Any]]:
    path.write_text(json.dumps(content), encoding="utf-8")
    return [row for frame in read_callbacks(EVENTS, path, secrets, notes=notes) for row in frame.to_dicts()]


ENTITY = {"id": "tr_1", "status": "paid", "amount": eur("12.50"), "metadata": {"order_id": "o1"}}


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("payment", {}, ("tr_1", "o1", "1250", "succeeded", "payment")),
        ("payment", {"status": "authorized"}, ("tr_1", "o1", "1250", "pending", "payment")),
        ("payment", {"status": "expired"}, ("tr_1", "o1", "1250", "failed", "payment")),
        ("payment-link", {"id": "pl_1"}, ("pl_1", "o1", "1250", "succeeded", "payment")),
        (
            "refund",
            {"id": "re_1", "status": "refunded", "metadata": None, "paymentId": "tr_1"},
            ("re_1", "tr_1", "-1250", "succeeded", "refund"),
        ),
        (
            "chargeback",
            {"id": "chb_1", "status": None, "reversedAt": AT},
            ("chb_1", "o1", "1250", "succeeded", "chargeback_reversal"),
        ),
    ],
)
def test_an_event_speaks_for_its_money(tmp_path: Path, kind: str, changes: dict[str, Any], expected: Any) -> None:
    (row,) = read(tmp_path / "e.json", event(kind, ENTITY | changes))
    keys = ("provider_reference", "merchant_reference", "amount_minor", "status", "movement_type")
    assert tuple(row[key] for key in keys) == expected
    assert (row["provider_event_id"], row["occurred_at"]) == ("event_1", UTC_AT)


def test_what_says_no_amount_is_refused_and_what_moves_none_is_noted(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    simple, bare = read(
        tmp_path / "e.json", [event("payment", None, "paid"), {"id": "tr_1"}, event("profile", ENTITY)], notes=notes
    )
    assert simple["refusal"] == (
        "payment.paid of x: a simple payload, which states no amount; subscribe with the full payload"
    )
    assert "not a next-gen event" in bare["refusal"]
    assert notes == {"profile.updated: no movement of money": 1}


def test_a_signed_event_is_believed_and_a_classic_webhook_never(tmp_path: Path) -> None:
    body = json.dumps(event("payment", ENTITY)).encode()
    signature = "sha256=" + hmac.new(b"new", body, hashlib.sha256).hexdigest()
    for header, secrets, holds in (
        (signature, ("new",), True),
        (f"sha256={'0' * 64}, {signature}", ("old", "new"), True),
        (signature, ("old",), False),
        ("", ("new",), False),
    ):
        assert body_signatures.verify_mollie(body, header, secrets) is holds
    classic = {
        "received_at": UTC_AT,
        "headers": {"X-Mollie-Signature": ""},
        "body_base64": base64.b64encode(b"id=tr_7UhSN1zuXS").decode(),
    }
    (row,) = read(tmp_path / "e.json", classic, ("new",))
    assert row["refusal"] == (
        "body: a classic webhook, which carries only the id tr_7UhSN1zuXS and no signature, and cannot be believed; "
        "subscribe to next-gen webhooks with the full payload"
    )
    signed = {"received_at": UTC_AT, "headers": {"X-Mollie-Signature": signature}, "body": body.decode()}
    assert [row["signature_verified"] for row in read(tmp_path / "e.json", signed, ("new",))] == ["true"]


def test_ids_of_any_length_are_refused_in_a_few_words(tmp_path: Path) -> None:
    long = "x" * 9_000
    for pages in (
        (settlement("1.00") | {"id": long}, page(payments=[PAYMENT | {"settlementId": long}])),
        (page(payments=[PAYMENT | {"id": long, "settlementAmount": None}]),),
    ):
        with pytest.raises(InputRejectedError) as refusal:
            lines(tmp_path / "s.json", *pages)
        assert len(str(refusal.value)) < 1_500
