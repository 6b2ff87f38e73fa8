"""Signature schemes that sign a delivery's whole body with one shared key: Square, GoCardless, Mollie, Braintree.

Each is false, never an error, for a header or body of any other form. Does not belong here: schemes with a time of
their own or with signed parts (signatures), and what a callback says.
Sources: developer.squareup.com/docs/webhooks/step3validate, developer.gocardless.com/getting-started/staying-up-to-date
-with-webhooks, docs.mollie.com/reference/webhooks-best-practices,
developer.paypal.com/braintree/docs/guides/webhooks/parse.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

SQUARE_HEADERS = ("x-square-hmacsha256-signature",)
GOCARDLESS_HEADERS = ("webhook-signature",)
MOLLIE_HEADERS = ("x-mollie-signature",)
BRAINTREE_FIELDS = ("bt_signature", "bt_payload")

_MAX_HEADER = 8_192
_FORM_FIELDS = 16
_PAYLOAD = re.compile(r"[A-Za-z0-9+=/\n\r]+", re.ASCII)


def verify_square(raw: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets`, each `<signature key>@<notification URL>`, signed the URL followed by `raw`.

    The header is base64 of HMAC-SHA256; the URL is the one the subscription names, not the one the body reached.
    """
    matched = False
    for secret in secrets:
        key, _, url = secret.partition("@")
        digest = hmac.new(key.encode("utf-8"), url.encode("utf-8") + raw, hashlib.sha256).digest()
        matched |= bool(url) and _is_same(base64.b64encode(digest).decode("ascii"), header)
    return matched


def verify_gocardless(raw: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` signed `raw`: hex of HMAC-SHA256. One newline more at the end is another body."""
    return _is_signed_in_hex(raw, [header], secrets)


def verify_mollie(raw: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` signed `raw`: `sha256=<hex of HMAC-SHA256>`, during a rotation two with a comma.

    Only next-gen webhooks are signed; a classic one has no signature and is never believed.
    """
    if len(header) > _MAX_HEADER:
        return False
    return _is_signed_in_hex(raw, [part.strip().removeprefix("sha256=") for part in header.split(",")], secrets)


def verify_braintree(raw: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets`, each `<public key>=<private key>`, signed the form's `bt_payload`."""
    found = braintree_form(raw)
    return found is not None and verify_braintree_payload(*found, secrets)


def verify_braintree_payload(signature: str, payload: str, secrets: Sequence[str]) -> bool:
    """Whether `<public key>|<hex>` of a signature, pairs joined by `&`, is HMAC-SHA1 of `payload`.

    The key of the HMAC is the SHA-1 of the private key; the payload counts with and without a newline at its end.
    """
    if len(signature) > _MAX_HEADER or not _PAYLOAD.fullmatch(payload):
        return False
    pairs = [pair.partition("|") for pair in signature.split("&")]
    matched = False
    for secret in secrets:
        public, _, private = secret.partition("=")
        key = hashlib.sha1(private.encode("utf-8"), usedforsecurity=False).digest()
        given = [value for name, _, value in pairs if name == public]
        for signed in (payload, payload + "\n"):
            expected = hmac.new(key, signed.encode("ascii"), hashlib.sha1).hexdigest()
            for value in given:
                matched |= bool(private) and _is_same(expected, value)
    return matched


def braintree_form(raw: bytes) -> tuple[str, str] | None:
    """Signature and payload of a form as Braintree posts it; None where it is none, or has one of them twice."""
    try:
        fields = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_FORM_FIELDS, errors="strict")
    except ValueError:
        return None
    found = [[value for name, value in fields if name == wanted] for wanted in BRAINTREE_FIELDS]
    return (found[0][0], found[1][0]) if [len(values) for values in found] == [1, 1] else None


def _is_signed_in_hex(raw: bytes, given: Sequence[str], secrets: Sequence[str]) -> bool:
    matched = False
    for secret in secrets:
        expected = hmac.new(secret.encode("utf-8"), raw, hashlib.sha256).hexdigest()
        for value in given:
            matched |= _is_same(expected, value)
    return matched


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode("ascii"), given.encode("utf-8", "replace"))
