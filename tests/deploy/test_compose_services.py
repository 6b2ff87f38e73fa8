"""The services of deploy/compose.yaml carry the demo from two workers to seals, though one of them dies.

They run as processes of this machine (`composed`). What is not shown here: that the image builds, and that a container
runtime reads the file as we do.
"""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.deploy.composed import Composed, composed, connected
from tests.deploy.dagster_ui import DagsterUi
from tests.deploy.operators import Operators, delivered, published, stored_files, story
from tests.support import object_store
from zentra_pipeline import cli
from zentra_pipeline.defs.launch import reconcile
from zentra_pipeline.defs.partitions import partition_key
from zentra_pipeline.instants import instant_text
from zentra_pipeline.scenarios import operator_steps
from zentra_pipeline.scenarios.demo import run_demo
from zentra_pipeline.scenarios.scenario import Run, Scenario, ScenarioStep
from zentra_pipeline.settings import CACHE_VARIABLE, DAGSTER_HOME_VARIABLE, DATABASE_VARIABLE, HOME_VARIABLE, Home
from zentra_pipeline.store import closeouts
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("stores_reopened")]

WORKERS = ("web-a", "web-b")
RAIL, LATE, CLOSED, WEEK = (
    story(name) for name in ("unmatched_provider_row", "late_callback", "late_callback_after_the_close", "normal_week")
)
PARTITION = "dagster/partition"


# What each tenant's windows come to, by provider and window.
Alone = dict[str, dict[tuple[str, str], dict[str, object]]]


@dataclass
class Carried:
    """What became of the demo: the services as they are then, and what was seen on the way."""

    services: Composed
    home: Home
    acme: Operators
    beta: Operators
    ui: DagsterUi
    killed: str = ""
    began_before: set[str] = field(default_factory=set)
    cut_off: str = ""
    launched: list[str] = field(default_factory=list)
    asked_late_as_of: datetime = datetime.min

    def began(self, name: str) -> set[str]:
        """The runs that a server's worker began, by its log."""
        return {line["run_id"] for line in self.services.services[name].logged() if line.get("source") == "worker"}

    def who_began(self, run_id: str) -> str:
        found: list[str] = []

        def is_begun() -> bool:
            found.extend(name for name in WORKERS if run_id in self.began(name))
            return bool(found)

        self.services.wait_until(is_begun, f"{run_id} is begun", pause=0.02)
        return found[0]

    @property
    def survivor(self) -> str:
        (name,) = {*WORKERS} - {self.killed}
        return name

    def server(self, name: str) -> str:
        return self.services.services[name].url(8080)


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carried]:
    """The services, and the demo carried by them."""
    folder = tmp_path_factory.mktemp("composed")
    with composed(folder) as services, pytest.MonkeyPatch.context() as patched:
        services.run("web-a", "init")
        services.start(*services.services)
        for name, value in services.on_this_machine().items():
            patched.setenv(name, value)
        patched.setenv(CACHE_VARIABLE, str(folder / "operators"))
        patched.delenv(DAGSTER_HOME_VARIABLE, raising=False)
        object_store.forget_servers()
        home = Home.at()
        services.wait_until_healthy(*WORKERS)
        first = services.services["web-a"].url(8080)
        acme, beta = (Operators(home, tenant, first) for tenant in ("acme", "beta"))
        ui = DagsterUi(services.services["dagster-webserver"].url(3000))
        found = Carried(services, home, acme, beta, ui)
        _carry(found)
        yield found


def _carry(found: Carried) -> None:
    for scenario in (RAIL, CLOSED, WEEK):
        scenario.write_profiles(found.acme.tenant.paths)
    CLOSED.write_profiles(found.beta.tenant.paths)
    week = _days(WEEK)
    with ThreadPoolExecutor(3) as together:
        stories = [together.submit(found.acme.play, each) for each in (RAIL, CLOSED)]
        stories.append(together.submit(found.acme.play, WEEK, [step for day in week[:3] for step in day]))
        for each in stories:
            each.result()
    found.services.wait_until(lambda: found.ui.locations() == {"zentra_pipeline": "RepositoryLocation"}, "Dagster")
    _kill_within(found, week[3])
    _launch_in_dagster(found)
    found.acme.wait(found.cut_off)
    found.acme.play(WEEK, [step for day in week[4:] for step in day])
    found.services.restart(found.killed)
    found.services.wait_until_healthy(found.killed)
    _call_back(found)


