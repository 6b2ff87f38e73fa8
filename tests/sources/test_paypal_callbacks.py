"""PayPal's webhook events as callbacks, verified offline against a pinned certificate."""

import base64
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from zentra_pipeline.errors import ConfigurationError, InputRejectedError
from zentra_pipeline.sources import signatures
from zentra_pipeline.sources.paypal_events import callback, read_callbacks

SIGNED = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "paypal" / "signed-webhooks"
HOOK = "1JE4291016473214C"
SENT_AT = "2026-04-26T08:00:00Z"

Json = dict[str, Any]

CAPTURE: Json = {
    "id": "0P1",
    "amount": {"currency_code": "EUR", "value": "25.00"},
    "invoice_id": "0017",
    "links": [{"rel": "up", "href": "https://api.example/v2/checkout/orders/0O1"}],
}
REFUND: Json = {
    "id": "0R1",
    "amount": {"currency_code": "EUR", "value": "10.00"},
    "links": [{"rel": "self", "href": "x"}, {"rel": "up", "href": "https://api.example/v2/payments/captures/0P1"}],
}


def event(event_type: str, resource: Json, **changes: object) -> Json:
    return {"id": "WH-1", "event_type": event_type, "create_time": SENT_AT, "resource": resource} | changes


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> str:
    """A certificate of the key in PEM, valid in 2026."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.example")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1)
    built = built.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def headers(key: rsa.RSAPrivateKey, body: bytes, sent_at: str = SENT_AT) -> dict[str, str]:
    """What PayPal sends beside a body."""
    signed = f"t-1|{sent_at}|{HOOK}|{zlib.crc32(body)}".encode()
    return {
        "PAYPAL-TRANSMISSION-ID": "t-1",
        "PAYPAL-TRANSMISSION-TIME": sent_at,
        "PAYPAL-TRANSMISSION-SIG": base64.b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode(),
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        "PAYPAL-CERT-URL": "https://evil.example/cert.pem",
    }


def read(path: Path, *contents: Json, secrets: tuple[str, ...] = (), notes: dict[str, int] | None = None) -> list[Json]:
    path.write_text("".join(json.dumps(content) + "\n" for content in contents), encoding="utf-8")
    return [row for frame in read_callbacks(path, secrets, notes=notes) for row in frame.to_dicts()]


def said(event_type: str, resource: Json) -> tuple[str | None, ...] | None:
    names = ("provider_reference", "merchant_reference", "amount_minor", "status", "movement_type")
    found = callback(event(event_type, resource))
    return None if found is None else tuple(found[name] for name in names)


@pytest.mark.parametrize(
    ("event_type", "resource", "expected"),
    [
        ("PAYMENT.CAPTURE.COMPLETED", CAPTURE, ("0P1", "0017", "2500", "succeeded", "payment")),
        ("PAYMENT.CAPTURE.PENDING", CAPTURE, ("0P1", "0017", "2500", "pending", "payment")),
        ("PAYMENT.CAPTURE.DENIED", CAPTURE, ("0P1", "0017", "2500", "failed", "payment")),
        ("PAYMENT.CAPTURE.REFUNDED", REFUND, ("0R1", "0P1", "-1000", "succeeded", "refund")),
        ("PAYMENT.CAPTURE.REVERSED", REFUND, ("0R1", "0P1", "-1000", "succeeded", "chargeback")),
        (
            "PAYMENT.SALE.COMPLETED",
            {"id": "0S1", "amount": {"currency": "JPY", "total": "150"}, "custom": "c"},
            ("0S1", "c", "150", "succeeded", "payment"),
        ),
        (
            "CUSTOMER.DISPUTE.CREATED",
            {
                "dispute_id": "PP-D-1",
                "dispute_amount": {"currency_code": "EUR", "value": "25.00"},
                "disputed_transactions": [{"seller_transaction_id": "0P1"}],
            },
            ("PP-D-1", "0P1", "-2500", "disputed", "chargeback"),
        ),
        ("CHECKOUT.ORDER.APPROVED", {"id": "0O1"}, None),
    ],
)
def test_an_event_speaks_for_its_own_money(event_type: str, resource: Json, expected: tuple[str, ...] | None) -> None:
    assert said(event_type, resource) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resource": None}, "resource: missing"),
        ({"create_time": "yesterday"}, "create_time: 'yesterday' is not an instant such as 2026-01-31T09:30:00Z"),
        ({"resource": CAPTURE | {"amount": {"value": "25.00"}}}, "amount: no value with a currency"),
        (
            {"resource": CAPTURE | {"amount": {"value": "25.005", "currency_code": "EUR"}}},
            "amount: '25.005' has more than 2 decimals",
        ),
        ({"id": ""}, "id: missing"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_the_field(tmp_path: Path, changes: Json, reason: str) -> None:
    refused, kept = read(
        tmp_path / "events.jsonl",
        event("PAYMENT.CAPTURE.COMPLETED", CAPTURE) | changes,
        event("PAYMENT.CAPTURE.COMPLETED", CAPTURE),
    )
    assert (refused["refusal"], kept["refusal"], kept["received_at"]) == (reason, None, SENT_AT)


def test_a_delivery_is_verified_with_the_pinned_certificate_alone(
    tmp_path: Path, key: rsa.RSAPrivateKey, certificate: str
) -> None:
    file = tmp_path / "cert.pem"
    file.write_text(certificate, encoding="ascii")
    body = json.dumps(event("PAYMENT.CAPTURE.COMPLETED", CAPTURE)).encode()
    good = {"received_at": "2026-04-26T08:00:05Z", "headers": headers(key, body), "body": body.decode()}
    forged = good | {"body": body.decode().replace("25.00", "99.00")}
    for secret in (f"{HOOK}={file}", f"{HOOK}={certificate}"):
        rows = read(tmp_path / "deliveries.jsonl", good, forged, secrets=(f"ANOTHER={file}", secret))
        assert [row["refusal"] for row in rows] == [None, "callback signature not verified"]
        assert (rows[0]["signature_verified"], rows[0]["received_at"]) == ("true", "2026-04-26T08:00:05Z")
    with pytest.raises(InputRejectedError, match="a signed delivery, but no certificate is configured"):
        read(tmp_path / "deliveries.jsonl", good)


def test_a_delivery_over_http_is_judged_by_its_headers(key: rsa.RSAPrivateKey, certificate: str) -> None:
    """The route hands on the headers that the scheme names, by their names in lower case."""
    body, secrets, now = b'{"a":1}', (f"{HOOK}={certificate}",), datetime(2026, 4, 26, 8, tzinfo=UTC)
    lower = {name.lower(): value for name, value in headers(key, body).items()}
    assert signatures.is_signed("paypal", body, lower, secrets, now)
    assert not signatures.is_signed("paypal", body + b" ", lower, secrets, now)
    assert not signatures.is_signed("paypal", body, {}, secrets, now)


def test_any_change_breaks_the_signature(key: rsa.RSAPrivateKey, certificate: str) -> None:
    body, secret = b'{"a":1}', f"{HOOK}={certificate}"

    def holds(sent: dict[str, str], raw: bytes = body, by: str = secret) -> bool:
        lower = {name.lower(): value for name, value in sent.items()}
        return signatures.verify_paypal(raw, [lower.get(name, "") for name in signatures.PAYPAL_HEADERS], (by,))

    good = headers(key, body)
    assert holds(good)
    assert not holds(good, raw=b'{"a":2}')
    assert not holds(good, by=f"ANOTHER={certificate}")
    for name, value in (
        ("PAYPAL-TRANSMISSION-ID", "t-2"),
        ("PAYPAL-TRANSMISSION-TIME", "2026-04-26T08:00:01Z"),
        ("PAYPAL-TRANSMISSION-TIME", "soon"),
        ("PAYPAL-TRANSMISSION-SIG", "not base64"),
        ("PAYPAL-TRANSMISSION-SIG", ""),
        ("PAYPAL-AUTH-ALGO", "none"),
    ):
        assert not holds(good | {name: value})
    assert not holds(headers(key, body, "2027-04-26T08:00:00Z"))  # after the certificate ended
    another = rsa.generate_private_key(65_537, 2_048)
    assert not holds(headers(another, body))


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    given = ["t-1", SENT_AT, base64.b64encode(b"x").decode(), "SHA256withRSA"]
    with pytest.raises(ConfigurationError, match=f"no certificate can be read for webhook '{HOOK}'"):
        signatures.verify_paypal(b"{}", given, (f"{HOOK}={tmp_path / 'absent.pem'}",))


def test_events_that_move_no_money_are_noted(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    order = event("CHECKOUT.ORDER.APPROVED", {"id": "0O1"})
    assert read(tmp_path / "events.jsonl", order, order, notes=notes) == []
    assert notes == {"CHECKOUT.ORDER.APPROVED: no movement of money": 2}


@pytest.mark.skipif(not SIGNED.is_dir(), reason="the shared sample files are not beside the project")
def test_the_signed_sample_verifies_and_a_mutated_byte_does_not() -> None:
    raw = (SIGNED / "payment.capture.completed.body.json").read_bytes()
    sent = json.loads((SIGNED / "payment.capture.completed.headers.json").read_text(encoding="utf-8"))
    (certificate,) = SIGNED.glob("*.pem")
    given, secrets = [sent[name] for name in signatures.PAYPAL_HEADERS], (f"WEBHOOK_ID={certificate}",)
    assert signatures.verify_paypal(raw, given, secrets)
    for place in (0, 100, len(raw) - 1):
        mutated = bytearray(raw)
        mutated[place] ^= 1
        assert not signatures.verify_paypal(bytes(mutated), given, secrets)
    found = callback(json.loads(raw))
    assert found is not None
    assert (found["provider_reference"], found["amount_minor"], found["movement_type"]) == (
        "12A34567BC123456S",
        "3000",
        "payment",
    )
