"""In which database the stores stand changes nothing of what is published, sealed, examined or remade."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.closeout.closed_world import clean_world, close, monday, verified
from tests.scenarios.rows import MON, TUE, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline.settings import DATABASE_VARIABLE
from zentra_pipeline.store import closeouts, event_log
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.upkeep import doctor, rebuild
from zentra_pipeline.upkeep.finding import ERROR


@dataclass(frozen=True)
class Told:
    """What a world comes to: digests of published tables, the seal's evidence root, events, exceptions."""

    tables: dict[str, str]
    inputs: str
    evidence_root: str
    events: list[tuple[int, int, str | None]]
    exceptions: list[str]


def closed(folder: Path) -> World:
    """A Monday that was reconciled and closed, and a Tuesday with an exception."""
    folder.mkdir()
    world = clean_world(folder)
    assert close(world).status == "sealed"
    world.add(settle("L3", "nobody", 900, on=TUE))
    world.run(TUE)
    return world


def told(world: World) -> Told:
    revision = world.revision(MON)
    with reading(operational_store(world.paths)) as connection:
        (seal,) = closeouts.of_run(connection, monday(world))
        entries = event_log.entries(connection)
    return Told(
        {name: entry["sha256"] for name, entry in revision.tables.items()},
        revision.inputs_digest,
        seal.evidence_root,
        [(entry.first_position, entry.events, entry.event_id) for entry in entries],
        [row["exception_id"] for row in world.query("select exception_id from exceptions order by all")],
    )


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> Told:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(DATABASE_VARIABLE, raising=False)
        return told(closed(tmp_path_factory.mktemp("files") / "world"))


def test_a_world_in_postgresql_is_the_same_as_in_files_and_can_be_examined_and_remade(
    tmp_path: Path, postgres: str, in_files: Told
) -> None:
    world = closed(tmp_path / "world")
    assert not list(world.home.root.rglob("*.db"))
    assert told(world) == in_files
    assert verified(world).holds
    findings = [finding for diagnosis in doctor.examine(world.home) for finding in diagnosis.findings]
    assert [finding for finding in findings if finding.severity == ERROR] == []
    # The tests' server runs without fsync, and the doctor says so.
    told_of = " ".join(finding.what for finding in findings)
    assert all(f"with {setting} off" in told_of for setting in ("fsync", "full_page_writes"))
    remade = rebuild.rebuild(world.home, TENANT)
    assert remade.holds
    assert [seal.verdict for seal in remade.seals] == ["equal"]


def test_the_doctor_names_a_store_that_does_not_answer(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql://ann:hidden@127.0.0.1:9/zentra")
    findings = [finding for diagnosis in doctor.examine(world.home) for finding in diagnosis.findings]
    assert len(findings) == 2
    assert all("127.0.0.1:9" in finding.what and "hidden" not in finding.what for finding in findings)
