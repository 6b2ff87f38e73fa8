"""Webhooks over HTTP: operators and admins keep their own tenant's endpoints, see deliveries, send again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.conftest import ROLES, Client
from tests.webhooks.station import NOW, TENANT, Counterpart, Station, answer
from zentra_pipeline.api.app import create_app
from zentra_pipeline.api.paging import cursor
from zentra_pipeline.api.security import KEEP_WEBHOOKS, MAY
from zentra_pipeline.sources.signatures import verify_standard
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.webhooks import endpoints

URL = "https://hooks.example.com/in"


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    client: Client
    token: str

    def ask(self, method: str, path: str, body: object = None, **parameters: Any) -> httpx.Response:
        options: dict[str, Any] = {"headers": {"Authorization": f"Bearer {self.token}"}, "params": parameters}
        if method in ("POST", "PATCH"):
            options["json"] = {} if body is None else body
        return self.client.request(method, f"/webhooks{path}", **options)

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        found, after = [], {}
        while True:
            page = self.ask("GET", path, **parameters, **after)
            assert page.status_code == 200, page.text
            found += page.json()["items"]
            if page.json()["next"] is None:
                return found
            after = {"after": page.json()["next"]}


@pytest.fixture
def client(station: Station) -> Iterator[Client]:
    served = Client(create_app(station.home, now=lambda: station.now))
    yield served
    served.close()


def caller(station: Station, client: Client, role: str = "operator", tenant: str = TENANT) -> Caller:
    token, _ = access.create_token(station.home, tenant=tenant, actor=f"{role} of {tenant}", role=role, now=NOW)
    return Caller(client, token)


@pytest.fixture
def operator(station: Station, client: Client) -> Caller:
    return caller(station, client)


def test_an_endpoint_is_added_changed_and_removed_and_its_secret_shown_once(operator: Caller) -> None:
    made = operator.ask("POST", "/endpoints", {"url": URL, "events": ["reconciliation.exception.*"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    path = f"/endpoints/{made.json()['id']}"
    assert made.headers["location"] == f"/webhooks{path}"
    shown = operator.ask("GET", path).json()
    assert shown == {name: value for name, value in made.json().items() if name != "secret"}
    assert (shown["created_by"], shown["allow_loopback"]) == ("operator of acme", False)
    changed = operator.ask("PATCH", path, {"each_match": True, "status": "disabled"}).json()
    assert (changed["each_match"], changed["status"]) == (True, "disabled")
    assert changed["status_reason"] == "disabled by operator of acme"
    assert operator.ask("PATCH", path, {"status": "enabled"}).json()["status_reason"] is None
    rotated = operator.ask("POST", f"{path}/rotate", {"overlap_hours": 2}).json()
    assert rotated["secret"] != secret
    assert rotated["previous_secret_until"] == "2026-04-27T08:00:00.000000Z"  # noqa: S105
    assert secret not in operator.ask("GET", "/endpoints").text
    assert operator.ask("DELETE", path).status_code == 204
    assert operator.ask("GET", path).status_code == operator.ask("DELETE", path).status_code == 404
    assert operator.items("/endpoints") == []


@pytest.mark.usefixtures("database")
def test_deliveries_and_attempts_are_listed_as_they_are(
    station: Station, operator: Caller, receiver: Counterpart
) -> None:
    endpoint_id = station.add(receiver.url)
    ids = station.emit("a", "b", "c")
    receiver.script = [answer(500, b"no")]
    station.send()
    found = operator.items("/deliveries", limit=2)
    assert [one["event_id"] for one in found] == ids
    assert [one["status"] for one in found] == ["retrying", "resolved", "resolved"]
    assert [one["event_id"] for one in operator.items("/deliveries", status="resolved")] == ids[1:]
    assert [one["event_id"] for one in operator.items("/deliveries", event=ids[1], endpoint=endpoint_id)] == [ids[1]]
    detail = operator.ask("GET", f"/deliveries/{found[0]['id']}").json()
    assert detail["event"]["id"] == ids[0]
    station.wait(minutes=1)
    station.send()
    attempts = operator.items(f"/deliveries/{found[0]['id']}/attempts", limit=1)
    assert [(one["number"], one["status_code"], one["error"], one["response"]) for one in attempts] == [
        (1, 500, "the receiver answered 500", "no"),
        (2, 204, None, None),
    ]


def test_a_replay_is_taken_and_sent_by_whoever_sends(station: Station, operator: Caller, receiver: Counterpart) -> None:
    endpoint_id = station.add(receiver.url)
    ids = station.emit("a", "b")
    station.send()
    for body, count in (
        ({"event": ids[0]}, 1),
        ({"event": ids[0], "endpoint": endpoint_id}, 1),
        ({"from": f"{2:020d}", "to": f"{2:020d}"}, 1),
        ({"since": "2026-04-27T06:00:00Z"}, 2),
    ):
        taken = operator.ask("POST", "/replay", body)
        assert (taken.status_code, taken.json()) == (202, {"deliveries": count})
    assert station.send().delivered == 5
    assert sorted(receiver.ids[2:]) == sorted([ids[0]] * 3 + [ids[1]] * 2)
    request = receiver.requests[-1]
    given = [request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    assert verify_standard(request.body, *given, [station.secrets[endpoint_id]], station.now)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/endpoints", {}),
        ("/endpoints", {"url": "http://127.0.0.1:8080/"}),
        ("/endpoints", {"url": "http://example.com/"}),
        ("/endpoints", {"url": "https://me@example.com/"}),
        ("/endpoints", {"url": URL, "allow_loopback": True}),
        ("/endpoints", {"url": URL, "events": []}),
        ("/endpoints", {"url": URL, "events": ["nothing.*"]}),
        ("/endpoints", {"url": URL, "failure_days": 0}),
        ("/replay", {}),
        ("/replay", {"event": "evt_1", "since": "2026-04-27T06:00:00Z"}),
        ("/replay", {"to": "1"}),
        ("/replay", {"from": "9" * 20}),
        ("/replay", {"since": "2026-02-30T06:00:00Z"}),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(operator: Caller, path: str, body: dict[str, Any]) -> None:
    answered = operator.ask("POST", path, body)
    assert (answered.status_code, answered.headers["content-type"]) == (422, "application/problem+json"), answered.text
    assert operator.items("/endpoints") == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://169.254.169.254/", "https://[64:ff9b::a9fe:a9fe]/"])
def test_no_internal_address_can_be_added_or_changed_to_over_http(
    station: Station, operator: Caller, receiver: Counterpart, url: str
) -> None:
    assert operator.ask("POST", "/endpoints", {"url": url}).status_code == 403
    endpoint_id = station.add(receiver.url)
    for wanted in (url, receiver.url):
        assert operator.ask("PATCH", f"/endpoints/{endpoint_id}", {"url": wanted}).status_code in (403, 422)
    assert operator.ask("PATCH", f"/endpoints/{endpoint_id}", {"url": URL}).json()["allow_loopback"] is False


@pytest.mark.usefixtures("database")
def test_ids_that_no_store_would_take_are_unknown_and_never_a_fault(
    station: Station, operator: Caller, receiver: Counterpart
) -> None:
    station.add(receiver.url)
    station.emit("a", "b")
    station.send()
    for name in ("%00", "whe_%00", "%ED%A0%80", "%FF", "x" * 5_000, "a'b", "é"):
        for path in (f"/endpoints/{name}", f"/deliveries/{name}", f"/deliveries/{name}/attempts"):
            assert operator.ask("GET", path).status_code == 404, path
    for name in ("\x00", "é", "x" * 65):
        assert operator.ask("GET", "/deliveries", endpoint=name).status_code == 422
        assert operator.ask("GET", "/deliveries", event=name).status_code == 422
    for place in ([1, "\x00"], [1], ["1", "x"], [2**63, "x"]):
        assert operator.ask("GET", "/deliveries", after=cursor(place)).status_code == 422
    assert operator.ask("GET", "/deliveries", after=cursor([2**63 - 1, "x"])).json()["items"] == []


def test_only_operators_and_admins_keep_webhooks(station: Station, client: Client) -> None:
    routes = [
        *(("GET", path) for path in ("/endpoints", "/endpoints/whe_0", "/deliveries", "/deliveries/whd_0")),
        ("GET", "/deliveries/whd_0/attempts"),
        *(("POST", path) for path in ("/endpoints", "/endpoints/whe_0/rotate", "/replay")),
        ("PATCH", "/endpoints/whe_0"),
        ("DELETE", "/endpoints/whe_0"),
    ]
    for role in ROLES:
        somebody = caller(station, client, role)
        for method, path in routes:
            is_refused = somebody.ask(method, path).status_code == 403
            assert is_refused == (role not in MAY[KEEP_WEBHOOKS]), (role, method, path)


def test_what_is_another_tenants_is_answered_like_what_never_was(
    station: Station, client: Client, receiver: Counterpart
) -> None:
    tenancy.add_tenant(station.home, "globex", NOW)
    endpoint_id = station.add(receiver.url)
    (event_id,) = station.emit("a")
    station.send()
    (delivery,) = station.deliveries()
    theirs = caller(station, client, "admin", "globex")
    for method, path, own, never in (
        ("GET", "/endpoints/{}", endpoint_id, "whe_0"),
        ("PATCH", "/endpoints/{}", endpoint_id, "whe_0"),
        ("DELETE", "/endpoints/{}", endpoint_id, "whe_0"),
        ("POST", "/endpoints/{}/rotate", endpoint_id, "whe_0"),
        ("GET", "/deliveries/{}", delivery.delivery_id, "whd_0"),
        ("GET", "/deliveries/{}/attempts", delivery.delivery_id, "whd_0"),
    ):
        of_ours, of_nobody = (theirs.ask(method, path.format(name)) for name in (own, never))
        assert of_ours.status_code == of_nobody.status_code == 404
        assert of_ours.content == of_nobody.content
    for body in ({"event": event_id}, {"event": "evt_0"}, {"since": "2026-04-27T06:00:00Z", "endpoint": endpoint_id}):
        assert theirs.ask("POST", "/replay", body).status_code == 404
    assert theirs.items("/deliveries") == theirs.items("/endpoints") == []
    assert theirs.items("/deliveries", endpoint=endpoint_id) == []
    assert [found.endpoint_id for found in endpoints.listed(station.tenant)] == [endpoint_id]
    assert station.send().attempts == 0
