"""A store that is older than what was published from it, as one restored from a backup, is named."""

import json
import shutil
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.published import store_age
from zentra_pipeline.upkeep.doctor import examine

pytestmark = pytest.mark.ci


def remedies(world: World, check: str) -> list[str]:
    """What a check of the doctor says to do, of errors and of files that nothing registers."""
    (diagnosis,) = [found for found in examine(world.home) if found.tenant == TENANT]
    return [found.remedy for found in diagnosis.findings if found.check == check]


def test_an_older_store_is_named_refused_and_caught_up_by_the_commands_that_the_doctor_names(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """`query` answered with exit code 0, and `rebuild` called all as recorded and deleted what was staged since."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.add(post("T1", "R1", 100), settle("L1", "R1", 100))
    world.make(MON)
    backup = shutil.copy(world.paths.operational_store, tmp_path / "ops.backup")
    world.add(post("T2", "R2", 200, on=TUE), settle("L2", "R2", 200, on=TUE))
    world.make(TUE)
    published = world.query("select settlement_minor from matches order by all")
    shutil.copy(backup, world.paths.operational_store)
    world.paths.operational_store.with_name("ops.db-wal").unlink(missing_ok=True)

    home = ["--tenant", TENANT, "--home", str(world.home.root)]
    staged = sorted(path.name for path in world.paths.staged.rglob("*.parquet"))
    for command in (["query", "select * from matches"], ["rebuild"], ["rebuild", "--readers-only"]):
        assert cli.invoke([*command, *home, "--json"]) == 5
        answer = json.loads(capsysbinary.readouterr().out)
        assert "ops.db of tenant acme is older than what was published" in answer["error"]["message"]
    assert sorted(path.name for path in world.paths.staged.rglob("*.parquet")) == staged

    ((newer, published_revision, known),) = [vars(each).values() for each in store_age.newer_than_store(world.paths)]
    assert (published_revision, known) == (1, 0)
    (again,) = remedies(world, "pointers")
    assert again.startswith("ops.db is older than what was published: restore its newest backup; where there is none")
    assert f"--ledger-window {TUE} --settlement-file {settlement_file(TUE)} --owner finance_ops" in again
    for remedy in [*remedies(world, "landing"), again]:
        words = remedy.rpartition("zentra ")[2].split()
        assert cli.invoke([*words[:1], "--home", str(world.home.root), *words[1:]]) == 0
    capsysbinary.readouterr()
    assert store_age.newer_than_store(world.paths) == []
    assert cli.invoke(["query", "select settlement_minor from matches order by all", *home, "--format", "json"]) == 0
    assert (
        json.loads(capsysbinary.readouterr().out) == published == [{"settlement_minor": 100}, {"settlement_minor": 200}]
    )
    assert newer in {row["run_id"] for row in world.query("select run_id from runs")}
    assert cli.invoke(["doctor", *home]) == 0


def test_a_copy_that_nobody_may_write_to_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """SQLite's write-ahead log could not be opened beside a database on read-only media: an auditor's copy."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.add(post("T1", "R1", 100), settle("L1", "R1", 100))
    world.make(MON)
    copy = tmp_path / "a copy #1 100%"
    shutil.copytree(world.home.root, copy)
    bytes_before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    monkeypatch.setattr("zentra_pipeline.store.sqlite.os.access", lambda *_: False)
    home = ["--tenant", TENANT, "--home", str(copy)]
    for command in (["runs", "list"], ["files", "list"], ["exceptions", "list"], ["events"]):
        assert cli.invoke([*command, *home, "--json"]) == 0
        assert json.loads(capsysbinary.readouterr().out)["items"] is not None
    (run_id,) = (row["run_id"] for row in world.query("select run_id from runs"))
    assert cli.invoke(["runs", "void", run_id, *home, "--actor", "ben", "--reason", "x", "--json"]) == 3
    assert "ops.db cannot be written: copy the home to" in json.loads(capsysbinary.readouterr().out)["error"]["message"]
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == bytes_before
