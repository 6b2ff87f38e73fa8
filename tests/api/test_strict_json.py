"""What any two readers would not read alike is refused, with a problem and never with a fault."""

import json
from pathlib import Path

import pytest

from tests.api.conftest import PROVIDER, Api
from zentra_pipeline.api import strict_json
from zentra_pipeline.api.app import openapi_text
from zentra_pipeline.settings import DBT_PROJECT

CORPORA = DBT_PROJECT.parent.parent / "shared" / "corpora"
SUITE = CORPORA / "JSONTestSuite" / "test_parsing"
NAUGHTY = CORPORA / "blns" / "blns.json"
# Well-formed, and yet read apart by different readers: RFC 7493 wants each key once.
TWICE = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


class Names(dict[str, str]):
    """Something for every name in a path."""

    def __missing__(self, name: str) -> str:
        return f"any_{name}"


def suite() -> list[Path]:
    return sorted(SUITE.glob("*.json"))


@pytest.mark.skipif(not SUITE.exists(), reason="the corpora are not beside this repository")
def test_the_json_test_suite_is_judged_as_it_says() -> None:
    wrong, judged = [], 0
    for path in suite():
        try:
            strict_json.parse(path.read_bytes())
        except strict_json.StrictJsonError:
            taken = False
        else:
            taken = True
        judged += not path.name.startswith("i_")
        if path.name.startswith("n_") and taken:
            wrong.append(path.name)
        if path.name.startswith("y_") and taken == (path.name in TWICE):
            wrong.append(path.name)
    assert wrong == []
    assert judged == 283


@pytest.mark.skipif(not SUITE.exists(), reason="the corpora are not beside this repository")
def test_every_file_of_the_json_test_suite_gets_a_problem_as_a_body(api: Api) -> None:
    service = api.as_("service")
    for path in suite():
        answer = service.post("/reconciliation/runs", content=path.read_bytes())
        assert answer.headers["content-type"] == "application/problem+json", path.name
        well_formed = path.name.startswith("y_") and path.name not in TWICE
        expected = {400} if path.name.startswith("n_") or path.name in TWICE else {422} if well_formed else {400, 422}
        assert answer.status_code in expected, (path.name, answer.text)


BODY = f'{{"provider": "{PROVIDER}", "settlement_file": "nowhere", "ledger_window": "2026-04-26", "owner": "o"%s}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbf" + (BODY % "").encode(),
        (BODY % "").encode("utf-16"),
        (BODY % ', "x": "\u00e9"').encode("latin-1"),
        (BODY % ', "owner": "p"').encode(),
        (BODY % ', "x": {"a": 1, "a": 1}').encode(),
        (BODY % ', "x": NaN').encode(),
        (BODY % ', "x": -Infinity').encode(),
        (BODY % ', "x": 1e400').encode(),
        (BODY % ', "x": ' + "1" * 5000).encode(),
        (BODY % ', "x": "\\ud800"').encode(),
        (BODY % ', "\\udc00": 1').encode(),
        (BODY % (', "x": ' + "[" * 65 + "]" * 65)).encode(),
        b"[" * 50_000,
        (BODY % "").encode() + b"x",
        (BODY % "").replace("}", ",}").encode(),
        (BODY % "").replace('"', "'").encode(),
    ],
)
def test_what_readers_read_apart_is_malformed(api: Api, content: bytes) -> None:
    answer = api.as_("service").post("/reconciliation/runs", content=content)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")
    assert "strict JSON" in answer.json()["detail"]


def test_nesting_that_is_not_too_deep_is_read() -> None:
    assert strict_json.parse(b"[" * 63 + b"1" + b"]" * 63)
    with pytest.raises(strict_json.StrictJsonError, match="nested deeper"):
        strict_json.parse(b"[" * 65 + b"]" * 65)


@pytest.mark.parametrize(
    ("media_type", "encoding", "status"),
    [
        ("application/json", None, 422),
        ("application/json; charset=utf-8", None, 422),
        ("Application/JSON", "identity", 422),
        ("application/json; charset=latin-1", None, 415),
        ("text/plain", None, 415),
        ("application/x-www-form-urlencoded", None, 415),
        ("", None, 415),
        ("application/json", "gzip", 415),
    ],
)
def test_a_body_of_another_media_type_is_not_read(api: Api, media_type: str, encoding: str | None, status: int) -> None:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    content = (BODY % "").encode()
    answer = api.as_("service").post("/reconciliation/runs", content=content, media_type=media_type, headers=headers)
    assert answer.status_code == status


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(api: Api) -> None:
    headers = {**api.as_("service").headers, "Content-Type": "application/json"}

    async def pieces() -> object:
        for _ in range(300):
            yield b" " * 1024

    announced = api.client.request("POST", "/reconciliation/runs", content=b" " * 300_000, headers=headers)
    streamed = api.client.request("POST", "/reconciliation/runs", content=pieces(), headers=headers)
    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert streamed.json()["type"] == "/problems/too-large"