def _days(scenario: Scenario) -> list[list[ScenarioStep]]:
    """The steps of a story that ends with a run, day by day."""
    days: list[list[ScenarioStep]] = [[]]
    for step in scenario.steps:
        days[-1].append(step)
        if step.run is not None:
            days.append([])
    return days[:-1]


def _kill_within(found: Carried, day: list[ScenarioStep]) -> None:
    """Have a day's run asked for, and whoever began it killed within it."""
    *before, last = day
    assert last.run is not None
    found.acme.play(WEEK, before)
    found.cut_off = found.acme.ask(WEEK, last.run)
    found.killed = found.who_began(found.cut_off)
    found.services.services[found.killed].kill()
    found.began_before = found.began(found.killed)
    found.acme.server = found.beta.server = found.server(found.survivor)
    with found.acme("ana") as api:
        run = api.reconciliation.runs.get(found.cut_off)
    assert run.execution is not None
    assert (run.execution.status, run.revision) == ("launched", 0)


def _launch_in_dagster(found: Carried) -> None:
    """Materialize the two days of a story in Dagster, both at once: its queue has one wait for the other."""
    days = _days(LATE)
    found.acme.play(LATE, [step for day in days for step in day if step.run is None])
    found.launched = [_launched(found, _run_of(day)) for day in days]
    _wait_for(found, *found.launched)


def _run_of(day: list[ScenarioStep]) -> Run:
    (run,) = (step.run for step in day if step.run is not None)
    return run


def _launched(found: Carried, run: Run) -> str:
    key = partition_key("acme", LATE.provider, run.ledger_window)
    tags = {PARTITION: str(key)} | {f"{PARTITION}/{name}": value for name, value in key.keys_by_dimension.items()}
    config = {"settlement_file": run.settlement_file, "owner": run.owner, "as_of": instant_text(run.as_of)}
    return found.ui.launch("reconcile_window", tags, {"ops": {"reconciliation_window": {"config": config}}})


def _wait_for(found: Carried, *runs: str) -> None:
    def are_done() -> bool:
        known = found.ui.runs()
        assert not [run for run in runs if known[run][0] in ("FAILURE", "CANCELED")], found.services.logs()
        return all(known[run][0] == "SUCCESS" for run in runs)

    found.services.wait_until(are_done, "runs launched in Dagster", pause=0.5)


def _call_back(found: Carried) -> None:
    """The story of a callback that comes after the close, in another tenant, and the callback by HTTP: it comes now."""
    *before, late, run, close = (step for step in CLOSED.steps if step.expect is None)
    found.beta.play(CLOSED, before)
    assert late.ingest is not None and run.run is not None
    (file,) = late.ingest.files
    for line in (CLOSED.folder / "inputs" / file).read_bytes().splitlines():
        with found.beta("reconciler", found.server(found.killed)) as api:
            assert api.files.forward_callback(CLOSED.provider, line, headers={}).is_new
    found.asked_late_as_of = datetime.now(UTC)
    found.beta.wait(found.beta.ask(CLOSED, run.run, found.asked_late_as_of))
    found.beta.play(CLOSED, [close])


