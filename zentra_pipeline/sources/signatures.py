"""Signature schemes of providers' callbacks, verified on the bytes as received.

Does not belong here: where secrets come from, and what a callback says.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

TOLERANCE_SECONDS = 300
MAX_HEADER = 8_192

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


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
