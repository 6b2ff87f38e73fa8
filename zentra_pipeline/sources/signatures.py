"""Signature schemes of providers' callbacks, verified on the bytes as received.

Does not belong here: where secrets come from, and what a callback says.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

TOLERANCE_SECONDS = 300
MAX_HEADER = 8_192

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BASE64_SHA256 = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)  # visible, and no dot: `id.timestamp.body` must read one way
_BASE64_FOLLOWS = "whsec_"

STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
STRIPE_HEADERS = ("stripe-signature",)

SIGNATURE_HEADERS: Mapping[str, tuple[str, ...]] = {"canonical": STANDARD_HEADERS, "stripe": STRIPE_HEADERS}
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
    (github.com/standard-webhooks/standard-webhooks, spec). A secret is `whsec_` and base64, or the key as it stands.
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


_VERIFIERS = {"canonical": _standard, "stripe": _stripe}
