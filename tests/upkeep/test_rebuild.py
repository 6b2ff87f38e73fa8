"""`zentra rebuild` makes staged files, lake and catalog again from landed bytes and ops.db, and nothing else."""

import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.scenarios.rows import MON, call, post, settle
from tests.scenarios.world import TENANT, World
from tests.upkeep import shelf
from tests.upkeep.conftest import Copies, Copy
from zentra_pipeline import cli, durable_files, sql_text
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.published import lake, lake_files
from zentra_pipeline.reconcile import dbt_project, revision_events
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.upkeep import remake
from zentra_pipeline.upkeep.rebuild import (
    EQUAL,
    NOT_COMPARABLE,
    RULES_CHANGED,
    SAME_ROWS,
    UNEXPLAINED,
    rebuild,
    refresh_readers,
)

pytestmark = pytest.mark.ci

# The child takes tables from the shelf and dies at its n-th rename below the home; 0 only counts them.
CHILD = """
import os, sys
from pathlib import Path
from tests.upkeep import shelf
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep.rebuild import rebuild

home, right, kill_at = sys.argv[1:]
seen = 0

def die_at_the_nth_rename(event, arguments):
    global seen
    if event == "os.rename" and home in str(arguments) and "/rebuild/acme/landing" not in str(arguments):
        seen += 1
        if seen == int(kill_at):
            os.kill(os.getpid(), 9)

sys.addaudithook(die_at_the_nth_rename)
shelf.use_for_good(Path(right))
assert rebuild(Tenant.of(Home.at(home), "acme")).holds
print(seen)
"""


def exceptions(copy: Copy) -> lake.QueryResult:
    return lake.query(copy.paths, "select * exclude (candidates) from exceptions order by all")


def test_everything_derived_comes_back_byte_for_byte_from_landing_and_store_alone(copy: Copy) -> None:
    before, answer = copy.derived(), exceptions(copy)
    assert len(before) > 50
    for folder in (copy.paths.staged, copy.paths.lake):
        shutil.rmtree(folder)
    copy.paths.catalog.unlink()
    outcome = rebuild(copy.tenant)
    assert [(item.verdict, item.differs) for item in outcome.revisions] == [(EQUAL, ())] * 4
    assert [(item.verdict, item.detail) for item in outcome.seals] == [(EQUAL, "")]
    assert (outcome.refused, outcome.lost, outcome.holds) == (None, (), True)
    assert set(outcome.restored) == {path for path in before if "_current" not in path}
    assert copy.derived() == before
    assert exceptions(copy) == answer
    assert copy.paths.catalog.is_file()
    assert not (copy.paths.root / "rebuild").exists()


