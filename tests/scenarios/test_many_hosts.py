"""Hosts that share a database and an object store, and no disk, come to what one machine does, whoever of them dies."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from benchmarks.callback_intake import free_port, wait_until_it_answers
from tests.closeout.closed_world import LINES, approve, clean_world, close, prepare, verified
from tests.scenarios.rows import MON, TUE, call, post, settle, settlement_file
from tests.scenarios.test_databases import Reported, reported
from tests.scenarios.world import NOW, TENANT, World
from tests.support import object_store
from tests.support.forked import Forking, forking
from zentra_pipeline.errors import ConfigurationError, DamagedFilesError, UnavailableError, UsageError
from zentra_pipeline.reconcile import revisions
from zentra_pipeline.settings import DATABASE_VARIABLE, LEASE_VARIABLE, Home
from zentra_pipeline.store import configuration, models
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import doctor, rebuild
from zentra_pipeline.upkeep.finding import ERROR

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("postgres", "stores_reopened", "catalog_as_shipped")]


@pytest.fixture(scope="module")
def server() -> Iterator[Mapping[str, str]]:
    with object_store.running_server() as variables:
        yield variables


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """What the world of these tests comes to on one machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(DATABASE_VARIABLE, raising=False)
        world = clean_world(tmp_path_factory.mktemp("alone"))
        close(world)
        with_tuesday(world)
        return reported(world)


@pytest.fixture
def url(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return object_store.make_bucket(server, f"zentra-{secrets.token_hex(6)}") + "/team"


def with_tuesday(world: World) -> None:
    world.add(settle("L3", "nobody", 900, on=TUE))
    world.make(TUE)


def host(folder: Path, url: str) -> Home:
    """A host's own folder for the home: nothing is in it but where the files are."""
    home = Home(folder / "home")
    home.root.mkdir(parents=True)
    home.storage.write_text(f"url: {url}\n", encoding="utf-8")
    return home


def first(tmp_path: Path, url: str) -> World:
    """A world on the first host."""
    host(tmp_path / "a", url)
    return World(tmp_path / "a")


def seen_from(world: World, folder: Path, url: str) -> World:
    """The same world on a host that has nothing yet."""
    home = host(folder, url)
    other = World.__new__(World)
    other.__dict__.update(world.__dict__)
    other.tenant = tenancy.require_tenant(home, TENANT)
    other.inbox = folder / "inbox"
    other.inbox.mkdir()
    other._files = set(world._files)
    other._pending, other._said = [], set()
    return other


def test_two_hosts_come_to_what_one_machine_comes_to(tmp_path: Path, url: str, alone: Reported) -> None:
    host(tmp_path / "a", url)
    here = clean_world(tmp_path / "a")
    there = seen_from(here, tmp_path / "b", url)
    close(there)  # with the keys and files of the host that ran it
    with_tuesday(there)
    assert reported(here) == reported(there) == alone
    assert verified(there).holds
    shutil.rmtree(here.home.root)  # a cache is nobody's loss
    again = seen_from(there, tmp_path / "c", url)
    assert reported(again) == alone
    assert close_again(again) == "sealed"
    assert verified(again).holds
    findings = [finding for diagnosis in doctor.examine(again.home) for finding in diagnosis.findings]
    assert [finding for finding in findings if finding.severity == ERROR] == []
    remade = rebuild.rebuild(again.tenant)
    assert (remade.holds, [seal.verdict for seal in remade.seals]) == (True, ["equal"])


def close_again(world: World) -> str:
    """What closing a sealed window says; its bundle is in the folder then."""
    return prepare(world).status


def test_a_cached_file_that_is_not_as_recorded_is_fetched_again(tmp_path: Path, url: str) -> None:
    host(tmp_path / "a", url)
    here = clean_world(tmp_path / "a")
    (matches,) = here.paths.lake.glob("matches/*/*/*.parquet")
    right = matches.read_bytes()
    there = seen_from(here, tmp_path / "b", url)
    copy = there.paths.root / matches.relative_to(here.paths.root)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"what this host had begun and another recorded otherwise")
    assert len(there.query("select * from matches")) == 1
    assert copy.read_bytes() == right
    third = seen_from(here, tmp_path / "c", url)
    spoil(url, "matches")
    with pytest.raises(DamagedFilesError, match=r"lake/matches/.* in s3://zentra-\w+/team is not what was recorded"):
        third.query("select * from matches")


def spoil(url: str, table: str) -> None:
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    (name,) = (each for each in files.find(url) if f"/{table}/" in each)
    files.pipe_file(name, b"other bytes")


