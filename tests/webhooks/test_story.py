"""The story: a delivery times out, fails though its signature held, and arrives; the tables do not change.

Replays add attempts and nothing else: every published table and every other table of the store keeps its bytes.
"""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, call, post, settle
from tests.scenarios.world import TENANT, World
from tests.webhooks.station import NOW, Counterpart, Station, answer, silence
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.published import lake
from zentra_pipeline.sources.signatures import verify_standard
from zentra_pipeline.store import models
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import endpoints, replay, sending

pytestmark = pytest.mark.ci


@pytest.fixture
def booked(tmp_path: Path) -> Station:
    """A station whose tenant gets a run with a match, a break and a callback, after its endpoint was added."""
    return Station(World(tmp_path).tenant)


def run(station: Station, tmp_path: Path) -> World:
    world = World.__new__(World)
    world.__dict__.update(World(tmp_path / "rows").__dict__)
    world.tenant = station.tenant
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500), call("E1", "R1", 500), settle("L2", "R2", 77))
    world.make(MON)
    return world


def digests(station: Station) -> dict[str, str]:
    """Of every published table as read, every file of the tenant, and the store but for webhooks and who asked."""
    found = {}
    tables = [str(row[0]) for row in lake.query(station.paths, "show tables").rows]
    assert {"runs", "matches", "exceptions", "conservation", "rollforward", "events", "ledger_entries"} <= {*tables}
    for table in sorted(tables):
        rows = lake.query(station.paths, f"select * from {table} order by all").rows
        found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    for path in sorted(station.paths.root.rglob("*")):
        name = path.relative_to(station.paths.root).as_posix()
        if path.is_file() and not name.startswith(("ops.db", "locks/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    with station.tenant.reading() as connection:
        for name, table in models.metadata.tables.items():
            if not name.startswith(("webhook_", "audit_")):
                rows = connection.execute(table.select().order_by(*table.primary_key.columns)).all()
                found[f"store {name}"] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def test_a_delivery_that_timed_out_and_failed_is_resolved_in_the_end_and_the_tables_stay_as_they_are(
    booked: Station, receiver: Counterpart, tmp_path: Path
) -> None:
    endpoint_id = booked.add(receiver.url, events=["reconciliation.exception.opened"])
    run(booked, tmp_path)
    before = digests(booked)
    assert len(before) > 40
    receiver.script = [silence, answer(500, b"verified, and then the disk was full"), answer(200, b"thank you")]
    states, waits = [], []
    for _ in range(3):
        booked.send()
        (delivery,) = booked.deliveries()
        states.append((delivery.status, delivery.attempts))
        waits.append(delivery.next_attempt_at)
        booked.wait(minutes=6)
    assert states == [("retrying", 1), ("retrying", 2), ("resolved", 3)]
    assert waits[-1] is None
    reported = [(attempt.number, attempt.status_code, attempt.error, attempt.response) for attempt in booked.attempts()]
    assert reported == [
        (1, None, "no answer within 0.5 s", None),
        (2, 500, "the receiver answered 500", "verified, and then the disk was full"),
        (3, 200, None, "thank you"),
    ]
    with reading(operational_store(booked.paths)) as connection:
        delivery = webhook_store.deliveries(connection)[0]
    attempts = booked.attempts()
    assert [webhook_store.attempt_state(attempt, delivery) for attempt in attempts] == [
        "retained",
        "retrying",
        "resolved",
    ]
    for request in receiver.requests:
        given = [request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
        assert verify_standard(request.body, *given, [booked.secrets[endpoint_id]], booked.now, 3_600)
        assert given[0] == delivery.event_id
    assert digests(booked) == before


def test_replaying_ten_times_adds_ten_attempts_and_changes_no_other_byte(
    booked: Station, receiver: Counterpart, tmp_path: Path
) -> None:
    booked.add(receiver.url, events=["reconciliation.exception.opened"])
    run(booked, tmp_path)
    booked.send()
    before, (delivery,) = digests(booked), booked.deliveries()
    for _ in range(10):
        assert replay.event(Tenant.of(booked.home, TENANT), delivery.event_id, booked.now) == [delivery.delivery_id]
        assert booked.send() == sending.Tally(delivered=1)
    assert len(booked.attempts()) == 11
    assert receiver.ids == [delivery.event_id] * 11
    assert [found.status for found in booked.deliveries()] == ["resolved"]
    assert digests(booked) == before


@pytest.mark.usefixtures("database")
def test_replays_that_were_asked_for_before_anything_was_sent_are_all_sent(
    station: Station, receiver: Counterpart
) -> None:
    station.add(receiver.url)
    (event_id,) = station.emit("a")
    station.send()
    for _ in range(10):
        replay.event(station.tenant, event_id, station.now)
    assert station.deliveries()[0].status == "retained"
    assert station.send().delivered == 10
    assert [attempt.number for attempt in station.attempts()] == list(range(1, 12))
    assert station.send().attempts == 0


def test_a_dead_letter_is_replayed_with_a_schedule_of_its_own(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    (event_id,) = station.emit("a")
    receiver.script = [answer(500)] * 9
    for _ in range(8):
        station.send()
        station.wait(hours=12)
    assert station.deliveries()[0].status == "dead"
    replay.event(station.tenant, event_id, station.now)
    station.send()
    assert (station.deliveries()[0].status, station.deliveries()[0].failures) == ("retrying", 1)
    station.wait(seconds=6)
    assert station.send().delivered == 1
    assert len(station.attempts()) == 10


def test_a_range_is_replayed_with_both_its_ends_to_endpoints_that_never_had_it(
    station: Station, receiver: Counterpart
) -> None:
    ids = station.emit("a", "b", "c", "d")
    endpoint_id = station.add(receiver.url)
    assert len(replay.events(station.tenant, replay.Range(2, 3), station.now)) == 2
    station.send()
    assert receiver.ids == ids[1:3]
    station.wait(minutes=1)
    later = station.emit("e")
    assert len(replay.events(station.tenant, replay.Range(since=station.now), station.now, endpoint_id)) == 1
    station.send()
    assert receiver.ids == ids[1:3] + later
    with pytest.raises(UsageError, match="more than 2 deliveries"):
        replay.events(station.tenant, replay.Range(), station.now, endpoint_id, limit=2)
    assert len(station.deliveries()) == 3


def test_an_event_that_is_none_and_an_endpoint_that_is_off_are_refused(station: Station, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url)
    with pytest.raises(UsageError, match="no event 'evt_0'"):
        replay.event(station.tenant, "evt_0", station.now)
    with pytest.raises(UsageError, match="no webhook endpoint whe_0"):
        replay.event(station.tenant, "evt_0", station.now, "whe_0")
    endpoints.disable(station.tenant, endpoint_id, "for now")
    with pytest.raises(RefusedError, match="is disabled"):
        replay.event(station.tenant, *station.emit("a"), station.now, endpoint_id)


def test_an_event_of_a_lake_file_is_found_by_its_id(station: Station, receiver: Counterpart) -> None:
    station.emit_file("one", [("reconciliation.exception.opened", f"exc_{n}", "{}") for n in range(3)])
    station.add(receiver.url)
    replay.event(station.tenant, "evt_one_1", station.now)
    station.send()
    assert receiver.ids == ["evt_one_1"]


# Sends, and dies after the receiver has answered and before anything of it is recorded.
KILLED = """
import os, sys
from datetime import UTC, datetime
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import sending, transport

post = transport.post
left = int(sys.argv[2])

def post_and_die(*arguments, **options):
    global left
    answer = post(*arguments, **options)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
    return answer

transport.post = post_and_die
now = datetime.fromisoformat(sys.argv[3])
sending.send_due(sending.Sender(Tenant.of(Home.at(sys.argv[1]), "acme"), lambda: now))
"""


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.usefixtures("database")
def test_a_sender_killed_before_it_records_repeats_that_delivery_and_loses_none(
    station: Station, receiver: Counterpart, at: int
) -> None:
    station.add(receiver.url)
    ids = station.emit("a", "b", "c", "d")
    arguments: list[Any] = [sys.executable, "-c", KILLED, station.home.root, at, NOW.isoformat()]
    done = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert receiver.ids == ids[:at]
    assert len(station.attempts()) == at - 1
    assert station.send().delivered == 4 - (at - 1)
    assert receiver.ids == [*ids[:at], ids[at - 1], *ids[at:]]
    assert {delivery.status for delivery in station.deliveries()} == {"resolved"}