def test_only_what_is_damaged_is_replaced(copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.use(monkeypatch, original.paths)
    before = copy.derived()
    damaged = sorted(path for path in before if "matches" in path or "quarantine" in path)
    for path in damaged:
        (copy.paths.root / path).write_bytes(before[path][:-1] + b"?")
    untouched = {path: (copy.paths.root / path).stat().st_ino for path in before if path not in damaged}
    outcome = rebuild(copy.tenant)
    assert (sorted(outcome.restored), outcome.holds) == (damaged, True)
    assert copy.derived() == before
    assert {path: (copy.paths.root / path).stat().st_ino for path in untouched} == untouched


def test_nothing_is_replaced_when_other_tables_come_out_for_no_reason(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.use(monkeypatch, original.paths, lambda table, run_id, revision: (table, revision) == ("matches", 2))
    lost = next(path for path in copy.derived() if "open_items" in path)
    (copy.paths.root / lost).unlink()
    before = copy.derived()
    outcome = rebuild(copy.tenant)
    assert [item.verdict for item in outcome.revisions if item.differs == ("matches",)] == [UNEXPLAINED]
    assert outcome.refused is not None
    assert (outcome.restored, outcome.holds) == ((), False)
    assert copy.derived() == before


def test_a_revision_that_other_rules_made_stays_as_published(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.use(monkeypatch, original.paths, lambda table, run_id, revision: (table, revision) == ("matches", 2))
    monkeypatch.setattr(dbt_project, "digest", lambda: "f" * 64)
    before = copy.derived()
    outcome = rebuild(copy.tenant)
    assert [item.verdict for item in outcome.revisions].count(RULES_CHANGED) == 1
    assert outcome.holds
    assert copy.derived() == before


def test_a_damaged_table_that_other_rules_made_is_lost_and_the_rest_is_restored(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(item for item in copy.records.revisions if item.revision == 2)
    shelf.use(monkeypatch, original.paths, lambda table, run_id, revision: (table, revision) == ("matches", 2))
    monkeypatch.setattr(dbt_project, "digest", lambda: "f" * 64)
    lost, other = key.tables["matches"]["path"], key.tables["three_way"]["path"]
    right = (copy.paths.root / other).read_bytes()
    for path in (lost, other):
        (copy.paths.root / path).unlink()
    outcome = rebuild(copy.tenant)
    assert (outcome.lost, outcome.restored, outcome.holds) == ((lost,), (other,), False)
    assert (copy.paths.root / other).read_bytes() == right
    later = [item for item in outcome.revisions if item.verdict == NOT_COMPARABLE]
    assert [item.detail.split(" of ")[1].split(",")[0] for item in later] == [f"{key.run_id} revision 2"]


def test_other_bytes_of_the_same_rows_are_distinguished_from_other_rows(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    right = shelf.take_from(original.paths)

    def rewritten(*arguments: object) -> remake.Remade:
        found = right(*arguments)
        path = arguments[2].root / found.tables["conservation"].path  # type: ignore[attr-defined]
        with duckdb.connect() as connection:
            rows = connection.sql(f"from read_parquet({sql_text.file_literal(path)})").to_arrow_table()
            connection.register("rows", rows)
            connection.execute(f"copy rows to '{path}' (format parquet, compression gzip)")
        table = lake_files.PublishedFile(
            found.tables["conservation"].path, rows.num_rows, durable_files.digest_of(path)
        )
        return remake.Remade(found.inputs_digest, {**found.tables, "conservation": table})

    monkeypatch.setattr(remake, "remake_revision", rewritten)
    before = copy.derived()
    outcome = rebuild(copy.tenant)
    assert {(item.verdict, item.differs) for item in outcome.revisions} == {(SAME_ROWS, ("conservation",))}
    assert outcome.holds
    assert copy.derived() == before


def test_damaged_landed_bytes_stop_a_rebuild_before_it_changes_anything(copy: Copy) -> None:
    file = copy.records.files[0]
    landed = copy.paths.landing / file.sha256
    landed.write_bytes(landed.read_bytes().replace(b"R1", b"R7", 1))
    next(copy.paths.staged.rglob("*.parquet")).unlink()
    before = copy.derived()
    with pytest.raises(VerificationError, match=f"landing/{file.sha256} .* is altered: ingest the original file again"):
        rebuild(copy.tenant)
    assert copy.derived() == before


def test_registered_rows_that_do_not_come_out_again_stop_a_rebuild(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_again = remake.restage
    monkeypatch.setattr(
        remake, "restage", lambda tenant, landed, file, _before, notes: stage_again(tenant, landed, file, [], notes)
    )  # without the files before it, no row contradicts another
    with pytest.raises(VerificationError, match=r"does not come to the rows registered .*rows_quarantined 2 is now 0"):
        rebuild(copy.tenant)


def damaged(copies: Copies, name: str) -> Copy:
    copy = copies(name)
    shutil.rmtree(copy.paths.staged)
    shutil.rmtree(copy.paths.lake / "matches")
    return copy


def test_a_rebuild_that_fails_on_the_way_leaves_right_files_and_a_rerun_heals(
    copies: Copies, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.use(monkeypatch, original.paths)
    right, sync_folder, left = copies("right").derived(), durable_files.sync_folder, 0

    def disk_full(folder: Path) -> None:
        nonlocal left
        left -= "rebuild" not in folder.parts
        if left == 0:
            raise OSError(28, "No space left on device", str(folder))
        sync_folder(folder)

    monkeypatch.setattr("zentra_pipeline.upkeep.rebuild.durable_files", SimpleNamespace(sync_folder=disk_full))
    for number in (1, 8, 15):
        left = number
        copy = damaged(copies, f"failed_{number}")
        with pytest.raises(OSError, match="No space left"):
            rebuild(copy.tenant)
        found = copy.derived()
        assert {path: content for path, content in found.items() if right.get(path) != content} == {}
        assert len(found) == len(right) - 15 + number
        assert rebuild(copy.tenant).holds
        assert copy.derived() == right


@pytest.mark.slow
def test_a_rebuild_killed_at_any_rename_leaves_right_files_and_a_rerun_heals(copies: Copies, original: Copy) -> None:
    def child(copy: Copy, kill_at: int) -> subprocess.CompletedProcess[str]:
        arguments = [str(copy.home.root), str(original.paths.root), str(kill_at)]
        return subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)

    whole = child(damaged(copies, "counted"), 0)
    assert whole.returncode == 0, whole.stderr
    right = copies("right").derived()
    for kill_at in range(1, int(whole.stdout) + 1, 3):
        copy = damaged(copies, f"killed_{kill_at}")
        assert child(copy, kill_at).returncode == -signal.SIGKILL
        found = copy.derived()
        assert {path: content for path, content in found.items() if right.get(path) != content} == {}
        assert child(copy, 0).returncode == 0
        assert copy.derived() == right
        assert not (copy.paths.root / "rebuild").exists()


def test_pointers_and_catalog_alone_are_written_again_without_remaking_a_table(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remake, "remake_revision", None)
    before = copy.derived()
    pointer = next((copy.paths.lake / "_current").iterdir())
    pointer.write_bytes(b"\xff{")
    copy.paths.catalog.write_bytes(b"no database")
    refresh_readers(copy.tenant)
    assert copy.derived() == before
    assert lake.query(copy.paths, "select count(*) from runs").rows == [(3,)]


def test_the_command_ends_with_5_when_files_stay_lost(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.use(monkeypatch, original.paths)
    arguments = ["rebuild", "--tenant", TENANT, "--home", str(copy.home.root)]
    assert cli.invoke(arguments) == 0
    assert "9 files staged, 4 revisions and 1 seal made again: everything is as recorded" in capsys.readouterr().out
    shelf.use(monkeypatch, original.paths, lambda table, run_id, revision: (table, revision) == ("matches", 2))
    assert cli.invoke(arguments) == 5
    assert "nothing was put in place" in capsys.readouterr().err


def test_a_decision_in_the_instant_of_publishing_is_what_the_events_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are written before the transaction that records them; what was decided between comes before them."""
    world = World(tmp_path)
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500), call("E1", "R1", 500), settle("L9", "R9", 999))
    world.make(MON)
    (found,) = world.query("select exception_id from exceptions")
    write = revision_events.write_events
    decided: list[str] = []

    def write_and_be_overtaken(paths: TenantPaths, telling: revision_events.EventContext) -> lake_files.PublishedFile:
        written = write(paths, telling)
        if not decided:
            decided.append(found["exception_id"])
            deciding.decide(
                world.tenant,
                DecisionRequest(
                    found["exception_id"], "resolve", "ana", resolution="provider_error_confirmed", reason="their memo"
                ),
                datetime.now(UTC),
            )
        return written

    world.add(post("T9", "R9", 999), call("E9", "R9", 999))
    with monkeypatch.context() as patched:
        patched.setattr(revision_events, "write_events", write_and_be_overtaken)
        world.make(MON)
    assert decided
    reported = world.query(f"select event_type from events where subject = '{found['exception_id']}' order by position")
    assert [row["event_type"].rpartition(".")[2] for row in reported] == ["opened", "resolved"]
    rebuilt = rebuild(world.tenant)
    assert [item.verdict for item in rebuilt.revisions] == [EQUAL, EQUAL]
