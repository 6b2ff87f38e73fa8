"""Standard Webhooks on the way in: what is signed is believed, and no header of any form is an error."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from zentra_pipeline.sources.signatures import SIGNATURE_HEADERS, is_signed, verify_standard

AT = datetime(2026, 4, 26, 8, tzinfo=UTC)
SECONDS = str(int(AT.timestamp()))
KEY = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
RAW = b'{"provider_event_id": "evt_1"}'


def signature(message_id: str = "msg_1", seconds: str = SECONDS, raw: bytes = RAW, key: str = KEY) -> str:
    secret = base64.b64decode(key.removeprefix("whsec_")) if key.startswith("whsec_") else key.encode()
    signed = f"{message_id}.{seconds}.".encode() + raw
    return f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}"


def holds(
    header: str, message_id: str = "msg_1", seconds: str = SECONDS, raw: bytes = RAW, at: datetime = AT, key: str = KEY
) -> bool:
    return verify_standard(raw, message_id, seconds, header, [key], at)


def test_what_the_public_library_signs_is_believed() -> None:
    made = Webhook(KEY).sign("msg_1", AT, RAW.decode())
    assert holds(made)
    assert is_signed(
        "canonical",
        RAW,
        {"webhook-id": "msg_1", "webhook-timestamp": SECONDS, "webhook-signature": made},
        ["another", KEY],
        AT,
    )


def test_one_of_several_signatures_is_enough_and_secrets_may_be_plain() -> None:
    assert holds(f"v1,{'A' * 43}= {signature()} v1a,zzz")
    assert holds(signature(key="plain text"), key="plain text")


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-301, False), (-300, True), (0, True), (300, True), (301, False), (10**9, False)]
)
def test_a_delivery_is_believed_for_five_minutes_either_way(seconds: int, expected: bool) -> None:
    assert holds(signature(), at=AT + timedelta(seconds=seconds)) is expected


@pytest.mark.parametrize(
    ("message_id", "seconds", "raw", "key"),
    [
        ("msg_2", SECONDS, RAW, KEY),
        ("msg_1", str(int(SECONDS) + 1), RAW, KEY),
        ("msg_1", SECONDS, RAW + b" ", KEY),
        ("msg_1", SECONDS, RAW, "whsec_" + base64.b64encode(b"another").decode()),
    ],
)
def test_what_was_not_signed_is_not_believed(message_id: str, seconds: str, raw: bytes, key: str) -> None:
    assert not holds(signature(), message_id, seconds, raw, key=key)


def test_an_id_with_a_dot_is_refused_for_it_could_be_read_two_ways() -> None:
    header = signature("a.1")
    assert not holds(header, "a.1")
    assert not holds(signature("a", f"1.{SECONDS}"), "a", f"1.{SECONDS}")


@pytest.mark.parametrize(
    "header", ["", "v1", "v1,", ",", "v1,é", "v1," + "A" * 10_000, "v2," + signature()[3:], "\x00"]
)
def test_a_header_of_another_form_is_not_believed(header: str) -> None:
    assert not holds(header)


@given(st.text(), st.text(), st.text(), st.binary())
def test_no_header_is_an_error(message_id: str, seconds: str, header: str, raw: bytes) -> None:
    assert not verify_standard(raw, message_id, seconds, header, [KEY, "", "whsec_é"], AT)
    headers = {name: header for names in SIGNATURE_HEADERS.values() for name in names}
    assert not any(is_signed(known, raw, headers, [KEY], AT) for known in SIGNATURE_HEADERS)
