"""What the network does to a delivery: it is retried as scheduled, and either resolved or dead, never lost."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest

from tests.webhooks.station import NOW, Action, Counterpart, Station, answer, counterpart, drip, raw, reset, silence
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.sources.signatures import verify_standard
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, schedule, sending
from zentra_pipeline.webhooks.transport import Limits


def test_a_delivery_is_the_cloud_event_signed_by_standard_webhooks(station: Station, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url)
    (event_id,) = station.emit("a")
    assert station.send() == sending.Tally(made=1, delivered=1)
    (request,) = receiver.requests
    assert request.line == "POST /hook?x=1 HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    event = json.loads(request.body)
    assert (event["id"], event["type"], event["tenant"]) == (event_id, "reconciliation.run.created", "acme")
    assert (event["data"], event["sequence"]) == ({"owner": "é\u2028"}, f"{1:020d}")
    given = [request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    assert given[:2] == [event_id, str(int(NOW.timestamp()))]
    assert verify_standard(request.body, *given, [station.secrets[endpoint_id]], NOW)
    assert not verify_standard(request.body + b" ", *given, [station.secrets[endpoint_id]], NOW)
    assert not verify_standard(request.body, *given, [station.secrets[endpoint_id]], NOW + timedelta(minutes=6))


def test_the_body_of_every_attempt_is_the_same_bytes(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.script = [answer(500), answer(500)]
    for _ in range(3):
        station.send()
        station.wait(hours=1)
    assert len({request.body for request in receiver.requests}) == 1
    assert len(set(receiver.ids)) == 1
    assert len({request.headers["webhook-timestamp"] for request in receiver.requests}) == 3


@pytest.mark.parametrize(
    ("action", "status", "error"),
    [
        (silence, None, "no answer within 0.5 s"),
        (reset, None, "the connection failed"),
        (raw(b""), None, "the connection failed"),
        (raw(b"nonsense\r\n\r\n"), None, "the connection failed"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000), None, "the connection failed"),
        (drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000), None, "no answer within 0.5 s"),
        (answer(500, b"out of order"), 500, "the receiver answered 500"),
        (answer(404), 404, "the receiver answered 404"),
        (answer(401), 401, "the receiver answered 401"),
        (answer(301, location="https://example.com/"), 301, "redirects are not followed"),
        (answer(302, location="/hook?x=1"), 302, "redirects are not followed"),
        (answer(307, location="http://169.254.169.254/"), 307, "redirects are not followed"),
        (answer(304), 304, "the receiver answered 304"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", str(value)),
)
def test_whatever_goes_wrong_is_an_attempt_that_failed_and_the_next_one_delivers(
    station: Station, receiver: Counterpart, action: Action, status: int | None, error: str
) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.script = [action]
    begun = time.monotonic()
    assert station.send() == sending.Tally(made=1, failed=1)
    assert time.monotonic() - begun < 3
    (failed,) = station.attempts()
    assert (failed.number, failed.status_code) == (1, status)
    assert error in str(failed.error)
    (delivery,) = station.deliveries()
    assert (delivery.status, delivery.failures) == ("retrying", 1)
    assert station.send().attempts == 0
    station.wait(seconds=6)
    assert station.send().delivered == 1
    assert len(receiver.requests) == 2
    assert station.deliveries()[0].status == "resolved"


@pytest.mark.parametrize(
    "action",
    [
        answer(200, b"x" * 5_000_000),
        raw(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n4\r\nlate\r\n"),
        drip(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b"z" * 1_000, 0.004),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"),
        raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    ],
    ids=["huge", "unfinished chunks", "slow", "cut off", "after 100"],
)
def test_a_success_counts_whatever_its_body_does(station: Station, receiver: Counterpart, action: Action) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.script = [action]
    begun = time.monotonic()
    assert station.send() == sending.Tally(made=1, delivered=1)
    assert time.monotonic() - begun < 3
    (attempt,) = station.attempts()
    assert len((attempt.response or "").encode()) <= 1_024


def test_the_answer_is_kept_as_one_line_of_printable_text(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.script = [answer(500, b"\x1b[31mred\x00\r\n\xff" + "é".encode() * 2_000)]
    station.send()
    (attempt,) = station.attempts()
    assert attempt.response is not None
    assert attempt.response.startswith("[31mred")
    assert attempt.response.isprintable()
    assert len(attempt.response.encode()) <= 1_024


def test_nobody_listening_is_a_failure_with_the_systems_own_words(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.close()
    assert station.send().failed == 1
    assert "refused" in str(station.attempts()[0].error).lower()


@pytest.mark.usefixtures("database")
def test_the_schedule_is_followed_to_the_dead_letter(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    (event_id,) = station.emit("a")
    receiver.script = [answer(500)] * 20
    waits = []
    for _ in range(8):
        assert station.send().attempts == 1
        (delivery,) = station.deliveries()
        if delivery.next_attempt_at is not None:
            assert delivery.status == "retrying"
            waits.append(instant_of(delivery.next_attempt_at) - station.now)
            station.now = instant_of(delivery.next_attempt_at) - timedelta(microseconds=1)
            assert station.send().attempts == 0
            station.now += timedelta(microseconds=1)
    assert [round(wait / base, 1) for wait, base in zip(waits, schedule.WAITS, strict=True)] == pytest.approx(
        [1.05] * 7, abs=0.06
    )
    (delivery,) = station.deliveries()
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("dead", 8, None)
    station.wait(days=30)
    assert station.send().attempts == 0
    assert receiver.ids == [event_id] * 8


def test_a_410_disables_the_endpoint_and_what_waits_goes_on_once_enabled(
    station: Station, receiver: Counterpart
) -> None:
    endpoint_id = station.add(receiver.url)
    station.emit("a", "b")
    receiver.script = [answer(410)]
    assert station.send() == sending.Tally(made=2, failed=1)
    gone = station.endpoint(endpoint_id)
    assert (gone.status, gone.status_reason) == ("disabled", "the receiver answered 410 Gone")
    station.emit("c")
    station.wait(days=1)
    assert station.send() == sending.Tally()
    endpoints.enable(Tenant.of(station.home, "acme"), endpoint_id, station.now)
    assert station.send() == sending.Tally(made=1, delivered=3)
    assert len(set(receiver.ids)) == 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.usefixtures("database")
def test_retry_after_holds_the_whole_endpoint(station: Station, receiver: Counterpart, status: int, form: str) -> None:
    station.add(receiver.url)
    station.emit("a", "b")
    until = NOW + timedelta(minutes=10)
    header = "600" if form == "seconds" else format_datetime(until, usegmt=True)
    receiver.script = [answer(status, retry_after=header)]
    assert station.send() == sending.Tally(made=2, failed=1)
    assert sending.next_due(station.sender) == until
    station.wait(minutes=9)
    assert station.send().attempts == 0
    station.wait(minutes=1)
    assert station.send().delivered == 2


@pytest.mark.parametrize("header", ["", "-5", "soon", "9" * 30, "1e3", "Fri, 99 Nov 2026"])
def test_a_retry_after_that_is_none_changes_nothing(station: Station, receiver: Counterpart, header: str) -> None:
    station.add(receiver.url)
    station.emit("a")
    receiver.script = [answer(503, retry_after=header)]
    station.send()
    station.wait(seconds=6)
    assert station.send().delivered == 1


def test_an_endpoint_that_fails_for_days_is_disabled_with_the_reason(station: Station, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url, failure_days=2)
    station.emit("a")
    receiver.script = [answer(500)] * 99
    while station.endpoint(endpoint_id).status == "enabled":
        assert station.now < NOW + timedelta(days=4)
        station.emit(f"at {station.now}")
        station.send()
        station.wait(hours=6)
    ended = station.now - timedelta(hours=6)
    assert ended == NOW + timedelta(days=2)
    assert f"failed since {instant_text(NOW)}" in str(station.endpoint(endpoint_id).status_reason)


def test_a_success_in_between_ends_the_days_of_failure(station: Station, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url, failure_days=1)
    station.emit("a")
    receiver.script = [answer(500)]
    station.send()
    assert station.endpoint(endpoint_id).failing_since == instant_text(NOW)
    station.wait(hours=23)
    station.send()
    assert station.endpoint(endpoint_id).failing_since is None
    receiver.script = [answer(500)]
    station.wait(hours=2)
    station.emit("b")
    station.send()
    assert station.endpoint(endpoint_id).status == "enabled"


def test_three_silent_attempts_in_a_row_leave_the_endpoint_alone_for_a_minute(
    station: Station, receiver: Counterpart
) -> None:
    station.add(receiver.url)
    station.emit(*"abcdef")
    receiver.script = [reset] * 3
    assert station.send() == sending.Tally(made=6, failed=3)
    station.wait(seconds=59)
    assert station.send().attempts == 0
    station.wait(seconds=2)
    assert station.send().delivered == 6


def test_one_endpoint_that_hangs_does_not_keep_others_waiting(station: Station, receiver: Counterpart) -> None:
    with counterpart() as slow:
        slow.script = [silence] * 3
        station.add(slow.url)
        station.add(receiver.url)
        station.emit("a", "b", "c")
        begun = time.monotonic()
        tally = sending.send_due(replace(station.sender, limits=Limits(0.5, 0.4)))
    assert time.monotonic() - begun < 5
    assert (tally.delivered, tally.failed) == (3, 3)
    assert len(receiver.requests) == 3


def test_both_secrets_sign_while_a_rotation_lasts_and_then_the_new_one_alone(
    station: Station, receiver: Counterpart
) -> None:
    endpoint_id = station.add(receiver.url)
    old = station.secrets[endpoint_id]
    _, new = endpoints.rotate(Tenant.of(station.home, "acme"), endpoint_id, station.now, overlap_hours=1)
    for name in ("a", "b"):
        station.emit(name)
        station.send()
        station.wait(hours=1)
    during, after = (
        [request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
        for request in receiver.requests
    )
    assert len(during[2].split(" ")) == 2
    for secret in (old, new):
        assert verify_standard(receiver.requests[0].body, *during, [secret], NOW)
    later = NOW + timedelta(hours=1)
    assert verify_standard(receiver.requests[1].body, *after, [new], later)
    assert not verify_standard(receiver.requests[1].body, *after, [old], later)


def test_a_removed_endpoint_gets_nothing_more_and_its_deliveries_can_still_be_read(
    station: Station, receiver: Counterpart
) -> None:
    endpoint_id = station.add(receiver.url)
    station.emit("a", "b")
    receiver.script = [answer(500), answer(500)]
    station.send()
    endpoints.remove(Tenant.of(station.home, "acme"), endpoint_id)
    station.wait(days=1)
    station.emit("c")
    assert station.send() == sending.Tally()
    assert [(delivery.status, delivery.attempts) for delivery in station.deliveries()] == [("dead", 1), ("dead", 1)]
    assert endpoints.listed(Tenant.of(station.home, "acme")) == []