def test_errors_of_the_router_are_problems_too(api: Api) -> None:
    nowhere = api.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "/problems/not-found")
    method = api.client.request("DELETE", "/reconciliation/runs")
    assert (method.status_code, method.json()["type"]) == (405, "/problems/method")
    assert method.headers["allow"] == "GET, HEAD, POST"
    for answer in (nowhere, method):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json().keys() == {"type", "title", "status", "detail", "remedy"}
        assert api.get(answer.json()["type"]).json()["title"] == answer.json()["title"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/callbacks/rail_primary", "POST"),
        ("/reconciliation/exceptions/decisions", "POST"),
        ("/reconciliation/exceptions/exc_1", "GET, HEAD"),
        ("/reconciliation/runs/run_1/closeout", "GET, HEAD, POST"),
        ("/webhooks/endpoints/whe_1", "DELETE, GET, HEAD, PATCH"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_answered_with_all_it_takes(api: Api, path: str, allowed: str) -> None:
    """Each path once named the methods of its first route alone."""
    for method in ("OPTIONS", "PUT", "TRACE"):
        answer = api.client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.json()["detail"] == f"This route takes {allowed}."


def test_a_query_parameter_given_twice_is_refused_on_every_route(api: Api) -> None:
    """The last one won without a word: `?limit=1&limit=1000`."""
    admin = api.as_("admin")
    operations = [
        (method.upper(), path.format_map(Names()))
        for path, methods in json.loads(openapi_text())["paths"].items()
        for method in methods
    ]
    assert len(operations) > 30
    for method, path in operations:
        answer = api.client.request(method, f"{path}?limit=1&li%6Dit=1", headers=dict(admin.headers))
        assert (answer.status_code, answer.json().get("type")) == (422, "/problems/invalid"), (method, path)
        reported = {"in": "query", "name": "limit", "reason": "it is given 2 times; name it once"}
        assert answer.json()["errors"] == [reported], (method, path)
    unknown = api.client.request("GET", "/reconciliation/runs?limit=1&limit=2")
    assert unknown.status_code == 401


def test_a_query_parameter_that_a_route_does_not_take_is_refused(api: Api) -> None:
    """`POST …/closeout?dry_run=true` once took the step: only routes with parameters of their own refused others."""
    admin = api.as_("admin")
    lenient = {"/callbacks/{provider}", "/healthz", "/openapi.json", "/problems/{name}"}
    operations = [
        (method.upper(), path.format_map(Names()))
        for path, methods in json.loads(openapi_text())["paths"].items()
        for method in methods
        if path not in lenient
    ]
    assert len(operations) > 30
    for method, path in operations:
        answer = api.client.request(method, f"{path}?dry_run=true", headers=dict(admin.headers))
        assert answer.status_code == 422, (method, path)
        (error,) = (each for each in answer.json()["errors"] if each["in"] == "query" and each["name"] == "dry_run")
        assert error["reason"].startswith("not a known name; "), (method, path)


def test_head_is_answered_as_get_without_its_body(api: Api) -> None:
    headers = dict(api.as_("analyst").headers)
    for path in ("/healthz", "/reconciliation/runs", "/reconciliation/exceptions.csv", "/events", "/nowhere"):
        whole = api.client.request("GET", path, headers=headers)
        head = api.client.request("HEAD", path, headers=headers)
        assert (head.status_code, head.headers, head.content) == (whole.status_code, whole.headers, b"")
    assert api.client.request("HEAD", "/reconciliation/runs").status_code == 401
    assert api.client.request("HEAD", "/runtime/intents", headers=headers).headers["allow"] == "POST"


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the corpora are not beside this repository")
def test_naughty_strings_survive_as_a_reason_and_harm_nothing_as_an_id(api: Api) -> None:
    strings = json.loads(NAUGHTY.read_text(encoding="utf-8"))
    operator = api.as_("operator")
    found = operator.items("/reconciliation/exceptions")[1]["exception_id"]
    path = f"/reconciliation/exceptions/{found}"
    for text in strings[::40]:  # each is a decision, and a decision takes its time
        answer = operator.post(f"{path}/decisions", {"action": "comment", "reason": text})
        if not text.strip():
            assert answer.status_code == 422
            continue
        assert answer.status_code == 200, (text, answer.text)
        assert answer.json()["decisions"][-1]["reason"] == text
    assert operator.get(path).status_code == 200
    for text in strings[::5]:
        body = {"provider": PROVIDER, "settlement_file": "nowhere", "ledger_window": "2026-04-26", "owner": text}
        assert operator.post("/reconciliation/runs", body).status_code == 422, text
    for text in strings[::20]:
        assert operator.get("/reconciliation/exceptions", owner=text[:256]).json()["items"] == [], text
