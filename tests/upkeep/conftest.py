"""One small tenant with a history, made once; each test gets a copy of it to damage."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE, WED, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import lake
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.upkeep import remake
from zentra_pipeline.upkeep.remake import Books


@dataclass(frozen=True)
class Copy:
    """A copy of the history, and the files it came from."""

    home: Home
    paths: TenantPaths
    inbox: Path

    @property
    def books(self) -> Books:
        return remake.read_books(operational_store(self.paths))

    def derived(self) -> dict[str, bytes]:
        """Every file that is derived, by its path; the catalog, whose bytes hold a moment, left out."""
        folders = (self.paths.staged, self.paths.lake)
        found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(self.paths.root).as_posix(): path.read_bytes() for path in found}


def history(folder: Path) -> World:
    """Three windows: rows in quarantine, a row that contradicts another file, a restated file, a second revision."""
    world = World(folder)
    world.ingest("ledger", "ledger_1", [row for n in range(8) for row in post(f"T{n}", f"R{n}", 100 + n)])
    contradicting = [row.again(amount_minor=999) for row in post("T1", "R1", 101)]
    world.ingest("ledger", "ledger_2", [*contradicting, *post("T9", "R9", 900, on=TUE)])
    bad = settle("L99", "R99", 5).again(gross_minor="12.0")
    world.ingest("settlement", settlement_file(MON), [*(settle(f"L{n}", f"R{n}", 100 + n) for n in range(5)), bad])
    world.ingest("callbacks", "callbacks_1", [call(f"E{n}", f"R{n}", 100 + n) for n in range(0, 8, 2)])
    world.request(MON, settlement_file(MON))
    world.ingest("settlement", settlement_file(TUE), [settle("L5", "R5", 105, on=TUE), settle("L9", "R9", 901, on=TUE)])
    world.request(TUE, settlement_file(TUE))
    world.ingest("settlement", settlement_file(MON), [settle(f"L{n}", f"R{n}", 100 + n + (n == 4)) for n in range(5)])
    world.request(MON, settlement_file(MON))
    world.ingest("settlement", settlement_file(WED), [])
    world.request(WED, settlement_file(WED))
    return world


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return history(tmp_path_factory.mktemp("history"))


@pytest.fixture
def copy(original: World, tmp_path: Path) -> Copy:
    return copied(original, tmp_path / "home")


@pytest.fixture
def copies(original: World, tmp_path: Path) -> Callable[[str], Copy]:
    """A copy under a name of its own each time."""
    return lambda name: copied(original, tmp_path / name)


def copied(original: World, root: Path) -> Copy:
    shutil.copytree(original.home.root, root)
    home = Home.at(root)
    paths = home.tenant(TENANT)
    lake.refresh(paths)  # the views of a catalog name files by their whole path
    return Copy(home, paths, original.inbox)