def test_words_of_a_profile_are_the_same_on_every_host(tmp_path: Path, url: str) -> None:
    here = first(tmp_path, url)
    configuration.sync(here.paths)
    there = seen_from(here, tmp_path / "b", url)
    profile = f"providers/{here.provider}.yml"
    (there.paths.root / profile).write_text("settlement_lag_days: 3\n", encoding="utf-8")
    configuration.sync(there.paths)
    configuration.sync(here.paths)
    assert (here.paths.root / profile).read_text(encoding="utf-8") == "settlement_lag_days: 3\n"
    for world, days in ((here, 4), (there, 5)):
        (world.paths.root / profile).write_text(f"settlement_lag_days: {days}\n", encoding="utf-8")
    configuration.sync(here.paths)
    with pytest.raises(ConfigurationError, match=f"{profile} was changed here and on another host"):
        there.query("select * from runs")
    (there.paths.root / profile).unlink()
    configuration.sync(there.paths)
    assert (there.paths.root / profile).read_text(encoding="utf-8") == "settlement_lag_days: 4\n"
    (here.paths.root / "routing.yml").unlink()
    configuration.sync(here.paths)
    configuration.sync(there.paths)
    assert not (there.paths.root / "routing.yml").exists()


def test_hosts_that_share_files_share_a_database(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first(tmp_path, url)
    monkeypatch.delenv(DATABASE_VARIABLE)
    with pytest.raises(UsageError, match="where several hosts may work, so that its stores have to be in PostgreSQL"):
        tenancy.init_home(host(tmp_path / "b", url))


def test_nothing_is_recorded_that_the_object_store_did_not_take(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = first(tmp_path, url)
    here.add(settle("L1", "R1", 500), post("T1", "R1", 500))
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        away.setattr("zentra_pipeline.blobs._opened", lambda url, process: _away(url))
        with pytest.raises(UnavailableError, match=r"s3://zentra-\w+/team cannot be used for tenants/acme/landing/"):
            here.make(MON)
    assert here.query("select * from settlement_lines") == []


def _away(url: str) -> tuple[object, str]:
    class Away:
        def put_file(self, *_arguments: object, **_options: object) -> None:
            raise ConnectionError("connection refused")

    return Away(), url.removeprefix("s3://")


def test_two_hosts_that_want_one_window_publish_it_once(tmp_path: Path, url: str) -> None:
    here = first(tmp_path, url)
    here.add(settle("L1", "R1", 500), post("T1", "R1", 500))
    here.deliver(MON)
    there = seen_from(here, tmp_path / "b", url)
    failures: list[Exception] = []

    def run(world: World) -> None:
        try:
            world.reconcile(MON)
        except Exception as cause:
            failures.append(cause)

    racing = [threading.Thread(target=run, args=(world,)) for world in (here, there)]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join()
    assert failures == []
    assert here.revision(MON).revision == there.revision(MON).revision == 1
    assert here.query("select * from matches") == there.query("select * from matches")


_PROGRAM = """
WATCHED = ()
import os, signal, time
from datetime import date
from pathlib import Path
import duckdb, pandera.polars, s3fs, psycopg
from tests.closeout.closed_world import approve, prepare
from tests.scenarios.rows import MON, settlement_file
from tests.scenarios.world import World
from zentra_pipeline import blobs
from zentra_pipeline.closeout import closing
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import dbt_execute, revisions, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants import access, tenancy

def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

PLACES = {
    "before the first upload": lambda: setattr(blobs, "_write_once", die),
    "between upload and commit": lambda: setattr(run_store, "record_revision", die),
    "after the commit": lambda: setattr(lake, "refresh", die),
    "within a seal": lambda: setattr(closing, "_record_seal", die),
}

def take(folder, provider, place, variables):
    os.environ.update(variables)
    world = World.__new__(World)
    world.tenant = tenancy.require_tenant(Home(Path(folder)), "acme")
    world.provider, world._files, world._pending = provider, {settlement_file(MON)}, []
    PLACES[place]()
    if place == "within a seal":
        approve(world)
    else:
        world.reconcile(MON)
    return "alive"
"""


@pytest.fixture(scope="module")
def others() -> Iterator[Forking]:
    with forking(_PROGRAM) as process:
        yield process


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("before the first upload", marks=pytest.mark.slow),
        "between upload and commit",
        pytest.param("after the commit", marks=pytest.mark.slow),
    ],
)
def test_a_host_that_dies_in_a_run_leaves_nothing_that_is_in_the_way(
    tmp_path: Path, url: str, others: Forking, alone: Reported, place: str
) -> None:
    host(tmp_path / "a", url)
    here = clean_world_to_run(tmp_path / "a")
    assert take(others, here, place) == -9
    there = seen_from(here, tmp_path / "b", url)
    there.reconcile(MON)
    close(there)
    with_tuesday(there)
    assert reported(there) == alone
    assert reported(here) == alone  # whose folder has what it had begun


