"""A lease keeps other hosts out, and whoever lost one commits nothing under it, however it was lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from zentra_pipeline import holders, storage
from zentra_pipeline.errors import ConfigurationError, UnavailableError
from zentra_pipeline.settings import DATABASE_VARIABLE, LEASE_VARIABLE, Home
from zentra_pipeline.store import control, leases, models
from zentra_pipeline.store.engine import control_store
from zentra_pipeline.store.place import MARKER
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = [pytest.mark.on_postgresql, pytest.mark.usefixtures("stores_reopened")]

NOON = datetime(2026, 4, 27, 12, tzinfo=UTC)
LOCK = "provider-rail"
ROW = {"url": "https://example.com", "events": "[]", "is_each_match": False, "is_loopback_allowed": False}
ROW |= {"failure_days": 1, "status": "enabled", "position": 0, "created_at": "", "created_by": "ana"}


@pytest.fixture
def acme(tmp_path: Path, database: str) -> Tenant:
    return tenant_of_leases(tmp_path / "home")


def tenant_of_leases(root: Path) -> Tenant:
    home = Home(root)
    tenancy.init_home(home)
    home.storage.write_text("locks: leases\n", encoding="utf-8")
    return tenancy.add_tenant(home, "acme", NOON)


def on_another_host(tenant: Tenant, root: Path) -> Tenant:
    """The same tenant as another host has it: a folder of its own, and the same schema."""
    other = Tenant.of(Home(root), tenant.name)
    other.paths.root.mkdir(parents=True)
    other.home.storage.write_text("locks: leases\n", encoding="utf-8")
    (other.paths.root / MARKER).write_bytes((tenant.paths.root / MARKER).read_bytes())
    return other


def record(tenant: Tenant, name: str) -> None:
    with tenant.writing() as connection:
        connection.execute(insert(models.webhook_endpoints).values(endpoint_id=name, **ROW))


def recorded(tenant: Tenant) -> list[str]:
    with tenant.reading() as connection:
        return sorted(connection.execute(select(models.webhook_endpoints.c.endpoint_id)).scalars())


def number(tenant: Tenant, name: str = LOCK) -> int:
    with tenant.reading() as connection:
        return connection.execute(select(models.leases.c.number).where(models.leases.c.name == name)).scalar_one()


def test_each_holder_has_a_greater_number_and_records_under_it(acme: Tenant) -> None:
    for turn in (1, 2, 3):
        with acme.holding("ingest", LOCK):
            assert (number(acme), number(acme, "ingest")) == (turn, turn)
            assert leases.is_held(acme.paths, LOCK)
            record(acme, f"turn {turn}")
        assert not leases.is_held(acme.paths, LOCK)
    assert recorded(acme) == ["turn 1", "turn 2", "turn 3"]


def test_a_lease_that_has_run_out_commits_nothing_though_nobody_took_it(acme: Tenant) -> None:
    with acme.holding(LOCK):
        with acme.store.begin() as connection:
            connection.execute(update(models.leases).values(expires_at="2026-04-27T12:00:00.000000Z"))
        leases._renew(acme.store, leases._held.get())  # too late: it is lost for good
        with pytest.raises(UnavailableError, match=f"the lock {LOCK} is lost: .*nothing was recorded: do it again"):
            record(acme, "late")
    record(acme, "under no lock")
    assert recorded(acme) == ["under no lock"]


def test_a_lease_is_checked_in_the_transaction_of_what_it_protects(acme: Tenant, tmp_path: Path) -> None:
    globex = tenancy.add_tenant(acme.home, "globex", NOON)
    with acme.holding(LOCK):
        with acme.store.begin() as connection:
            connection.execute(update(models.leases).values(number=7, holder=holders.this_process()))
        record(globex, "another tenant's")  # whose leases are its own
        with pytest.raises(UnavailableError, match=f", and process {os.getpid()} on .* has taken it; nothing"):
            record(acme, "late")
    assert leases.is_held(acme.paths, LOCK)  # it was not given back for whoever has it
    assert (recorded(acme), recorded(globex)) == ([], ["another tenant's"])


def test_a_lease_lasts_as_long_as_its_holder_lives(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with acme.holding(LOCK):
        before = end(acme)
        leases._renew(acme.store, leases._held.get())
        assert before < end(acme)
        record(acme, "in time")
    assert recorded(acme) == ["in time"]


def end(tenant: Tenant) -> str:
    with tenant.reading() as connection:
        return str(connection.execute(select(models.leases.c.expires_at)).scalar_one())


def test_a_lock_file_is_all_there_is_where_nothing_else_is_said(tmp_path: Path, database: str) -> None:
    acme = tenant_of_leases(tmp_path / "home")
    acme.home.storage.unlink()
    with acme.holding(LOCK):
        assert leases.is_held(acme.paths, LOCK)
        record(acme, "one")
    with acme.reading() as connection:
        assert connection.execute(select(models.leases)).all() == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("locks: row", "locks is 'row'; use files or leases"),
        ("lock: leases", "'lock' is not a key of it"),
        ("leases", "it has to say `url: …`, `locks: …` or both"),
        ("a: b: c", "it is not YAML"),
        ("url: /srv/zentra", "url is '/srv/zentra'; write it as fsspec reads it"),
        ("{url: 's3://bucket', locks: files}", "with a url several hosts may work, whose locks are leases"),
    ],
)
def test_what_the_file_cannot_say_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "storage.yml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"storage.yml: {complaint}"):
        storage.of_home(Home(tmp_path))


def test_a_lock_of_the_home_shows_whether_its_holder_is_dead(acme: Tenant) -> None:
    home = acme.home
    lock = ("dagster-run-x", home.dagster / "at_work" / "x")
    assert leases.is_abandoned(home, *lock) is None  # nobody ever had it
    with leases.holding_of_home(home, *lock, is_passing=True):
        assert leases.is_abandoned(home, *lock) is False
    assert leases.is_abandoned(home, *lock) is None
    with control_store(home).begin() as connection:
        values = {"name": lock[0], "number": 1, "holder": "gone 0/0 1 1 x", "expires_at": "2026-04-27T12:00:00.000000Z"}
        connection.execute(insert(control.leases).values(values))
    assert leases.is_abandoned(home, *lock) is True
    leases.forget(home, *lock)
    assert leases.is_abandoned(home, *lock) is None


def test_a_lock_of_the_home_is_tried_without_waiting(acme: Tenant, tmp_path: Path) -> None:
    file, other = acme.home.root / "here.lock", tmp_path / "there.lock"  # of two hosts
    with leases.tried_of_home(acme.home, "reporting", file) as is_mine:
        with leases.tried_of_home(acme.home, "reporting", other) as is_theirs:
            assert (is_mine, is_theirs) == (True, False)
        with leases.tried_of_home(acme.home, "reporting", file) as is_another_of_mine:
            assert not is_another_of_mine
    with leases.tried_of_home(acme.home, "reporting", other) as is_theirs:
        assert is_theirs


_HOLDER = """
import sys
from pathlib import Path
from zentra_pipeline.store import postgresql
postgresql._IDLE_TIMEOUT = "500ms"
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
from tests.store.test_leases import LOCK, record
acme = Tenant.of(Home(Path(sys.argv[1])), "acme")
with acme.holding(LOCK):
    print("held", flush=True)
    try:
        if sys.argv[2:] == ["within a transaction"]:
            with acme.writing():
                print("writing", flush=True)
                sys.stdin.readline()
        sys.stdin.readline()
        record(acme, "stopped")
    except Exception as cause:
        print(type(cause).__name__, cause, flush=True)
