"""With ZENTRA_LOG=json every line is an object that says whose request it was; without it requests are no lines."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Api, Books, serving
from zentra_pipeline import logs
from zentra_pipeline.api import problems
from zentra_pipeline.errors import UnavailableError, UsageError
from zentra_pipeline.outages import OutageLog
from zentra_pipeline.settings import LOG_VARIABLE, Home
from zentra_pipeline.tenants import tenancy


@pytest.fixture
def logging_api(reconciled: Books, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv(LOG_VARIABLE, "json")
    with serving(reconciled) as served:
        yield served


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_request_is_a_line_with_its_id_tenant_actor_and_run(
    logging_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    (run, *_) = logging_api.as_("analyst").items("/reconciliation/runs")
    capsys.readouterr()
    answer = logging_api.as_("analyst").get(f"/reconciliation/runs/{run['id']}")
    (line,) = lines(capsys)
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z", line.pop("at"))
    assert line.pop("milliseconds") >= 0
    assert line == {
        "level": "info",
        "source": "server",
        "message": "request",
        "method": "GET",
        "path": f"/reconciliation/runs/{run['id']}",
        "status": 200,
        "request_id": answer.headers["x-request-id"],
        "tenant": "acme",
        "actor": "analyst_acme",
        "run_id": run["id"],
    }


def test_an_id_that_came_with_a_request_is_kept_unless_it_could_forge_a_line(
    logging_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, is_kept in (("trace-1.a", True), ("x" * 65, False), ('a"}\\n{"b', False), ("", False)):
        answer = logging_api.client.request("GET", "/problems/none", headers={"X-Request-Id": given})
        (line,) = lines(capsys)
        assert line["request_id"] == answer.headers["x-request-id"]
        assert (line["request_id"] == given) is is_kept
        assert "tenant" not in line


def test_what_is_said_while_a_request_is_answered_carries_its_id(
    logging_api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_home: Home) -> list[str]:
        raise UnavailableError("the database cannot be reached")

    monkeypatch.setattr(problems, "OUTAGES", OutageLog(problems._log))
    monkeypatch.setattr(tenancy, "names", fail)
    assert logging_api.get("/readyz").status_code == 503
    (probe,) = lines(capsys)  # a probe is no line of its own, and what is wrong is one
    assert (probe["level"], probe["source"], "request_id" in probe) == ("error", "unavailable", True)
    callbacks = logging_api.as_("service").post("/callbacks/none such", {})
    assert [line["status"] for line in lines(capsys)] == [callbacks.status_code]


def test_a_fault_is_one_line_with_its_traceback(
    logging_api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault\nof two lines")

    monkeypatch.setattr("zentra_pipeline.desk.metrics.gauges", fail)
    assert logging_api.as_("analyst").get("/metrics").status_code == 500
    fault, request = lines(capsys)
    assert (fault["source"], fault["tenant"], fault["request_id"]) == ("fault", "acme", request["request_id"])
    assert "RuntimeError: a fault\nof two lines" in fault["message"]
    assert (request["level"], request["status"]) == ("error", 500)


def test_without_it_lines_are_for_people_and_requests_are_none(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert "x-request-id" not in api.as_("analyst").get("/reconciliation/runs").headers
    with logs.about(tenant="acme"):
        logs.write("worker", "acme: run run_1", run_id="run_1")
    assert capsys.readouterr().err == "worker: acme: run run_1\n"
    assert logs.of_libraries() is None


def test_another_form_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG_VARIABLE, "xml")
    with pytest.raises(UsageError, match="ZENTRA_LOG is 'xml': use text or json"):
        logs.write("worker", "x")
