"""Which database the stores are in changes nothing of what is published, sealed, examined or remade."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.closeout.closed_world import clean_world, close, monday, verified
from tests.scenarios.rows import MON, TUE, WED, post, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli, machine_errors
from zentra_pipeline.settings import DATABASE_VARIABLE
from zentra_pipeline.store import closeouts, event_log
from zentra_pipeline.store.place import MARKER
from zentra_pipeline.upkeep import doctor, rebuild
from zentra_pipeline.upkeep.finding import ERROR

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]


@dataclass(frozen=True)
class Reported:
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
    world.make(TUE)
    return world


def reported(world: World) -> Reported:
    revision = world.revision(MON)
    with world.tenant.reading() as connection:
        (seal,) = closeouts.of_run(connection, monday(world))
        entries = event_log.entries(connection)
    return Reported(
        {name: entry["sha256"] for name, entry in revision.tables.items()},
        revision.inputs_digest,
        seal.evidence_root,
        [(entry.first_position, entry.events, entry.event_id) for entry in entries],
        [row["exception_id"] for row in world.query("select exception_id from exceptions order by all")],
    )


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(DATABASE_VARIABLE, raising=False)
        return reported(closed(tmp_path_factory.mktemp("files") / "world"))


def test_a_world_in_postgresql_is_the_same_as_in_files_and_can_be_examined_and_remade(
    tmp_path: Path, postgres: str, in_files: Reported
) -> None:
    world = closed(tmp_path / "world")
    assert not list(world.home.root.rglob("*.db"))
    assert reported(world) == in_files
    assert verified(world).holds
    findings = [finding for diagnosis in doctor.examine(world.home) for finding in diagnosis.findings]
    assert [finding for finding in findings if finding.severity == ERROR] == []
    # The tests' server runs without fsync, and the doctor says so.
    told_of = " ".join(finding.what for finding in findings)
    assert all(f"with {setting} off" in told_of for setting in ("fsync", "full_page_writes"))
    remade = rebuild.rebuild(world.tenant)
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


def test_a_copy_of_a_folder_in_postgresql_is_refused_beside_the_original_and_a_moved_one_is_not(
    tmp_path: Path, postgres: str
) -> None:
    """Two folders of one schema would each publish what the other lacks."""
    world = World(tmp_path)
    home = world.home.root
    world.add(post("T1", "R1", 500))
    world.make(MON)
    copy = shutil.copytree(home, tmp_path / "restored")
    for command in (["runs", "list", "--tenant", TENANT], ["doctor"], ["tenant", "list"]):
        assert cli.invoke([*command, "--home", str(copy)]) == 2
    assert cli.invoke(["runs", "list", "--tenant", TENANT, "--home", str(home)]) == 0
    home.rename(tmp_path / "moved")
    assert cli.invoke(["runs", "list", "--tenant", TENANT, "--home", str(tmp_path / "moved")]) == 0
    assert cli.invoke(["runs", "list", "--tenant", TENANT, "--home", str(copy)]) == 2
    (tmp_path / "moved" / MARKER).unlink()
    assert cli.invoke(["runs", "list", "--tenant", TENANT, "--home", str(copy)]) == 0


def test_a_folder_that_lacks_what_its_schema_has_published_makes_no_run(
    tmp_path: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The copy on another machine, which cannot be seen from here, is known by what it published."""
    world = World(tmp_path)
    world.add(post("T1", "R1", 500), settle("L1", "R1", 500, on=TUE))
    world.make(MON)
    original = world.home.root
    elsewhere = shutil.copytree(original, tmp_path / "elsewhere")
    original.rename(tmp_path / "unseen")
    elsewhere.rename(original)
    world.make(TUE)
    original.rename(tmp_path / "elsewhere")
    (tmp_path / "unseen").rename(original)
    with pytest.raises(duckdb.IOException) as refused:
        world.make(WED)
    said = machine_errors.explained(refused.value)
    assert "a copy of this folder was used with the same database" in str(said)
    words = ["--tenant", TENANT, "--home", str(original)]
    assert cli.invoke(["query", "select * from exceptions", *words]) == 1
    assert cli.invoke(["exceptions", "list", *words]) == 1
    reported = capsys.readouterr().err
    assert reported.count("r1.parquet is gone, and the store says that it was written") == 2
    assert "IO Error" not in reported
    (tenant,) = (diagnosis for diagnosis in doctor.examine(world.home) if diagnosis.tenant == TENANT)
    errors = [finding for finding in tenant.findings if finding.severity == ERROR]
    assert {finding.check for finding in errors} == {"continuity", "lake", "pointers", "catalog"}
    assert not any("schema" in finding.remedy for finding in errors)