@pytest.fixture(scope="module")
def alone(carried: Carried, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """`zentra demo` on one machine, and the other tenant's story, its callback at the instant when it came."""
    home = Home(tmp_path_factory.mktemp("alone") / "home")
    receipts = delivered(carried.beta.tenant)
    with pytest.MonkeyPatch.context() as patched:
        for name in (DATABASE_VARIABLE, HOME_VARIABLE, CACHE_VARIABLE):
            patched.delenv(name, raising=False)
        run_demo(home, lambda text: None)
        beta = tenancy.add_tenant(home, "beta", datetime.now(UTC))
        CLOSED.write_profiles(beta.paths)
        *before, _, run, close = (step for step in CLOSED.steps if step.expect is None)
        assert run.run is not None
        _play_alone(beta, before)
        with beta.writing() as connection:
            assert inbox_store.add(connection, receipts) == [True]
        again = run.run.model_copy(update={"as_of": carried.asked_late_as_of})
        _play_alone(beta, [ScenarioStep(run=again), close])
        return {name: published(tenancy.require_tenant(home, name)) for name in ("acme", "beta")}


def _play_alone(tenant: Tenant, steps: list[ScenarioStep]) -> None:
    for step in steps:
        if step.ingest is not None:
            CLOSED.ingest(tenant, step.ingest, datetime.now(UTC))
        elif step.run is not None:
            reconcile(tenant, CLOSED.request(step.run))
        elif step.decide is not None:
            assert operator_steps.decide(tenant, CLOSED, step.decide, datetime.now(UTC)) is not None
        elif step.close is not None:
            assert operator_steps.close(tenant, CLOSED, step.close, datetime.now(UTC)).status == "sealed"


def test_tables_and_evidence_are_those_of_the_demo_on_one_machine(carried: Carried, alone: Alone) -> None:
    here = alone["acme"]
    assert published(carried.acme.tenant) == here
    assert sum(len(each["seals"]) for each in here.values()) == 3


def test_a_callback_over_http_amends_what_was_sealed_as_it_does_on_one_machine(carried: Carried, alone: Alone) -> None:
    here = alone["beta"]
    assert published(carried.beta.tenant) == here
    ((first, second),) = (each["seals"] for each in here.values())
    assert (first[1], second[1]) == ("amended", "sealed")


def test_every_bundle_verifies_as_each_server_hands_it_out(carried: Carried, tmp_path: Path) -> None:
    for operators, expected in ((carried.acme, 3), (carried.beta, 2)):
        with operators.tenant.reading() as connection:
            seals = closeouts.listed(connection)
        assert len(seals) == expected
        for name in WORKERS:
            folder = tmp_path / f"{operators.tenant.name}-{name}"
            for seal in seals:  # side by side: an amendment is held to what it amends
                with operators("ben", carried.server(name)) as api:
                    file = api.reconciliation.closeouts.bundle(seal.run_id, seal.revision)
                zipfile.ZipFile(io.BytesIO(file.content)).extractall(folder)
            assert cli.invoke(["verify", str(folder), "--trust", str(carried.home.trust)]) == 0


def test_both_workers_carried_runs_and_one_finished_what_the_other_had_begun(carried: Carried) -> None:
    assert len(carried.began_before - {carried.cut_off}) >= 1
    assert carried.cut_off in carried.began_before & carried.began(carried.survivor)
    assert carried.began(carried.survivor) - carried.began_before
    with carried.acme.tenant.reading() as connection:
        assert run_store.get(connection, carried.cut_off).revision == 1


def test_runs_of_one_scope_wait_for_each_other_in_dagster_s_queue(carried: Carried) -> None:
    moments = [carried.ui.moments(run) for run in carried.launched]  # Dagster declares RunDequeuedEvent, and emits none
    for each in moments:
        assert each["RunEnqueuedEvent"] <= each["RunStartingEvent"] <= each["RunStartEvent"] <= each["RunSuccessEvent"]
    first, second = moments
    assert second["RunEnqueuedEvent"] < first["RunSuccessEvent"] <= second["RunStartingEvent"]
    instance = carried.ui.instance()
    assert instance["runQueueConfig"]["maxConcurrentRuns"] == 8
    parts = {each["daemonType"]: each["healthy"] for each in instance["daemonHealth"]["allDaemonStatuses"]}
    assert parts["MONITORING"] and parts["QUEUED_RUN_COORDINATOR"] and parts["SENSOR"]


def test_dagster_keeps_its_runs_in_postgresql_and_its_ui_knows_those_of_all_workers(carried: Carried) -> None:
    known = carried.ui.runs()
    by_run: dict[str, set[str]] = {}
    for status, tags in known.values():
        by_run.setdefault(tags.get("zentra/run_id", ""), set()).add(status)
    worked = carried.began(carried.survivor) | carried.began_before
    assert worked <= by_run.keys()
    assert all("SUCCESS" in by_run[run] for run in worked)
    with closing(connected(carried.services.variables, carried.services.services["postgres"].address)) as database:
        (runs,) = database.execute("select count(*) from runs").fetchone() or (0,)
        query = "select count(distinct run_id) from event_logs where run_id <> ''"
        (events,) = database.execute(query).fetchone() or (0,)
    assert runs == len(known) <= events


def test_no_service_left_a_file_of_sqlite_or_wrote_beside_its_configuration(carried: Carried) -> None:
    for service in carried.services.services.values():
        assert stored_files(service.root, ".db") == []
        configured = service.root / "etc/zentra/dagster"
        if configured.exists():
            files = {each.name for each in configured.rglob("*") if each.is_file()}
            assert files == {
                "dagster.yaml",
                "workspace.yaml",
            }  # the telemetry, though off, leaves empty folders


def test_a_killed_worker_starts_with_nothing_and_says_what_the_others_say(carried: Carried) -> None:
    said = []
    for name in WORKERS:
        with carried.acme("ana", carried.server(name)) as api:
            said.append(list(api.reconciliation.exceptions.list()))
    assert said[0] == said[1]
    assert said[0] != []
