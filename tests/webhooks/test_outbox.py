"""Deliveries are made from the log: each event once an endpoint, in the order of the log, however often one looks."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from tests.scenarios.rows import MON, post, settle
from tests.scenarios.world import World
from tests.webhooks.station import NOW, Counterpart, Station, answer, make_station
from zentra_pipeline.events import log_reading, types
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.webhooks import endpoints, outbox, sending

pytestmark = pytest.mark.on_postgresql


def a_match(rule: str, currency: str, amount: int) -> tuple[str, str, str]:
    data = {
        "provider": "p",
        "settlement_file": "f",
        "ledger_window": "2026-04-26",
        "run_revision": 1,
        "rule": rule,
        "currency": currency,
        "settlement_minor": amount,
        "ledger_minor": amount - 1,
        "difference_minor": 1,
    }
    return types.MATCH_CREATED, f"mat_{rule}_{amount}", json.dumps(data)


REVERSED = (types.MATCH_REVERSED, "mat_0", "{}")
OPENED = (types.EXCEPTION_OPENED, "exc_0", "{}")
SEGMENT = (
    REVERSED,
    a_match("batch_total", "USD", 900),
    a_match("exact_reference", "EUR", 100),
    a_match("exact_reference", "USD", 2**62),
    a_match("exact_reference", "USD", 2**62),
    a_match("batch_total", "USD", -300),
    OPENED,
)


def events(receiver: Counterpart) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests]


@pytest.mark.usefixtures("database")
def test_deliveries_go_out_in_the_order_of_the_log(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url, is_each_match=True)
    station.emit("a", "b")
    station.emit_file("one", SEGMENT)
    station.emit("c")
    assert station.send() == sending.Tally(made=10, delivered=10)
    assert [event["sequence"] for event in events(receiver)] == [f"{place:020d}" for place in range(1, 11)]
    assert receiver.ids == [event["id"] for _, event in log_reading.read(station.paths).events]
    assert station.send() == sending.Tally()


def test_matches_are_one_event_a_rule_with_amounts_by_currency(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    station.emit("a")
    station.emit_file("one", SEGMENT)
    assert station.send().delivered == 5
    reported = events(receiver)
    assert [event["type"].removeprefix("reconciliation.") for event in reported] == [
        *("run.created", "match.reversed", "match.created", "match.created", "exception.opened"),
    ]
    assert [int(event["sequence"]) for event in reported] == [1, 2, 6, 7, 8]
    exact, batch = reported[2]["data"], reported[3]["data"]
    assert exact == {
        "provider": "p",
        "settlement_file": "f",
        "ledger_window": "2026-04-26",
        "run_id": "run_1",
        "run_revision": 1,
        "rule": "exact_reference",
        "matches": 3,
        "amounts": [
            {"currency": "EUR", "matches": 1, "settlement_minor": 100, "ledger_minor": 99, "difference_minor": 1},
            {
                "currency": "USD",
                "matches": 2,
                "settlement_minor": 2**63,
                "ledger_minor": 2**63 - 2,
                "difference_minor": 2,
            },
        ],
    }
    assert (batch["rule"], batch["matches"], batch["amounts"][0]["settlement_minor"]) == ("batch_total", 2, 600)
    assert len(set(receiver.ids)) == 5


def test_a_summary_has_the_same_id_at_every_endpoint_and_in_every_home(
    station: Station, receiver: Counterpart, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_station(tmp_path_factory.mktemp("other"))
    found = []
    for each in (station, other):
        each.add(receiver.url)
        each.add(receiver.url)
        each.emit_file("one", SEGMENT)
        each.send()
        found.append({d.event_id for d in each.deliveries() if d.event_type == types.MATCH_CREATED})
    assert found[0] == found[1]
    assert len(found[0]) == 2


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["reconciliation.exception.*"], ["exception.opened"]),
        (["reconciliation.match.created"], ["match.created", "match.created"]),
        (["reconciliation.match.*", "reconciliation.run.*"], ["run.created", "match.reversed", *["match.created"] * 2]),
        (["*"], ["run.created", "match.reversed", "match.created", "match.created", "exception.opened"]),
    ],
)
def test_an_endpoint_gets_the_types_it_asked_for(
    station: Station, receiver: Counterpart, globs: Sequence[str], expected: Sequence[str]
) -> None:
    endpoint_id = station.add(receiver.url, events=globs)
    station.emit("a")
    station.emit_file("one", SEGMENT)
    station.send()
    assert [event["type"].removeprefix("reconciliation.") for event in events(receiver)] == list(expected)
    assert station.endpoint(endpoint_id).position == 8


def test_an_endpoint_gets_what_happens_after_it_was_added(station: Station, receiver: Counterpart) -> None:
    station.emit("before")
    station.add(receiver.url)
    station.emit("after")
    station.send()
    assert [event["subject"] for event in events(receiver)] == ["after"]


@pytest.mark.parametrize("is_each_match", [True, False])
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_what_does_not_fit_stays_in_the_log_until_there_is_room(
    station: Station, receiver: Counterpart, monkeypatch: pytest.MonkeyPatch, most: int, is_each_match: bool
) -> None:
    """However small the steps: nothing twice, nothing left out, the same order."""
    monkeypatch.setattr(outbox, "MOST_WAITING", most)
    endpoint_id = station.add(receiver.url, is_each_match=is_each_match)
    station.emit("a")
    station.emit_file("one", SEGMENT)
    station.emit("b")
    receiver.script = [answer(500)] * 2
    station.send()
    assert len([d for d in station.deliveries() if d.next_attempt_at]) <= most
    for _ in range(2):
        station.wait(hours=1)
        station.send()
    reported = [delivery.event_id for delivery in station.deliveries()]
    whole = [event["id"] for _, event in outbox.wanted(station.tenant, station.endpoint(endpoint_id), 0).events]
    assert reported == whole
    assert {delivery.status for delivery in station.deliveries()} == {"resolved"}
    assert station.endpoint(endpoint_id).position == 9


@pytest.mark.usefixtures("database")
def test_senders_at_the_same_time_send_each_delivery_once(station: Station, receiver: Counterpart) -> None:
    station.add(receiver.url)
    station.emit(*(f"e{number}" for number in range(12)))
    with ThreadPoolExecutor(4) as pool:
        tallies = list(pool.map(lambda _: station.send(), range(4)))
    assert sum(tallies, sending.Tally()) == sending.Tally(made=12, delivered=12)
    assert len(receiver.ids) == len(set(receiver.ids)) == 12


def test_an_endpoint_that_moved_on_meanwhile_is_not_given_anything_twice(station: Station) -> None:
    """A maker that read the endpoint earlier finds that its place was passed, and records nothing."""
    endpoint = station.endpoint(station.add("http://127.0.0.1:9999/"))
    station.emit("a", "b")
    assert outbox.make(station.tenant, endpoint, NOW) == 2
    assert outbox.make(station.tenant, endpoint, NOW) == 0
    assert len(station.deliveries()) == 2


def test_a_disabled_endpoint_gets_later_what_happened_meanwhile(station: Station, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url)
    endpoints.disable(station.tenant, endpoint_id, "for now")
    station.emit("a", "b")
    assert station.send() == sending.Tally()
    endpoints.enable(station.tenant, endpoint_id, station.now)
    assert station.send() == sending.Tally(made=2, delivered=2)


def test_the_deliveries_of_a_real_run_meet_their_schemas_and_its_summaries_add_up_to_its_matches(
    tmp_path_factory: pytest.TempPathFactory, receiver: Counterpart
) -> None:
    world = World(tmp_path_factory.mktemp("run"))
    station = Station(world.tenant)
    station.add(receiver.url)
    world.add(
        *(settle(f"L{n}", f"R{n}", 100 + n) for n in range(20)), *(post(f"T{n}", f"R{n}", 100 + n) for n in range(20))
    )
    world.add(settle("LX", "RX", 7, currency="EUR"), post("TX", "RX", 7, currency="EUR"))
    world.settle("LY", "RY", 5)  # nothing answers it
    world.make(MON)
    assert station.send().delivered == len(receiver.requests) > 2
    delivered = events(receiver)
    for event in delivered:  # what is sent, not only what the log has, is as documented
        jsonschema_rs.validator_for(types.json_schema(event["type"]), validate_formats=True).validate(event)
    assert {types.RUN_CREATED, types.MATCH_CREATED, types.EXCEPTION_OPENED} <= {event["type"] for event in delivered}
    (reported,) = [event for event in delivered if event["type"] == types.MATCH_CREATED]
    rows = world.query(
        "select currency, count(*)::bigint as matches, sum(settlement_minor)::bigint as settlement_minor, "
        "sum(ledger_minor)::bigint as ledger_minor, sum(difference_minor)::bigint as difference_minor "
        "from matches group by currency order by currency"
    )
    assert reported["data"]["amounts"] == rows
    data = reported["data"]
    assert (data["matches"], reported["subject"], data["run_revision"]) == (21, data["run_id"], 1)


def test_a_sender_of_another_tenant_finds_nothing(station: Station, receiver: Counterpart) -> None:
    globex = tenancy.add_tenant(station.home, "globex", NOW)
    station.add(receiver.url)
    station.emit("a")
    assert sending.send_due(replace(station.sender, tenant=globex)) == sending.Tally()
    assert receiver.requests == []
