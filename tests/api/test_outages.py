"""While the database or the disk is away the server says so, with when to come back, and logs one line."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import NOW
from zentra_pipeline.api import problems
from zentra_pipeline.api.app import create_app
from zentra_pipeline.errors import UnavailableError
from zentra_pipeline.outages import OutageLog
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy

OUTAGES = {
    "no server": UnavailableError("PostgreSQL database zentra at db:5432 cannot be reached"),
    "full disk": OSError(errno.ENOSPC, "No space left on device", "ops.db"),
}


@pytest.fixture(params=OUTAGES)
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    tenancy.add_tenant(home, "acme", NOW)

    def fail(*_arguments: object) -> None:
        raise OUTAGES[request.param]

    monkeypatch.setattr(problems, "OUTAGES", OutageLog(problems._log))
    with TestClient(create_app(home, now=lambda: NOW), raise_server_exceptions=False) as made:
        monkeypatch.setattr(access, "authenticate", fail)
        yield made


def test_an_outage_is_503_on_every_way_in_and_one_line_in_the_log(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        for method, path in (("GET", "/reconciliation/runs"), ("POST", "/callbacks/rail_primary")):
            answer = client.request(method, path, headers={"Authorization": "Bearer zen_x"}, content=b"{}")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
            assert answer.json()["type"] == "/problems/unavailable"
            assert "db:5432" not in answer.text
            assert "ops.db" not in answer.text
    logged = capsys.readouterr().err
    assert logged.count("\n") == 1, logged
    assert logged.startswith("unavailable: ")


def test_an_outage_that_goes_on_is_logged_once_a_minute_with_how_many_messages_were_left_out() -> None:
    clock, written = [0.0], list[str]()
    log = OutageLog(written.append, lambda: clock[0])
    for second in (0, 1, 59, 61):
        clock[0] = float(second)
        log.note("the database is away")
    assert written == ["the database is away", "the database is away (2 more like it in the meantime)"]
