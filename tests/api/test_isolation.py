"""Nobody gets in without a token, nobody does what the role may not, and other tenants' ids are as if there were none.

The matrix is made from the API's own description, so that a new route is in it from the start.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import NOW, PROVIDER, ROLES, Api, Books, serving
from tests.support.every import check_every
from zentra_pipeline.api.app import openapi_text
from zentra_pipeline.api.security import MAY
from zentra_pipeline.api.service import Limits
from zentra_pipeline.tenants import access

PUBLIC = {("get", "/healthz"), ("get", "/problems/{name}")}
BODIES = {
    "/reconciliation/runs": {
        "provider": PROVIDER,
        "settlement_file": "set_2026_04_26",
        "ledger_window": "2026-04-26",
        "owner": "o",
    },
    "/reconciliation/runs/{run_id}/closeout": {"action": "prepare"},
    "/reconciliation/runs/{run_id}/void": {"reason": "asked for by mistake"},
    "/reconciliation/exceptions/{exception_id}/decisions": {"action": "comment", "reason": "why"},
    "/reconciliation/periods/{period}/windows": {"action": "prepare"},
    "/reconciliation/periods/{period}/sign-off": {"action": "prepare"},
}
NEEDS = {
    "/reconciliation/runs": "ask",
    "/files/{provider}/{kind}": "ask",
    "/callbacks/{provider}": "deliver",
    "/reconciliation/runs/{run_id}/closeout": "prepare",
    "/reconciliation/runs/{run_id}/void": "approve",
    "/reconciliation/exceptions/{exception_id}/decisions": "decide",
    "/reconciliation/exceptions/decisions": "decide",
    "/reconciliation/exceptions/{exception_id}/attachments": "decide",
    "/reconciliation/periods/{period}/windows": "prepare",
    "/reconciliation/periods/{period}/sign-off": "prepare",
    "/webhooks/endpoints": "keep webhooks",
    "/webhooks/endpoints/{endpoint_id}": "keep webhooks",
    "/webhooks/endpoints/{endpoint_id}/rotate": "keep webhooks",
    "/webhooks/replay": "keep webhooks",
    "/runtime/intents": "ask",
}


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in json.loads(openapi_text())["paths"].items():
        for method in methods:
            if (method, path) not in PUBLIC:
                yield method, path


OPERATIONS = sorted(operations())
WITH_ID = [(method, path) for method, path in OPERATIONS if "{run_id}" in path or "{exception_id}" in path]


def call(api: Api, method: str, path: str, **names: str) -> httpx.Response:
    """Ask with a body that the route takes."""
    names = {"run_id": "run_0", "exception_id": "exc_0", "provider": PROVIDER, "kind": "ledger"} | names
    names = {"revision": "1", "endpoint_id": "whe_0", "delivery_id": "whd_0", "intent_id": "int_0"} | names
    names = {"sha256": "a" * 64, "period": "2026-01"} | names
    place = path.format(**names)
    if method == "get":
        return api.get(place)
    if method in ("patch", "delete"):
        headers = {**api.headers, "Content-Type": "application/json"}
        return api.client.request(method.upper(), place, content=b"{}", headers=headers)
    if path == "/reconciliation/exceptions/decisions":
        return api.post(place, content=b"exception_id,action\n", media_type="text/csv")
    if path.endswith("/attachments"):
        return api.post(place, content=b"x", media_type="application/octet-stream", name="note.txt", reason="why")
    if path.startswith("/files/"):
        return api.post(place, content=b"", media_type="text/csv", name="nothing.csv")
    return api.post(place, BODIES.get(path, {}))


def test_the_matrix_has_every_route_that_changes_something() -> None:
    assert {path for method, path in OPERATIONS if method != "get"} == NEEDS.keys()
    assert len(WITH_ID) >= 10


NO_TOKENS = {
    "none": None,
    "blank": "",
    "no token": "Bearer",
    "empty": "Bearer ",
    "basic": "Basic Og==",
    "unknown": "Bearer zt_" + "A" * 43,
    "non-ascii": "Bearer \u00e9",
    "two": "Bearer a b",
    "huge": "Bearer " + "x" * 9000,
}


def test_nobody_gets_in_without_a_valid_token(api: Api) -> None:
    """By any route without a header, and by one that reads and one that writes with any header that is no token."""

    def check(case: tuple[str, str, str]) -> None:
        method, path, header = case
        text = NO_TOKENS[header]
        headers = {} if text is None else {"Authorization": text.encode("latin-1")}
        answer = api.client.request(method.upper(), path.replace("{", "").replace("}", ""), headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert answer.headers["content-type"] == "application/problem+json"

    two = [("get", "/reconciliation/exceptions"), ("post", "/reconciliation/runs")]
    assert set(two) <= set(OPERATIONS)
    check_every([(*operation, "none") for operation in OPERATIONS], check)
    check_every([(*operation, "unknown") for operation in OPERATIONS], check)
    check_every([(*operation, header) for operation in two for header in NO_TOKENS], check)


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_an_id_of_another_tenant_is_answered_like_one_that_never_was(api: Api, method: str, path: str) -> None:
    theirs = api.as_("admin", "globex")
    run_id = theirs.items("/reconciliation/runs")[0]["id"]
    exception_id = theirs.items("/reconciliation/exceptions")[0]["exception_id"]
    before = theirs.get(f"/reconciliation/exceptions/{exception_id}").content
    for role in ROLES:
        if role in MAY[NEEDS.get(path, "read") if method != "get" else "read"]:
            of_theirs = call(api.as_(role), method, path, run_id=run_id, exception_id=exception_id)
            of_nobody = call(api.as_(role), method, path, run_id="run_0", exception_id="exc_0")
            assert of_theirs.status_code == of_nobody.status_code == 404, role
            assert of_theirs.content == of_nobody.content
            assert of_theirs.headers == of_nobody.headers
    assert theirs.get(f"/reconciliation/exceptions/{exception_id}").content == before


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path in OPERATIONS if method != "get"])
def test_a_role_that_may_not_is_refused_before_anything_is_looked_at(api: Api, method: str, path: str) -> None:
    for role in ROLES:
        answer = call(api.as_(role), method, path)
        assert (answer.status_code == 403) == (role not in MAY[NEEDS[path]]), (role, answer.text)


@pytest.mark.parametrize("path", [path for method, path in OPERATIONS if method == "get" and "{" not in path])
def test_lists_hold_nothing_of_another_tenant(api: Api, path: str) -> None:
    for tenant, other in (("acme", "globex"), ("globex", "acme")):
        content = api.as_("analyst", tenant).get(path).text
        theirs = [run["id"] for run in api.as_("analyst", other).items("/reconciliation/runs")]
        assert theirs
        assert not any(run_id in content for run_id in theirs)


def test_no_route_takes_a_tenant(api: Api) -> None:
    described = json.loads(openapi_text())["paths"]
    for path, methods in described.items():
        for operation in methods.values():
            assert "tenant" not in {parameter["name"] for parameter in operation.get("parameters", ())}, path
    answer = api.as_("admin").get("/reconciliation/runs", tenant="globex")
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "tenant")


def test_an_actor_is_who_the_token_says(api: Api) -> None:
    found = api.as_("operator").items("/reconciliation/exceptions")[0]["exception_id"]
    path = f"/reconciliation/exceptions/{found}/decisions"
    reported = api.as_("operator").post(path, {"action": "comment", "reason": "mine"}).json()
    assert reported["decisions"][-1]["actor"] == "operator_acme"


def test_a_revoked_token_is_good_for_a_second_at_most(reconciled: Books) -> None:
    token, kept = access.create_token(reconciled.home, tenant="acme", actor="leaver", role="analyst", now=NOW)
    with serving(reconciled) as api:
        assert api.with_token(token).get("/reconciliation/runs").status_code == 200
        access.revoke_token(reconciled.home, kept.token_id, NOW)
        identities = api.client.app.state.service.identities
        assert identities.of(token, float("inf")) is None
        assert api.with_token(token).get("/reconciliation/runs").status_code == 401


def test_whoever_asks_too_often_learns_when_to_come_back(reconciled: Books) -> None:
    with serving(reconciled, Limits(requests_per_second=0.01, requests_at_once=3)) as api:
        answers: list[Any] = [api.as_("analyst").get("/reconciliation/runs") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 90 <= int(answers[-1].headers["retry-after"]) <= 100
        assert answers[-1].json()["type"] == "/problems/busy"
        assert api.as_("admin").get("/reconciliation/runs").status_code == 200
