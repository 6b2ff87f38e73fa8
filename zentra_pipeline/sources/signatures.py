"""Signature schemes of providers' callbacks, verified on the bytes as received.

Does not belong here: where secrets come from, and what a callback says.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.sources import body_signatures

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

TOLERANCE_SECONDS = 300
MAX_HEADER = 8_192

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BASE64_SHA256 = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)  # visible, and no dot: `id.timestamp.body` must read one way
_BASE64_FOLLOWS = "whsec_"
_ADYEN_BEFORE_AMOUNT = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")

STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
STRIPE_HEADERS = ("stripe-signature",)
PAYPAL_HEADERS = (
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-auth-algo",
)

SIGNATURE_HEADERS: Mapping[str, tuple[str, ...]] = {
    "canonical": STANDARD_HEADERS,
    "stripe": STRIPE_HEADERS,
    "adyen": (),
    "paypal": PAYPAL_HEADERS,
    "square": body_signatures.SQUARE_HEADERS,
    "gocardless": body_signatures.GOCARDLESS_HEADERS,
    "mollie": body_signatures.MOLLIE_HEADERS,
    "braintree": (),
}
"""`callback_format` → the headers, in lower case, that the signature of a delivery needs."""


def is_signed(
    callback_format: str, raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], at: datetime
) -> bool:
    """Whether a delivery of this format is signed by one of `secrets`; `headers` by their names in lower case."""
    given = [headers.get(name, "") for name in SIGNATURE_HEADERS[callback_format]]
    return _VERIFIERS[callback_format](raw, given, secrets, at)


def verify_stripe(
    raw: bytes, header: str, secrets: Sequence[str], at: datetime, tolerance_seconds: int = TOLERANCE_SECONDS
) -> bool:
    """Whether one of `secrets` signed `raw` within the tolerance of `at` (an aware instant).

    `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>]`, HMAC-SHA256 over `<t>.<raw>` with the whole secret
    (docs.stripe.com/webhooks#verify-manually). Any `v1` may match; other schemes (`v0`) never count. A header of any
    other form is false, never an error, and every pair of signature and secret takes the same time.
    """
    if len(header) > MAX_HEADER:
        return False
    parts = [part.strip(" ").partition("=") for part in header.split(",")]
    timestamps = [value for key, _, value in parts if key == "t"]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        return False
    if abs(at - _EPOCH - timedelta(seconds=int(timestamps[0]))) > timedelta(seconds=tolerance_seconds):
        return False
    signatures = [value for key, _, value in parts if key == "v1" and _HEX_SHA256.fullmatch(value)]
    signed = timestamps[0].encode("ascii") + b"." + raw
    matched = False
    for secret in secrets:
        expected = hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest()
        for signature in signatures:
            matched |= hmac.compare_digest(expected, signature)
    return matched


def verify_standard(
    raw: bytes,
    message_id: str,
    timestamp: str,
    header: str,
    secrets: Sequence[str],
    at: datetime,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> bool:
    """Whether one of `secrets` signed `raw` by Standard Webhooks within the tolerance of `at` (an aware instant).

    `webhook-signature: v1,<base64>[ v1,<base64>]`, HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<raw>`
    (github.com/standard-webhooks/standard-webhooks, spec). A secret is `whsec_` and base64, or the key as it is.
    Headers of any other form are false, never an error.
    """
    if len(header) > MAX_HEADER or not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        return False
    if abs(at - _EPOCH - timedelta(seconds=int(timestamp))) > timedelta(seconds=tolerance_seconds):
        return False
    parts = [part.partition(",") for part in header.split(" ")]
    signatures = [value for version, _, value in parts if version == "v1" and _BASE64_SHA256.fullmatch(value)]
    signed = f"{message_id}.{timestamp}.".encode("ascii") + raw
    matched = False
    for secret in secrets:
        expected = base64.b64encode(hmac.new(_key_of(secret), signed, hashlib.sha256).digest()).decode("ascii")
        for signature in signatures:
            matched |= hmac.compare_digest(expected, signature)
    return matched


def verify_adyen(item: Mapping[str, Any], secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` (keys in hex) signed a NotificationRequestItem.

    `additionalData.hmacSignature` is base64 of HMAC-SHA256 over eight values joined by colons, nothing escaped
    (docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures). An item of any other form is
    false, never an error.
    """
    additional, amount = item.get("additionalData"), item.get("amount")
    given = additional.get("hmacSignature") if isinstance(additional, Mapping) else None
    if not isinstance(given, str) or not _BASE64_SHA256.fullmatch(given) or not isinstance(amount, Mapping):
        return False
    values = [item.get(name, "") for name in _ADYEN_BEFORE_AMOUNT]
    values += [amount.get("value", ""), amount.get("currency", "")]
    values += [item.get("eventCode", ""), item.get("success", "")]
    texts = ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    try:
        signed = ":".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        return False
    matched = False
    for secret in secrets:
        try:
            key = bytes.fromhex(secret)
        except ValueError:
            continue
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
        matched |= hmac.compare_digest(expected, given)
    return matched


def adyen_items(content: object) -> list[Any]:
    """The items of a notification, or of what is in its place: an item with or without its wrapping."""
    if not isinstance(content, Mapping):
        return []
    listed = content.get("notificationItems", [content])
    if not isinstance(listed, list):
        return []
    return [found.get("NotificationRequestItem", found) if isinstance(found, Mapping) else found for found in listed]


def verify_paypal(raw: bytes, given: Sequence[str], secrets: Sequence[str]) -> bool:
    """Whether the key of a pinned certificate signed `raw`; `given` are the values of PAYPAL_HEADERS.

    RSA-SHA256 (PKCS #1 v1.5) over `<transmission id>|<transmission time>|<webhook id>|<crc32 of raw, decimal>`. Each of
    `secrets` is `<webhook id>=<certificate>`, the certificate as PEM or the path of a file of it. Where the header says
    that a certificate could be fetched from is not looked at. The time must be one at which the certificate was valid.
    Headers of any other form are false, never an error; ConfigurationError where a certificate cannot be read.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    message_id, sent_at, header, algorithm = given
    at = _instant(sent_at)
    if algorithm.upper() != "SHA256WITHRSA" or not message_id or at is None or len(header) > MAX_HEADER:
        return False
    try:
        signature = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        return False
    for webhook_id, pinned in map(_pinned, secrets):
        signed = f"{message_id}|{sent_at}|{webhook_id}|{zlib.crc32(raw)}"
        if not pinned.valid_from <= at <= pinned.valid_until:
            continue
        try:
            pinned.key.verify(signature, signed.encode("utf-8", "replace"), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        return True
    return False


@dataclass(frozen=True)
class _Pinned:
    """The public key of a certificate and when it holds."""

    key: "RSAPublicKey"
    valid_from: datetime
    valid_until: datetime


@cache
def _pinned(secret: str) -> tuple[str, _Pinned]:
    """The webhook id of a secret and its certificate; it is read once."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    webhook_id, _, certificate = (part.strip() for part in secret.partition("="))
    try:
        pem = certificate.encode() if certificate.startswith("-----BEGIN") else Path(certificate).read_bytes()
        found = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError) as cause:
        raise ConfigurationError(
            f"ZENTRA_CALLBACK_SECRETS: no certificate can be read for webhook {webhook_id[:40]!r}: write "
            "<webhook id>=<file of the certificate in PEM>"
        ) from cause
    key = found.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(f"ZENTRA_CALLBACK_SECRETS: the certificate of webhook {webhook_id[:40]!r} is not RSA")
    return webhook_id, _Pinned(key, found.not_valid_before_utc, found.not_valid_after_utc)


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def _key_of(secret: str) -> bytes:
    if secret.startswith(_BASE64_FOLLOWS):
        try:
            return base64.b64decode(secret.removeprefix(_BASE64_FOLLOWS), validate=True)
        except binascii.Error:
            pass
    return secret.encode("utf-8")


def _standard(raw: bytes, given: Sequence[str], secrets: Sequence[str], at: datetime) -> bool:
    message_id, timestamp, header = given
    return verify_standard(raw, message_id, timestamp, header, secrets, at)


def _stripe(raw: bytes, given: Sequence[str], secrets: Sequence[str], at: datetime) -> bool:
    return verify_stripe(raw, given[0], secrets, at)


def _adyen(raw: bytes, _: Sequence[str], secrets: Sequence[str], __: datetime) -> bool:
    """Whether any item of a notification is signed: the others are refused one by one when they are read."""
    try:
        items = adyen_items(json.loads(raw))
    except (ValueError, RecursionError):
        return False
    return any(isinstance(item, Mapping) and verify_adyen(item, secrets) for item in items)


def _paypal(raw: bytes, given: Sequence[str], secrets: Sequence[str], _: datetime) -> bool:
    return verify_paypal(raw, given, secrets)


def _square(raw: bytes, given: Sequence[str], secrets: Sequence[str], _: datetime) -> bool:
    return body_signatures.verify_square(raw, given[0], secrets)


def _gocardless(raw: bytes, given: Sequence[str], secrets: Sequence[str], _: datetime) -> bool:
    return body_signatures.verify_gocardless(raw, given[0], secrets)


def _mollie(raw: bytes, given: Sequence[str], secrets: Sequence[str], _: datetime) -> bool:
    return body_signatures.verify_mollie(raw, given[0], secrets)


def _braintree(raw: bytes, _: Sequence[str], secrets: Sequence[str], __: datetime) -> bool:
    return body_signatures.verify_braintree(raw, secrets)


_VERIFIERS = {
    "canonical": _standard,
    "stripe": _stripe,
    "adyen": _adyen,
    "paypal": _paypal,
    "square": _square,
    "gocardless": _gocardless,
    "mollie": _mollie,
    "braintree": _braintree,
}
