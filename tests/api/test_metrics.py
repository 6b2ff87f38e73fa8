"""What monitors read: figures of a tenant, those of its tables and its own alone, and whether a server is ready."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import ROLES, Api, Books
from tests.scenarios.rows import MON, post, settle
from tests.scenarios.world import World
from zentra_pipeline.desk import metrics
from zentra_pipeline.errors import UnavailableError
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home
from zentra_pipeline.store import requests
from zentra_pipeline.tenants import tenancy

pytestmark = pytest.mark.on_postgresql

Figures = dict[tuple[str, tuple[str, ...]], float]


def read(api: Api, role: str = "analyst", tenant: str = "acme") -> Figures:
    answer = api.as_(role, tenant).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()) if value != tenant)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_figures_are_those_of_the_tables(api: Api, reconciled: Books) -> None:
    figures = read(api)
    by_lane = lake.query(
        reconciled.paths("acme"),
        "select lane, severity, count(*) from exceptions where status <> 'resolved' group by all",
    ).rows
    open_ones = {labels: value for (name, labels), value in figures.items() if name == "zentra_exceptions_open"}
    assert open_ones == {(lane, severity): number for lane, severity, number in by_lane}
    assert sum(open_ones.values()) > 0
    runs = sum(value for (name, _), value in figures.items() if name == "zentra_runs")
    assert [(runs,)] == lake.query(reconciled.paths("acme"), "select count(*) from runs").rows


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_the_figures_of_its_tenant_alone(api: Api, role: str) -> None:
    answer = api.as_(role, "globex").get("/metrics")
    assert 'tenant="globex"' in answer.text
    assert "acme" not in answer.text
    assert read(api, role, "globex") != read(api, role, "acme")


def test_nobody_reads_them_without_a_token(api: Api) -> None:
    assert api.get("/metrics").status_code == 401
    assert "zentra_runs" not in api.get("/metrics").text
    globex, own = (api.as_("analyst").get("/metrics", **asked).text for asked in ({"tenant": "globex"}, {}))
    # Without the values: an age has grown between the two answers.
    assert [line.rsplit(" ", 1)[0] for line in globex.splitlines()] == [
        line.rsplit(" ", 1)[0] for line in own.splitlines()
    ]
    assert "globex" not in globex


def test_what_waits_has_an_age(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("waiting"))
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500), settle("L2", "R2", 9))
    run = world.make(MON).run
    asked = datetime(2026, 5, 4, 12, tzinfo=UTC)
    with world.tenant.writing() as connection:
        requests.queue(connection, run.run_id, "ana", asked)
    later = asked.replace(hour=13)
    found = {gauge.name: gauge for gauge in metrics.gauges(world.tenant, later)}
    assert found["zentra_oldest_run_request_age_seconds"].values == {(): 3600.0}
    assert found["zentra_run_requests"].values == {("queued",): 1, ("launched",): 0}
    assert found["zentra_runs"].values == {(world.provider, "in_review", "open"): 1}
    monday = datetime.fromisoformat(MON).replace(tzinfo=UTC).timestamp()
    assert found["zentra_newest_window_seconds"].values == {(world.provider,): monday}
    assert found["zentra_newest_sealed_window_seconds"].values == {}
    lanes = found["zentra_exceptions_open"].values
    assert sum(lanes.values()) == 2  # the line that nothing posted, and the movement without a callback
    assert found["zentra_exceptions_overdue"].values == lanes


def test_a_server_is_ready_when_its_stores_answer(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})

    def fail(_home: Home) -> list[str]:
        raise UnavailableError("PostgreSQL database zentra at db:5432 cannot be reached")

    monkeypatch.setattr(tenancy, "names", fail)
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert "db:5432" not in answer.text
    assert api.get("/healthz").status_code == 200


def test_the_guide_lists_every_figure(reconciled: Books) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "monitoring.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(zentra_\w+)` \| ([^|]*) \|", guide, re.M)
    found = metrics.gauges(reconciled.tenant("acme"), datetime(2026, 5, 1, tzinfo=UTC))
    assert listed == [(gauge.name, ", ".join(gauge.labels)) for gauge in found]
