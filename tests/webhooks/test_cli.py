"""`zentra webhooks` from the first endpoint to the replay, against the receiver that comes with it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from tests.webhooks.station import NOW, TENANT, Counterpart, Station, answer, silence
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import signing
from zentra_pipeline.webhooks.receiver import Behaviour, Received, Receiver, running

IN_ACME = ("--tenant", TENANT)


@pytest.fixture
def log(acme: Zentra, tmp_path: Path) -> Station:
    """The log of the command line's tenant."""
    return Station(Tenant.of(Home.at(tmp_path / "home"), TENANT))


def added(zentra: Zentra, receiver: Counterpart, *options: str) -> str:
    done = zentra("webhooks", "add", receiver.url, *IN_ACME, "--allow-loopback", *options, "--json")
    assert done.code == 0, done.err
    return str(done.json["id"])


def test_what_happens_is_delivered_listed_and_shown_with_its_attempts(
    acme: Zentra, log: Station, receiver: Counterpart
) -> None:
    endpoint_id = added(acme, receiver, "--events", "reconciliation.run.*", "--failure-days", "3")
    (event_id,) = log.emit("a")
    receiver.script = [silence, answer(500)]
    first = acme("webhooks", "deliver", *IN_ACME, "--timeout", "0.3", "--json").json
    assert (first["made"], first["failed"], first["delivered"]) == (1, 1, 0)
    assert first["next_attempt_at"] is not None
    assert acme("webhooks", "deliver", *IN_ACME, "--once", "--json").json["failed"] == 0
    assert acme("webhooks", "deliver", *IN_ACME, "--retry-now", "--json").json["failed"] == 1
    last = acme("webhooks", "deliver", *IN_ACME, "--retry-now")
    assert (last.code, last.out) == (0, "0 new deliveries, 1 attempt: 1 delivered, 0 failed, 0 given up\n")
    (delivery,) = acme("webhooks", "deliveries", *IN_ACME, "--status", "resolved", "--json").json["items"]
    assert (delivery["event_id"], delivery["endpoint"], delivery["attempts"]) == (event_id, endpoint_id, 3)
    reported = acme("webhooks", "attempts", *IN_ACME, "--delivery", delivery["id"], "--json").json["items"]
    assert [(one["number"], one["status_code"], one["event_id"]) for one in reported] == [
        (1, None, event_id),
        (2, 500, event_id),
        (3, 204, event_id),
    ]
    assert "no answer within 0.3 s" in acme("webhooks", "attempts", *IN_ACME, "--endpoint", endpoint_id).out
    (listed,) = acme("webhooks", "list", *IN_ACME, "--json").json["items"]
    assert listed["deliveries"] == {"retained": 0, "retrying": 0, "resolved": 1, "dead": 0}
    assert listed["failure_days"] == 3


def test_replays_send_at_once_and_count_as_attempts(acme: Zentra, log: Station, receiver: Counterpart) -> None:
    added(acme, receiver)
    event_id, other = log.emit("a", "b")
    acme("webhooks", "deliver", *IN_ACME)
    for _ in range(10):
        done = acme("webhooks", "replay", *IN_ACME, "--event", event_id, "--json").json
        assert (done["replayed"], done["delivered"]) == (1, 1)
    assert receiver.ids == [event_id, other] + [event_id] * 10
    assert len(log.attempts()) == 12
    cursor = f"{2:020d}"
    assert acme("webhooks", "replay", *IN_ACME, "--from", cursor, "--to", cursor, "--json").json["delivered"] == 1
    assert receiver.ids[-1] == other
    assert acme("webhooks", "replay", *IN_ACME, "--since", "2026-04-27T06:00:00Z", "--json").json["delivered"] == 2
    assert acme("webhooks", "replay", *IN_ACME, "--since", "2026-04-27T06:00:01Z", "--json").json["replayed"] == 0
    queued = acme("webhooks", "replay", *IN_ACME, "--from", "1", "--queue-only")
    assert queued.out.splitlines()[0] == "2 deliveries to send again"
    assert acme("webhooks", "deliver", *IN_ACME, "--json").json["delivered"] == 2


def test_an_endpoint_that_is_off_gets_nothing_until_it_is_on(acme: Zentra, log: Station, receiver: Counterpart) -> None:
    endpoint_id = added(acme, receiver)
    off = acme("webhooks", "disable", endpoint_id, *IN_ACME, "--actor", "ada")
    assert off.out == f"{endpoint_id} is disabled: disabled by ada\n"
    log.emit("a")
    assert acme("webhooks", "deliver", *IN_ACME, "--json").json["made"] == 0
    assert acme("webhooks", "enable", endpoint_id, *IN_ACME).out == f"{endpoint_id} is enabled\n"
    assert acme("webhooks", "deliver", *IN_ACME, "--until-empty", "--json").json["delivered"] == 1
    assert acme("webhooks", "remove", endpoint_id, *IN_ACME).code == 0
    assert acme("webhooks", "enable", endpoint_id, *IN_ACME).code == 2


def test_until_empty_waits_for_the_retry(acme: Zentra, log: Station, receiver: Counterpart) -> None:
    added(acme, receiver)
    log.emit("a")
    receiver.script = [answer(503)]
    assert acme("webhooks", "deliver", *IN_ACME, "--json").json["failed"] == 1
    with_times_past(log)
    done = acme("webhooks", "deliver", *IN_ACME, "--until-empty", "--json").json
    assert (done["delivered"], done["next_attempt_at"]) == (1, None)


