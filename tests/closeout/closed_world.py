"""A world with a clean run, made once and copied for each test, and the steps of closing it; no claim is made here."""

import copy
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.scenarios.rows import MON, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from tests.support.postgres import give_own_schemas
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.closeout.closing import CloseoutResult
from zentra_pipeline.settings import Home
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

SomeWorld = TypeVar("SomeWorld", bound=World)
LINES = (settle("L1", "R1", 500), settle("L2", "", -30, type="fee"))
NOON = datetime(2026, 4, 21, 12, tzinfo=UTC)


def clean_world(folder: Path) -> World:
    """A Monday with a match that has its callback, a fee, and a movement in transit."""
    world = World(folder)
    world.add(*LINES, post("T1", "R1", 500), call("E1", "R1", 500), post("T2", "R2", 700))
    world.make(MON)
    return world


def copied(world: SomeWorld, folder: Path) -> SomeWorld:
    """The same world in another folder."""
    shutil.copytree(world.home.root, folder / "home")
    other = copy.copy(world)
    other.tenant = Tenant.of(Home.at(folder / "home"), TENANT)
    give_own_schemas(other.home)
    other.inbox = folder / "inbox"
    other.inbox.mkdir()
    other._files = set(world._files)
    other._pending, other._said = [], set()
    return other


def monday(world: World) -> str:
    """The id of Monday's run."""
    return run_store.run_id_of(TENANT, world.provider, settlement_file(MON), date.fromisoformat(MON))


def prepare(world: World, actor: str = "alice", now: datetime = NOON, **options: Any) -> CloseoutResult:
    """Prepare Monday's closeout."""
    with candidates.of_run(world.tenant, monday(world)) as candidate:
        return closing.prepare(candidate, actor, now, **options)


def approve(world: World, actor: str = "bob", now: datetime = NOON, **options: Any) -> CloseoutResult:
    """Approve Monday's closeout."""
    with candidates.of_run(world.tenant, monday(world)) as candidate:
        return closing.approve(candidate, actor, now, **options)


def close(world: World, now: datetime = NOON) -> CloseoutResult:
    """Have two operators close Monday."""
    assert prepare(world, now=now).status == "prepared"
    return approve(world, now=now)


def verified(world: World) -> verify.Report:
    """All of the tenant's bundles and their chain, against the home's keys and head."""
    return verify.verify(world.paths.closeouts, world.home.trust, world.paths.heads / f"{world.provider}.json")
