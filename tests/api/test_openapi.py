"""What the API says of itself: the description in docs is this one, and no answer is other than described."""

import json
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from schemathesis import checks
from schemathesis.checks import load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test

from tests.api.conftest import Api, Books, make_books, run_story, serving
from zentra_pipeline.api.app import openapi_text
from zentra_pipeline.api.bodies import StrictModel
from zentra_pipeline.api.exceptions import NewDecision
from zentra_pipeline.api.runs import NewRun
from zentra_pipeline.api.runtime import NewIntent
from zentra_pipeline.api.webhooks import NewEndpoint, Replay
from zentra_pipeline.settings import DBT_PROJECT
from zentra_pipeline.tenants.tenant import Tenant

DOCUMENT = DBT_PROJECT.parent / "docs" / "openapi.json"
# Few examples in `make test`, a hundred in `make test-all`.
EXAMPLES = int(os.environ.get("ZENTRA_FUZZ_EXAMPLES", "6"))
CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


def test_the_description_in_docs_is_that_of_the_app() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == openapi_text(), (
        "where a change is meant: .venv/bin/python -m zentra_pipeline.api > docs/openapi.json"
    )


def test_every_route_says_what_it_is_for_and_how_it_refuses() -> None:
    for path, methods in json.loads(openapi_text())["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"].endswith("."), (method, path)
            assert operation["description"], (method, path)
            if path not in ("/healthz", "/problems/{name}"):
                assert operation["security"] == [{"token": []}], (method, path)
                assert {"401", "403", "422", "429"} <= operation["responses"].keys(), (method, path)
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def test_amounts_are_integers_and_instants_say_so() -> None:
    row = json.loads(openapi_text())["paths"]["/reconciliation/exceptions"]["get"]["responses"]["200"]
    columns = row["content"]["application/json"]["schema"]["properties"]["items"]["items"]["properties"]
    assert columns["amount_minor"] == {"type": ["integer", "null"]}
    assert columns["due_at"] == {"type": ["string", "null"], "format": "date-time"}


def _examples_of(operation: dict[str, Any], components: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of an operation: what it is of, the schema it has to meet, and what it says."""
    contents = {"request": operation.get("requestBody", {}).get("content", {})}
    contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
    for what, content in contents.items():
        for media_type, entry in content.items():
            named = [components["examples"][name]["value"] for name in entry.get("examples", ())]
            for value in [*named, *([entry["example"]] if "example" in entry else [])]:
                yield f"{what} {media_type}", entry["schema"], value


def test_every_body_and_answer_has_an_example_that_its_schema_takes() -> None:
    described = json.loads(openapi_text())
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            found = {}
            for what, schema, value in _examples_of(operation, described["components"]):
                whole = schema | {"components": described["components"]}
                jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)
                found[what] = value
            needed = {f"{status} {kind}" for status, kind in _answers(operation)}
            assert needed <= found.keys(), (method, path)
            assert ("requestBody" in operation) == any(what.startswith("request") for what in found), (method, path)
            assert all("example" in given for given in operation.get("parameters", ()) if given["in"] == "path"), path


def _answers(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in operation["responses"].items():
        yield from ((status, media_type) for media_type in answer.get("content", {}))


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/reconciliation/runs", NewRun),
        ("/reconciliation/exceptions/{exception_id}/decisions", NewDecision),
        ("/runtime/intents", NewIntent),
        ("/webhooks/endpoints", NewEndpoint),
        ("/webhooks/replay", Replay),
    ],
)
def test_an_example_that_is_sent_is_taken(path: str, model: type[StrictModel]) -> None:
    content = json.loads(openapi_text())["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert model.model_validate(content["example"])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a home that nobody else looks at."""
    books: Books = make_books(tmp_path_factory.mktemp("fuzzed"))
    run_story(Tenant.of(books.home, "globex"))
    with serving(books) as served:
        admin = served.as_("admin", "globex")
        # Looked up before anything is sent: a run that is taken back lists no exceptions any more.
        REAL_IDS["run_id"] = admin.get("/reconciliation/runs").json()["items"][0]["id"]
        REAL_IDS["exception_id"] = admin.get("/reconciliation/exceptions").json()["items"][0]["exception_id"]
        yield served


REAL_IDS: dict[str, str] = {}


def test_no_answer_is_other_than_described(fuzzed: Api) -> None:
    """Half of the ids are real ones, so that routes are seen from behind the 404 as well.

    What every route is asked is made up here: `schema.parametrize()` would have every process make it up as it collects
    tests, and schemathesis's lazy form does not work with pytest 9.
    """
    admin = fuzzed.as_("admin", "globex")

    def ask(case: schemathesis.Case) -> None:
        for name, real in REAL_IDS.items():
            if name in (case.path_parameters or {}) and len(str(case.path_parameters[name])) % 2:
                case.path_parameters[name] = real
        case.headers = {**(case.headers or {}), **admin.headers}
        case.call_and_validate(app=fuzzed.client.app, checks=CHECKS)

    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="ZENTRA_FUZZ" not in os.environ,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    schema = schemathesis.openapi.from_dict(json.loads(openapi_text()))
    load_all_checks()
    asked = 0
    for found in schema.get_all_operations():
        build_operation_test(
            config=schema.config,
            operation=found.ok(),
            test_func=ask,
            given_kwargs={},
            feedback=FeedbackSources(),
            explicit_settings=settings,
        )()
        asked += 1
    assert asked > 50
