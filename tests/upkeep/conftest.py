"""One small tenant with a history, made once; each test gets a copy of it to damage."""

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from tests.support import quick
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing
from zentra_pipeline.published import lake
from zentra_pipeline.settings import DATABASE_VARIABLE, Home, TenantPaths
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import records
from zentra_pipeline.upkeep.records import Records

CARDS = "card_processor"
KEPT = "home_that_nobody_opens"


@dataclass(frozen=True)
class Copy:
    """A copy of the history, and the files it came from."""

    tenant: Tenant
    inbox: Path

    @property
    def home(self) -> Home:
        return self.tenant.home

    @property
    def paths(self) -> TenantPaths:
        return self.tenant.paths

    @property
    def records(self) -> Records:
        return records.read(self.tenant)

    def derived(self) -> dict[str, bytes]:
        """Every file that is derived, by its path; the catalog, whose bytes hold a moment, left out."""
        folders = (self.paths.staged, self.paths.lake)
        found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(self.paths.root).as_posix(): path.read_bytes() for path in found}


Copies = Callable[[str], Copy]


def history(folder: Path) -> World:
    """Two windows of a rail with all that happens: quarantine, rows that contradict another file, a restatement, a
    second revision. And one of a card processor without a break, which is sealed.
    """
    rail = World(folder)
    rail.ingest("ledger", "ledger_1", [row for n in range(8) for row in post(f"T{n}", f"R{n}", 100 + n)])
    contradicting = [row.again(amount_minor=999) for row in post("T1", "R1", 101)]
    rail.ingest("ledger", "ledger_2", [*contradicting, *post("T9", "R9", 900, on=TUE)])
    bad = settle("L99", "R99", 5).again(gross_minor="12.0")
    rail.ingest("settlement", settlement_file(MON), [*(settle(f"L{n}", f"R{n}", 100 + n) for n in range(5)), bad])
    rail.ingest("callbacks", "callbacks_1", [call(f"E{n}", f"R{n}", 100 + n) for n in range(0, 8, 2)])
    rail.request(MON, settlement_file(MON))
    rail.ingest("settlement", settlement_file(TUE), [settle("L5", "R5", 105, on=TUE), settle("L9", "R9", 901, on=TUE)])
    rail.request(TUE, settlement_file(TUE))
    rail.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100 + n + (n == 4)) for n in range(5)])
    rail.request(MON, settlement_file(MON))
    card = rail.beside(CARDS)
    movements = [row for n in range(3) for row in post(f"C{n}", f"Q{n}", 50 + n, provider=CARDS)]
    card.ingest("ledger", "cards", movements)
    card.ingest("callbacks", "told", [call(f"G{n}", f"Q{n}", 50 + n) for n in range(3)])
    card.ingest("settlement", settlement_file(MON), [settle(f"M{n}", f"Q{n}", 50 + n) for n in range(3)])
    seal(rail.tenant, card.request(MON, settlement_file(MON)).run.run_id)
    return rail


def seal(tenant: Tenant, run_id: str) -> None:
    """One prepares the closeout of a run and another approves it."""
    for step, actor in ((closing.prepare, "ana"), (closing.approve, "ben")):
        with candidates.of_run(tenant, run_id) as candidate:
            outcome = step(candidate, actor, datetime.now(UTC))
        assert outcome.closeout is not None, outcome.blockers


@pytest.fixture(scope="module", autouse=True)
def _as_files(catalog_as_shipped: None, stores_reopened: None) -> None:
    """The catalog is looked at like everything else of a home, and stores are damaged behind our back."""


@pytest.fixture(autouse=True)
def _in_files(sqlite: None) -> None:
    """What is damaged here are files, whatever database the suite runs on."""


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The history itself, which nobody changes; test workers share one."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "history"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock, pytest.MonkeyPatch.context() as patched:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patched.setenv("ZENTRA_KEY_PASSPHRASE", "only for tests")
        quick.catalog_as_shipped(patched)
        quick.nothing_kept(patched)
        patched.delenv(DATABASE_VARIABLE, raising=False)
        if not (folder / "made").exists():
            history(folder / "world")
            # Some tests read the history itself, and SQLite's files beside a store come and go with its readers.
            shutil.copytree(folder / "world" / "home", folder / "world" / KEPT)
            (folder / "made").touch()
    return Copy(Tenant.of(Home.at(folder / "world" / "home"), TENANT), folder / "world" / "inbox")


@pytest.fixture
def copy(original: Copy, tmp_path: Path) -> Copy:
    return copied(original, tmp_path / "home")


@pytest.fixture
def in_order(copy: Copy) -> Copy:
    """A copy whose catalog is its own; views name files by their whole path, so a mere copy's reads the original."""
    lake.refresh(copy.paths)
    return copy


@pytest.fixture
def copies(original: Copy, tmp_path: Path) -> Copies:
    """A copy under a name of its own each time."""
    return lambda name: copied(original, tmp_path / name)


def copied(original: Copy, root: Path) -> Copy:
    shutil.copytree(original.home.root.with_name(KEPT), root)
    return Copy(Tenant.of(Home.at(root), TENANT), original.inbox)