def with_times_past(log: Station) -> None:
    """Bring the next attempt to half a second from now."""
    from datetime import UTC, datetime, timedelta

    from zentra_pipeline.instants import instant_text
    from zentra_pipeline.store import webhooks as webhook_store
    from zentra_pipeline.store.engine import operational_store

    (delivery,) = log.deliveries()
    soon = {"next_attempt_at": instant_text(datetime.now(UTC) + timedelta(seconds=0.5))}
    with operational_store(log.paths).begin() as connection:
        webhook_store.change_delivery(connection, delivery.delivery_id, soon)


@pytest.mark.parametrize(
    ("misuse", "code"),
    [
        (("add", "http://127.0.0.1:8080/"), 2),
        (("add", "https://127.0.0.1/"), 3),
        (("add", "http://10.0.0.1:8080/", "--allow-loopback"), 3),
        (("add", "https://example.com/", "--events", "reconciliation.unknown"), 2),
        (("add", "https://example.com/", "--events", "[a]"), 2),
        (("rotate", "whe_0"), 2),
        (("enable", "whe_0"), 2),
        (("replay",), 2),
        (("replay", "--event", "evt_1", "--from", "1"), 2),
        (("replay", "--to", "1"), 2),
        (("replay", "--event", "evt_1"), 2),
        (("replay", "--from", "x"), 2),
        (("deliver", "--once", "--loop"), 2),
        (("deliver", "--loop", "--json"), 2),
        (("deliveries", "--status", "lost"), 2),
        (("attempts", "--delivery", "a.b"), 2),
    ],
)
def test_misuse_is_reported_and_changes_nothing(acme: Zentra, misuse: tuple[str, ...], code: int) -> None:
    done = (
        acme("webhooks", *misuse, *IN_ACME, "--json") if "--json" not in misuse else acme("webhooks", *misuse, *IN_ACME)
    )
    assert done.code == code
    assert done.json["error"]["message"]
    assert acme("webhooks", "list", *IN_ACME, "--json").json == {"items": []}


def test_listening_needs_a_secret(acme: Zentra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZENTRA_WEBHOOK_SECRET", raising=False)
    assert acme("webhooks", "listen").code == 2
    assert acme("webhooks", "listen", "--secret", "whsec_AAAA", "--json").code == 2


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "zentra_pipeline", "webhooks", *arguments]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    watchdog = threading.Timer(60, started.kill)
    watchdog.start()
    try:
        yield started
    finally:
        watchdog.cancel()
        started.kill()
        started.wait()


def test_the_receiver_and_the_loop_meet_as_processes(acme: Zentra, log: Station) -> None:
    secret = signing.new_secret()
    with process("listen", "--port", "0", "--failing", "1", ZENTRA_WEBHOOK_SECRET=f"whsec_AAAA {secret}") as listening:
        assert listening.stderr is not None and listening.stdout is not None
        url = listening.stderr.readline().split()[-1]
        added_ = acme("webhooks", "add", url, *IN_ACME, "--allow-loopback", "--json").json
        with process("deliver", *IN_ACME, "--loop", "--home", str(log.home.root)) as looping:
            (event_id,) = log.emit("a")
            line = listening.stdout.readline()
            assert line.split()[:3] == ["NOT", "VERIFIED", event_id]
            assert looping.stderr is not None
            noted = looping.stderr.readline()  # of the pass that sent it
            looping.send_signal(signal.SIGINT)
            _, rest = looping.communicate(timeout=60)
            noted += rest
        assert looping.returncode == 0
        assert "1 new delivery, 1 attempt: 0 delivered, 1 failed, 0 given up" in noted
    assert log.attempts()[0].status_code == 500
    assert added_["secret"] not in noted


def test_the_receiver_verifies_answers_and_knows_repeats(station: Station) -> None:
    secret, reported = signing.new_secret(), list[Received]()
    receiver = Receiver(Behaviour([secret], failing=1, failing_status=503), reported.append, now=lambda: NOW)
    with running(receiver):
        station.add(receiver.url)
        # what the station signs with is not known to the receiver, so its deliveries are refused
        station.emit("a")
        station.send()
        station.wait(seconds=6)
        station.send()
    assert [(one.is_verified, one.answered) for one in reported] == [(False, 503), (False, 401)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "v2,AAAA v1a,BBBB"},
        {"webhook-signature": "é" * 200},
        {"webhook-id": "evt.1"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": "v1,AAAA " * 900},
    ],
    ids=lambda headers: str(headers)[:40],
)
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"{}" * 10, b"[" * 100_000])
def test_any_request_is_refused_without_a_fault(headers: dict[str, str], body: bytes) -> None:
    reported: list[Received] = []
    receiver = Receiver(Behaviour([signing.new_secret()]), reported.append, now=lambda: NOW)
    try:
        received = receiver.take(headers, body)
    finally:
        receiver._server.server_close()
    assert (received.is_verified, received.answered) == (False, 401)


def test_a_signature_holds_within_five_minutes_and_under_any_of_the_secrets() -> None:
    from datetime import timedelta

    old, new = signing.new_secret(), signing.new_secret()
    body = json.dumps({"type": "reconciliation.run.created"})
    for minutes, holds in ((-6, False), (-4, True), (0, True), (4, True), (6, False)):
        for keys in ([old], [new], [new, old]):
            reported: list[Received] = []
            receiver = Receiver(
                Behaviour([new, old]), reported.append, now=lambda minutes=minutes: NOW + timedelta(minutes=minutes)
            )
            headers = signing.headers("evt_1", NOW, body, keys)
            first, again = receiver.take(headers, body.encode()), receiver.take(headers, body.encode())
            receiver._server.server_close()
            assert (first.is_verified, first.is_repeat) == (holds, False)
            assert again.is_repeat is holds
            assert first.event_type == "reconciliation.run.created"