"""


@contextmanager
def holder(tenant: Tenant, *where: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", _HOLDER, str(tenant.home.root), *where]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.ci
@pytest.mark.usefixtures("postgres")
def test_a_stopped_process_wakes_to_find_its_lock_taken_and_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEASE_VARIABLE, "1")
    here = tenant_of_leases(tmp_path / "here")
    there = on_another_host(here, tmp_path / "there")
    with holder(here) as stopped:
        stopped.send_signal(signal.SIGSTOP)
        with there.holding(LOCK):  # once the lease has run out
            record(there, "taken over")
            stopped.send_signal(signal.SIGCONT)
            said, _ = stopped.communicate("\n")
        record(there, "given back")
    assert said.startswith(f"UnavailableError the lock {LOCK} is lost")
    assert recorded(here) == ["given back", "taken over"]
    assert number(here) == 2


@pytest.mark.ci
@pytest.mark.usefixtures("postgres")
def test_a_process_that_died_holds_up_nobody_on_its_own_machine(tmp_path: Path) -> None:
    assert os.environ.get(DATABASE_VARIABLE)
    here = tenant_of_leases(tmp_path / "here")
    there = on_another_host(here, tmp_path / "there")
    with holder(here) as killed:
        assert leases.is_held(there.paths, LOCK)
        killed.kill()
        killed.wait()
        assert not leases.is_held(there.paths, LOCK)  # long before its lease runs out
        with there.holding(LOCK):
            record(there, "next")
    assert recorded(here) == ["next"]


@pytest.mark.ci
@pytest.mark.usefixtures("postgres")
def test_a_process_that_is_stopped_within_a_transaction_holds_up_nobody_for_ever(tmp_path: Path) -> None:
    here = tenant_of_leases(tmp_path / "here")
    with holder(here, "within a transaction") as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "writing\n"
        stopped.send_signal(signal.SIGSTOP)
        record(here, "another")  # once the server has ended the session of the one that is stopped
        stopped.send_signal(signal.SIGCONT)
        said, _ = stopped.communicate("\n")
    assert "UnavailableError" in said
    assert "nothing was kept" in said
    assert recorded(here) == ["another"]
