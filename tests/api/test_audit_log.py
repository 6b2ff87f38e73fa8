"""Every request of somebody known is an entry of the tenant's audit log, by whichever route, and costs no write."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tests.api.conftest import NOW, Api, Books, Client, serving
from zentra_pipeline.api import audit as api_audit
from zentra_pipeline.console.app import create_app
from zentra_pipeline.store import audit
from zentra_pipeline.store.audit import Recorded
from zentra_pipeline.tenants import sessions

pytestmark = pytest.mark.on_postgresql

# Answered to whoever asks, known or not: no row of a tenant is in what they say.
OPEN = {"/healthz", "/readyz", "/problems/{name}", "/openapi.json", "/docs", "/", "/console", "/metrics"}
SIGN_IN = {"/console/sign-in", "/console/sign-in/provider", "/console/sign-in/provider/callback"}
CATCH_ALL = "/console/{path:path}"


def places(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path that the server's app answers, pages of the console among them."""
    for route in routes:
        assert not isinstance(route, WebSocketRoute)
        if isinstance(route, Route):
            yield from ((method, prefix + route.path) for method in sorted(route.methods or ()))
        elif isinstance(route, Mount):
            if not isinstance(route.app, StaticFiles):
                yield from places(list(route.routes or route.app._app.routes), prefix + route.path)
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            assert inner is not None, route
            yield from places(list(inner.routes), prefix)


@pytest.fixture
def everywhere(reconciled: Books) -> Iterator[Api]:
    client = Client(create_app(reconciled.home))
    yield Api(client, reconciled)
    client.close()


def written(api: Api, tenant: str = "acme", after: int = 0) -> list[Recorded]:
    assert api.client.app.state.service.audit.flush()
    with api.books.tenant(tenant).reading() as connection:
        return audit.listed(connection, after=after, limit=100_000)


def head(api: Api, tenant: str = "acme") -> int:
    assert api.client.app.state.service.audit.flush()
    with api.books.tenant(tenant).reading() as connection:
        return audit.listed(connection, limit=1)[0].sequence


def test_no_route_is_forgotten(everywhere: Api) -> None:
    home = everywhere.books.home
    found = sorted(set(places(list(everywhere.client.app.routes))))
    asked = [each for each in found if each[1] not in OPEN | SIGN_IN | {CATCH_ALL}]
    assert len(asked) > 70
    assert {path for _, path in found} >= OPEN | SIGN_IN
    secret = sessions.begin(home, everywhere.books.tokens["acme", "analyst"], NOW)
    headers = {"Cookie": f"zentra_session={secret}", **everywhere.as_("analyst").headers}
    service = everywhere.client.app.state.service
    object.__setattr__(service, "now", lambda: NOW)
    before, expected = head(everywhere), []
    for method, path in asked:
        place = re.sub(r"{[^}]*}", "x_0", path)
        everywhere.client.request(method, place, headers=headers)
        expected.append((method, place))
    entries = written(everywhere, after=before)
    assert [tuple(each.entry.what.split(" ")) for each in entries] == expected
    assert {each.entry.actor for each in entries} == {"analyst_acme"}
    assert {each.entry.via for each in entries} == {"http", "console"}


def test_an_entry_says_who_asked_for_what_and_how_it_was_answered(everywhere: Api) -> None:
    before, theirs = head(everywhere), head(everywhere, "globex")
    analyst = everywhere.as_("analyst")
    (run, *_) = everywhere.as_("admin", "globex").items("/reconciliation/runs")
    analyst.get("/reconciliation/exceptions", status="open")
    analyst.get(f"/reconciliation/runs/{run['id']}")
    analyst.post("/reconciliation/runs", {})
    everywhere.client.request("HEAD", "/reconciliation/runs", headers=dict(analyst.headers))
    for nobody in (None, "Bearer zt_" + "A" * 43):
        headers = {} if nobody is None else {"Authorization": nobody}
        everywhere.client.request("GET", "/reconciliation/runs", headers=headers)
    entries = [each.entry for each in written(everywhere, after=before)]
    assert [(each.kind, each.what, each.status, each.details) for each in entries] == [
        ("read", "GET /reconciliation/exceptions", 200, {"query": "status=open"}),
        ("read", f"GET /reconciliation/runs/{run['id']}", 404, {}),
        ("request", "POST /reconciliation/runs", 403, {}),
        ("read", "HEAD /reconciliation/runs", 200, {}),
    ]
    assert {(each.actor, each.role, each.via) for each in entries} == {("analyst_acme", "analyst", "http")}
    assert all(each.token_id and each.request_id for each in entries)
    assert [each.entry.what for each in written(everywhere, "globex", theirs)] == ["GET /reconciliation/runs"]


