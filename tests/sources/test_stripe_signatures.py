"""Stripe's signature scheme: what counts as signed, and that no header whatever is an error."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline.sources.signatures import MAX_HEADER, verify_stripe

WHSEC = "whsec_made_up"
BODY = b'{"id":"evt_1","object":"event"}'
SENT = datetime(2026, 4, 26, 12, 0, tzinfo=UTC)
TIMESTAMP = str(int(SENT.timestamp()))
VECTORS = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "signatures" / "vectors.json"


def signature(key: str = WHSEC, body: bytes = BODY, timestamp: str = TIMESTAMP) -> str:
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def header(*signatures: str) -> str:
    return ",".join((f"t={TIMESTAMP}", *(f"v1={one}" for one in signatures)))


def is_signed(text: str, body: bytes = BODY, at: datetime = SENT, secrets: tuple[str, ...] = (WHSEC,)) -> bool:
    return verify_stripe(body, text, secrets, at)


def test_a_body_signed_with_the_secret_is_verified() -> None:
    assert is_signed(header(signature()))


def test_a_signature_made_elsewhere_is_verified() -> None:
    """The expected value is what `openssl dgst -sha256 -hmac whsec_test` prints for `1492774577.{"id": "evt_test"}`."""
    made = "t=1492774577,v1=73052e61c35cb82f6e048de7724485805fce9dd9b05de3b30f165ea85d44fe5c"
    at = datetime.fromtimestamp(1492774577, UTC)
    assert verify_stripe(b'{"id": "evt_test"}', made, ("whsec_test",), at)
    assert not verify_stripe(b'{"id":"evt_test"}', made, ("whsec_test",), at)


def test_any_v1_may_match() -> None:
    assert is_signed(header("0" * 64, signature()))


def test_during_a_rotation_either_secret_counts() -> None:
    rotation = ("whsec_new", WHSEC)
    assert is_signed(header(signature()), secrets=rotation)
    assert is_signed(header(signature("whsec_new")), secrets=rotation)
    assert not is_signed(header(signature("whsec_third")), secrets=rotation)


def test_one_changed_byte_is_not_verified() -> None:
    for position in range(len(BODY)):
        changed = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
        assert not is_signed(header(signature()), body=changed)


def test_a_trailing_newline_is_another_body() -> None:
    assert not is_signed(header(signature()), body=BODY + b"\n")


@pytest.mark.parametrize(("seconds", "verified"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_the_tolerance_is_five_minutes_either_way(seconds: int, verified: bool) -> None:
    assert is_signed(header(signature()), at=SENT + timedelta(seconds=seconds)) is verified


def test_without_a_secret_nothing_is_verified() -> None:
    assert not is_signed(header(signature()), secrets=())


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "t",
        "=",
        TIMESTAMP,
        f"t={TIMESTAMP}",
        f"v1={signature()}",
        f"t={TIMESTAMP};v1={signature()}",
        f"t={TIMESTAMP},v0={signature()}",
        f"t={TIMESTAMP},t={TIMESTAMP},v1={signature()}",
        f"t=,v1={signature()}",
        f"t=-{TIMESTAMP},v1={signature()}",
        f"t={TIMESTAMP}.0,v1={signature()}",
        f"t=٣{TIMESTAMP},v1={signature()}",
        f"t={'9' * 5000},v1={signature()}",
        f"t=999999999999,v1={signature()}",
        f"t={TIMESTAMP},v1={signature().upper()}",
        f"t={TIMESTAMP},v1={signature()[:-1]}",
        f"t={TIMESTAMP},v1={signature()}é",
        f"t={TIMESTAMP},v1=\udcff",
        f"t={TIMESTAMP},v1={signature()}" + ",v1=0" * MAX_HEADER,
        "\x00" * 10,
    ],
)
def test_a_header_of_another_form_is_not_verified_and_no_error(text: str) -> None:
    assert not is_signed(text)


@given(st.text(max_size=200))
def test_no_text_is_a_signature_by_luck(text: str) -> None:
    assert not is_signed(text)


@given(st.lists(st.sampled_from(["t", "v1", "v0", "=", ",", TIMESTAMP, "0" * 64, " ", "é", "\x00"]), max_size=12))
def test_no_mixture_of_header_parts_is_a_signature(parts: list[str]) -> None:
    assert not is_signed("".join(parts))


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_any_bytes_can_be_signed_with_any_secret(body: bytes, secret: str) -> None:
    assert verify_stripe(body, header(signature(secret, body)), (secret,), SENT)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared samples are not beside this checkout")
def test_the_scheme_is_the_one_the_shared_vectors_describe() -> None:
    described = json.loads(VECTORS.read_text(encoding="utf-8"))["stripe"]
    assert described["header"].startswith("Stripe-Signature: t=...,v1=...[,v1=...]")
    assert "any v1 may match" in described["algo"]
    assert "tolerance 300 s" in described["algo"]