def clean_world_to_run(folder: Path) -> World:
    world = World(folder)
    world.add(*LINES, post("T1", "R1", 500), call("E1", "R1", 500), post("T2", "R2", 700))
    world.deliver(MON)
    return world


def test_a_host_that_dies_within_a_seal_leaves_the_sealing_to_another(
    tmp_path: Path, url: str, others: Forking, alone: Reported
) -> None:
    host(tmp_path / "a", url)
    here = clean_world(tmp_path / "a")
    assert prepare(here).status == "prepared"
    assert take(others, here, "within a seal") == -9
    there = seen_from(here, tmp_path / "b", url)
    assert approve(there).status == "sealed"
    with_tuesday(there)
    assert reported(there) == alone
    assert verified(there).holds
    assert close_again(here) == "sealed"  # the bundle that counts takes the place of the one it had begun


def take(others: Forking, world: World, place: str) -> int:
    variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "ZENTRA_"))}
    code, said = others.take(str(world.home.root), world.provider, place, variables)
    assert code == -9, said
    return code


def test_a_run_whose_lease_ran_out_publishes_nothing(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEASE_VARIABLE, "600")
    here = first(tmp_path, url)
    here.add(settle("L1", "R1", 500), post("T1", "R1", 500))
    here.deliver(MON)
    record = run_store.record_revision

    def after_its_lease(*arguments: object, **options: object) -> None:
        raise AssertionError("the transaction began although the lease had run out")

    write = revisions.write_tables

    def slowly(tenant: Tenant, *arguments: object) -> object:
        written = write(tenant, *arguments)  # type: ignore[arg-type]
        with tenant.store.begin() as connection:
            connection.execute(update(models.leases).values(expires_at="2026-04-27T12:00:00.000000Z"))
        return written

    with monkeypatch.context() as late:
        late.setattr(revisions, "write_tables", slowly)
        late.setattr(run_store, "record_revision", after_its_lease)
        with pytest.raises(UnavailableError, match=r"the lock provider-.* is lost"):
            here.reconcile(MON)
    assert run_store.record_revision is record
    with here.tenant.reading() as connection:
        assert connection.execute(select(models.run_revisions)).all() == []
    assert here.reconcile(MON).run.revision == 1


class Served:
    """A host whose server and worker are processes, with a cache of its own."""

    def __init__(self, url: str, cache: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "zentra_pipeline", "serve", "--home", url, "--port", str(self.port)]
        variables = {**os.environ, "ZENTRA_CACHE": str(cache)}
        self.process = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
        wait_until_it_answers(self.process, self.port)

    def ask(self, token: str, path: str, body: dict[str, str] | None = None) -> Any:
        answer = httpx.request(
            "GET" if body is None else "POST",
            f"http://127.0.0.1:{self.port}/reconciliation/runs{path}",
            headers={"Authorization": f"Bearer {token}"},
            json=body,
            timeout=60,
        )
        assert answer.status_code < 300, answer.text
        return answer.json()


def test_two_servers_carry_a_window_from_a_request_to_its_seal_though_one_dies(
    tmp_path: Path, url: str, alone: Reported
) -> None:
    host(tmp_path / "a", url)
    here = clean_world_to_run(tmp_path / "a")
    tokens = {
        actor: access.create_token(here.home, tenant=TENANT, actor=actor, role=role, now=NOW)[0]
        for actor, role in (("finance_ops", "operator"), ("alice", "operator"), ("bob", "approver"))
    }
    about = {"provider": here.provider, "settlement_file": settlement_file(MON), "ledger_window": MON}
    about |= {"owner": "finance_ops", "as_of": here.cutoff(MON).isoformat().replace("+00:00", "Z")}
    servers = [Served(url, tmp_path / name) for name in ("one", "two")]
    try:
        one, two = servers
        run = one.ask(tokens["finance_ops"], "", about)["id"]
        deadline = time.monotonic() + 300
        while two.ask(tokens["alice"], f"/{run}")["status"] != "in_review":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        one.process.kill()
        assert two.ask(tokens["alice"], f"/{run}/closeout", {"action": "prepare"})["status"] == "prepared"
        sealed = two.ask(tokens["bob"], f"/{run}/closeout", {"action": "approve"})
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait()
    assert sealed["status"] == "sealed"
    with_tuesday(here)
    found = reported(here)
    assert (found.tables, found.evidence_root) == (alone.tables, alone.evidence_root)