def test_a_callback_is_an_entry_where_it_is_refused_and_in_the_inbox_where_it_is_accepted(
    everywhere: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused deliveries, also by roles that may deliver none, were once in neither."""
    monkeypatch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__SIGNED", "a secret")
    before = head(everywhere)
    for role, provider, content in (
        ("analyst", "plain", b"{}"),
        ("service", "plain", b"no json"),
        ("service", "signed", b"{}"),
        ("service", "a b", b"{}"),
        ("service", "plain", b"{}"),
    ):
        everywhere.as_(role).post(f"/callbacks/{provider}", content=content)
    entries = [each.entry for each in written(everywhere, after=before)]
    assert [(each.kind, each.what, each.actor, each.status) for each in entries] == [
        ("request", "POST /callbacks/plain", "analyst_acme", 403),
        ("request", "POST /callbacks/plain", "service_acme", 400),
        ("request", "POST /callbacks/signed", "service_acme", 400),
        ("request", "POST /callbacks/a b", "service_acme", 422),
    ]


def test_a_decision_is_cited_once_and_named_by_its_request(everywhere: Api) -> None:
    operator = everywhere.as_("operator")
    found = operator.items("/reconciliation/exceptions", status="open")[0]["exception_id"]
    before = head(everywhere)
    answer = operator.post(f"/reconciliation/exceptions/{found}/decisions", {"action": "comment", "reason": "seen"})
    assert answer.status_code == 200, answer.text
    decided, request = sorted((each.entry for each in written(everywhere, after=before)), key=lambda each: each.kind)
    assert (decided.kind, decided.what, decided.actor) == ("decision", "comment", "operator_acme")
    assert decided.decision_id == answer.json()["decisions"][-1]["decision_id"]
    assert (request.kind, request.request_id) == ("request", decided.request_id)
    with everywhere.books.tenant("acme").reading() as connection:
        assert audit.check(connection).problems == ()


def test_signing_in_is_an_entry_without_what_came_with_it(everywhere: Api) -> None:
    before = head(everywhere)
    page = everywhere.get("/console/sign-in", next="/console/runs?x=secret")
    csrf = page.cookies["zentra_sign_in"]
    body = f"csrf={csrf}&token={everywhere.books.tokens['acme', 'operator']}"
    headers = {"Cookie": f"zentra_sign_in={csrf}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = everywhere.client.request("POST", "/console/sign-in?next=zt_x", content=body.encode(), headers=headers)
    assert answer.status_code == 303
    (entry,) = [each.entry for each in written(everywhere, after=before)]
    assert (entry.what, entry.actor, entry.via, entry.details) == (
        "POST /console/sign-in",
        "operator_acme",
        "console",
        {},
    )


def test_what_cannot_be_recorded_is_not_answered(reconciled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries wait while the store is away, in order, and requests are refused once too many do."""
    monkeypatch.setattr(api_audit, "_MOST_WAITING", 2)
    with serving(reconciled) as api:
        before = head(api)
        auditor = api.client.app.state.service.audit
        with monkeypatch.context() as away:
            away.setattr(auditor, "_written", lambda *_: False)
            answers = [api.as_("analyst").get("/reconciliation/runs").status_code for _ in range(3)]
            assert answers == [200, 200, 503]
            assert not auditor.flush()
        assert [each.entry.status for each in written(api, after=before)] == [200, 200, 503]
        assert api.as_("analyst").get("/reconciliation/runs").status_code == 200


def test_one_transaction_takes_many_entries(reconciled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(reconciled) as api:
        head(api)
        auditor = api.client.app.state.service.audit
        taken: list[int] = []
        append = audit.append

        def counted(connection: Connection, entries: list[audit.Entry]) -> None:
            taken.append(len(entries))
            append(connection, entries)

        monkeypatch.setattr(audit, "append", counted)
        monkeypatch.setattr(auditor, "_gather", 30.0)
        for _ in range(20):
            api.as_("analyst").get("/reconciliation/runs")
        auditor.flush()
        assert sum(taken) == 20
        assert len(taken) <= 2
