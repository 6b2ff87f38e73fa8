"""`zentra doctor` names every damage and the command that heals it; after that command it finds nothing."""

import json
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.documents.test_documents import check_command
from tests.scenarios.world import TENANT
from tests.upkeep import shelf
from tests.upkeep.conftest import CARDS, KEPT, Copies, Copy
from zentra_pipeline import cli, locks
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import doctor
from zentra_pipeline.upkeep.doctor import CHECKS, Diagnosis, examine
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding

pytestmark = pytest.mark.ci

Damage = Callable[[Copy], object]


def look(copy: Copy) -> Diagnosis:
    return next(found for found in examine(copy.home) if found.tenant == TENANT)


def findings(copy: Copy) -> set[tuple[str, str]]:
    return {(finding.check, finding.severity) for found in examine(copy.home) for finding in found.findings}


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def change(copy: Copy, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(copy.paths.operational_store)) as connection:
        cursor = connection.execute(statement, values)
        connection.commit()
        assert cursor.rowcount >= 1


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def run_remedy(copy: Copy, finding: Finding) -> int:
    """Type the remedy's command, with the files it names found where they came from."""
    words = shlex.split(finding.remedy)
    assert words.pop(0) == "zentra"
    if words[0] == "ingest":
        words[-1] = str(copy.inbox / words[-1])
    return cli.invoke([*words[:1], "--home", str(copy.home.root), *words[1:]])


def test_a_home_in_order_is_sound(in_order: Copy) -> None:
    assert [(found.tenant, found.findings, found.skipped) for found in examine(in_order.home)] == [
        ("", (), ()),
        (TENANT, (), ()),
    ]


HEALED: dict[str, tuple[str, Damage]] = {
    "staged deleted": ("staged", lambda copy: first(copy.paths.staged, "ledger_entries/*").unlink()),
    "staged truncated": (
        "staged",
        lambda copy: first(copy.paths.staged, "callbacks/*").write_bytes(
            first(copy.paths.staged, "callbacks/*").read_bytes()[:-9]
        ),
    ),
    "staged of another file": (
        "staged",
        lambda copy: shutil.copyfile(*reversed(sorted(copy.paths.staged.glob("settlement_lines/*"))[:2])),
    ),
    "quarantine deleted": ("staged", lambda copy: shutil.rmtree(copy.paths.staged / "quarantine")),
    "lake truncated": (
        "lake",
        lambda copy: first(copy.paths.lake, "three_way/*/*/*").write_bytes(b"PAR1"),
    ),
    "lake bit flipped": ("lake", lambda copy: flip(first(copy.paths.lake, "matches/*/*/*-r2.parquet"), 40)),
    "events deleted": ("lake", lambda copy: first(copy.paths.lake, "event_rows/*/*/*").unlink()),
    "evidence deleted": ("lake", lambda copy: first(copy.paths.lake, "closeout_evidence/*/*").unlink()),
    "catalog deleted": ("catalog", lambda copy: copy.paths.catalog.unlink()),
    "catalog garbled": ("catalog", lambda copy: copy.paths.catalog.write_bytes(b"no database at all")),
    "pointer corrupted": ("pointers", lambda copy: first(copy.paths.lake, "_current/*").write_bytes(b"\xff\x00{")),
    "pointer of an older revision": (
        "pointers",
        lambda copy: [
            path.write_text(path.read_text().replace('"revision": 2', '"revision": 1'))
            for path in (copy.paths.lake / "_current").iterdir()
        ],
    ),
    "list of seals deleted": ("heads", lambda copy: shutil.rmtree(copy.paths.heads)),
    "landed byte flipped": ("landing", lambda copy: flip(first(copy.paths.landing, "[0-9a-f]*"), 30)),
    "landed bytes deleted": ("landing", lambda copy: first(copy.paths.landing, "[0-9a-f]*").unlink()),
}


@pytest.mark.parametrize("damage", HEALED)
def test_damage_is_named_with_the_command_that_heals_it(
    damage: str, copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.use(monkeypatch, original.paths)  # that the models make these tables again is test_rebuild's claim
    check, act = HEALED[damage]
    if check == "landing":
        lake.refresh(copy.paths)  # which the other remedies do
    act(copy)
    found = [finding for finding in look(copy).findings if finding.check == check]
    assert found
    assert {finding.severity for finding in found} == {ERROR}
    check_command(shlex.split(found[0].remedy)[1:])
    assert run_remedy(copy, found[0]) == 0
    assert look(copy).findings == ()


FOUND: dict[str, tuple[str, Damage]] = {
    "ops.db deleted": ("store", lambda copy: copy.paths.operational_store.unlink()),
    "ops.db truncated": (
        "store",
        lambda copy: copy.paths.operational_store.write_bytes(copy.paths.operational_store.read_bytes()[:40_960]),
    ),
    "ops.db of another schema": ("store", lambda copy: change(copy, "update alembic_version set version_num = '9999'")),
    "ops.db with a garbled manifest": (
        "manifests",
        lambda copy: change(
            copy, "update run_revisions set manifest = replace(manifest, '\"provider\"', '\"provides\"')"
        ),
    ),
    "ops.db with a manifest that is no JSON": (
        "store",
        lambda copy: change(copy, "update run_revisions set manifest = '{' where revision = 2"),
    ),
    "ops.db without a table": ("store", lambda copy: drop(copy, "decisions")),
    "a run gone": ("store", lambda copy: change(copy, "delete from runs where revision = 2")),
    "a revision gone": ("runs", lambda copy: change(copy, "delete from run_revisions where revision = 2")),
    "a run of another window": ("runs", lambda copy: change(copy, "update runs set ledger_window = '2026-04-19'")),
    "a status nobody gave": ("runs", lambda copy: change(copy, "update runs set status = 'failed'")),
    "another digest of inputs": ("runs", lambda copy: change(copy, "update runs set inputs_digest = ?", "0" * 64)),
    "a registration changed": ("manifests", lambda copy: change(copy, "update files set file_id = 'set_2030_01_01'")),
    "a registration gone": (
        "manifests",
        lambda copy: [change(copy, f"delete from {table} where sequence = 2") for table in ("file_facts", "files")],
    ),
    "rows of a registration": ("registrations", lambda copy: change(copy, "update files set rows_quarantined = 7")),
    "an instant of a registration": ("registrations", lambda copy: change(copy, "update files set last_at = '1'")),
    "an event gone": ("event_log", lambda copy: change(copy, "delete from event_log where first_position = 1")),
    "an event changed": (
        "event_log",
        lambda copy: change(copy, "update event_log set event_type = 'x' where first_position = 1"),
    ),
    "an event garbled": (
        "event_log",
        lambda copy: change(copy, "update event_log set content = '{' where content is not null"),
    ),
    "a decision gone": ("decisions", lambda copy: change(copy, "delete from decisions where sequence = 1")),
    "a seal's row changed": ("bundles", lambda copy: change(copy, "update closeouts set evidence_rows = 99")),
    "a seal's row gone": ("bundles", lambda copy: change(copy, "delete from closeouts")),
    "a chain that begins later": ("chain", lambda copy: change(copy, "update closeouts set chain_sequence = 2")),
    "a chain that hangs elsewhere": (
        "chain",
        lambda copy: change(copy, "update closeouts set previous_seal = ?", "0" * 64),
    ),
    "a bundle gone": ("bundles", lambda copy: shutil.rmtree(first(copy.paths.closeouts, "run_*"))),
    "a bundle's file changed": ("bundles", lambda copy: flip(first(copy.paths.closeouts, "run_*/r1/files/m*"), 60)),
    "no key pinned": ("bundles", lambda copy: copy.home.trust.unlink()),
    "trust.json garbled": ("keys", lambda copy: copy.home.trust.write_text("{")),
    "the signing key gone": ("keys", lambda copy: first(copy.home.keys, "*.pem").unlink()),
    "control.db garbled": ("store", lambda copy: copy.home.control_store.write_bytes(b"SQLite format 3\x00" * 99)),
    "a pointer ahead of ops.db": (
        "pointers",
        lambda copy: (copy.paths.lake / "_current" / "run_0123.json").write_text('{"revision": 1}'),
    ),
}


def drop(copy: Copy, table: str) -> None:
    with closing(sqlite3.connect(copy.paths.operational_store)) as connection:
        connection.execute(f"drop table {table}")


@pytest.mark.parametrize("damage", FOUND)
def test_damage_that_no_command_heals_is_named(damage: str, copy: Copy) -> None:
    check, act = FOUND[damage]
    act(copy)
    assert (check, ERROR) in findings(copy)


def test_a_store_of_an_older_version_is_brought_up_to_date_by_the_command_named(in_order: Copy) -> None:
    change(in_order, "update alembic_version set version_num = '0000'")
    (finding,) = look(in_order).findings
    assert finding.remedy == "zentra runs list --tenant acme"


def test_a_run_whose_process_died_is_stuck_and_one_at_work_is_not(copy: Copy) -> None:
    change(copy, "update runs set status = 'matching' where provider = ?", CARDS)
    change(copy, "update run_transitions set status = 'matching' where status in ('closed', 'in_review')")
    with locks.holding(copy.paths, locks.provider_lock(CARDS)):
        assert "stuck_runs" not in {check for check, _ in findings(copy)}
    stuck = [finding for finding in look(copy).findings if finding.check == "stuck_runs"]
    assert [finding.remedy for finding in stuck] == [
        "zentra run --tenant acme --provider card_processor --settlement-file set_2026_04_20 "
        "--ledger-window 2026-04-20 --owner finance_ops"
    ]
    check_command(shlex.split(stuck[0].remedy)[1:])


def test_a_closeout_prepared_of_an_older_revision_is_named(copy: Copy) -> None:
    change(copy, "update closeouts set chain_sequence = null, run_revision = 7, status = 'prepared'")
    remedies = [finding.remedy for finding in look(copy).findings if finding.check == "prepared"]
    (run,) = {closeout.run_id for closeout in copy.records.closeouts}
    assert remedies == [f"zentra close --tenant acme --run {run} --actor ana"]
    check_command(shlex.split(remedies[0])[1:])


def test_leftovers_are_notes_and_the_home_is_sound(in_order: Copy) -> None:
    left = [
        in_order.paths.landing / ("0" * 64),
        in_order.paths.staged / "ledger_entries" / "00000099-00.parquet",
        first(in_order.paths.lake, "matches/*/*") / "run_x-r9.parquet",
        in_order.paths.lake / "_current" / ".run_x.json.tmp",
        in_order.paths.scratch / "run_x" / "window.duckdb",
        in_order.paths.closeouts / "run_x" / ".r1.tmp" / "seal.json",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
    found = look(in_order)
    assert found.is_sound
    assert {finding.severity for finding in found.findings} == {NOTE}
    assert sorted(finding.check for finding in found.findings) == [
        "bundles",
        "lake",
        "landing",
        "pointers",
        "scratch",
        "staged",
    ]


def test_a_catalog_behind_a_command_at_work_is_a_note(copy: Copy) -> None:
    copy.paths.catalog.write_bytes(b"half")
    with locks.holding(copy.paths, locks.INGEST):
        assert ("catalog", NOTE) in findings(copy)
    assert ("catalog", ERROR) in findings(copy)


def test_a_home_that_was_moved_has_a_catalog_that_reads_elsewhere(original: Copy, tmp_path: Path) -> None:
    shutil.copytree(original.home.root.with_name(KEPT), tmp_path / "moved")
    moved = Copy(Tenant.of(Home.at(tmp_path / "moved"), TENANT), original.inbox)
    (finding,) = look(moved).findings
    assert "the home was moved or copied" in finding.what
    assert run_remedy(moved, finding) == 0
    assert look(moved).findings == ()


def test_looking_changes_nothing(copy: Copy) -> None:
    def everything() -> dict[Path, tuple[int, bytes]]:
        files = (path for path in copy.home.root.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = everything()
    examine(copy.home)
    after = everything()
    assert {path for path in before if before[path] != after.get(path)} == set()
    assert {path.name for path in after.keys() - before.keys()} <= {"ops.db-wal", "ops.db-shm"}


def with_log(copy: Copy) -> Path:
    """Leave a write-ahead log of six transactions, as a process does that was killed; returns its path."""
    store = copy.paths.operational_store
    with closing(sqlite3.connect(store)) as writer:
        for number in range(6):
            writer.execute(
                "insert or replace into idempotency_keys select 'asked', ?, run_id, created_at from runs limit 1",
                (f"request {number}",),
            )
            writer.commit()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{store}{suffix}", f"{store}{suffix}.kept")
    for suffix in ("", "-wal"):
        Path(f"{store}{suffix}.kept").replace(f"{store}{suffix}")
    return store.with_name("ops.db-wal")


def test_a_damaged_write_ahead_log_is_found_where_sqlite_drops_it_silently(copies: Copies) -> None:
    copy = copies("whole")
    with_log(copy)
    assert {finding.check for finding in look(copy).findings} == {"catalog"}  # a mere copy's reads the original
    for place in (0, 10, 24, 32 + 8, 32 + 16, 32 + 24 + 100):
        copy = copies(f"flipped_{place}")
        log = with_log(copy)
        flip(log, place)
        content = log.read_bytes()
        (finding,) = look(copy).findings
        assert (finding.severity, finding.subject) == (ERROR, "ops.db-wal")
        assert log.read_bytes() == content


def test_a_write_ahead_log_that_ends_in_the_middle_of_a_write_is_no_damage(in_order: Copy) -> None:
    log = with_log(in_order)
    log.write_bytes(log.read_bytes()[:-1000])
    assert "store" not in {check for check, _ in findings(in_order)}


def test_the_command_prints_findings_and_ends_with_5(in_order: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", "--home", str(in_order.home.root)]
    assert cli.invoke(arguments) == 0
    assert capsys.readouterr().out == "home: sound\ntenant acme: sound\n"
    in_order.paths.catalog.unlink()
    assert cli.invoke([*arguments, "--tenant", TENANT]) == 5
    assert "remedy: zentra rebuild --tenant acme --readers-only" in capsys.readouterr().out
    assert cli.invoke([*arguments, "--json"]) == 5
    reported = json.loads(capsys.readouterr().out)
    assert reported["is_sound"] is False
    assert reported["checks"] == list(CHECKS)
    assert [finding["check"] for finding in reported["diagnoses"][1]["findings"]] == ["catalog"]
    assert cli.invoke([*arguments, "--tenant", "nobody"]) == 2


def test_a_store_that_is_gone_is_named_by_every_command_and_not_created_again(copy: Copy) -> None:
    for file in copy.paths.root.glob("ops.db*"):
        file.unlink()
    for ask in (lambda: lake.query(copy.paths, "select 1"), lambda: lake.refresh(copy.paths)):
        with pytest.raises(VerificationError, match=r"ops\.db is gone, and landing/.* restore it from a backup"):
            ask()
    assert not copy.paths.operational_store.exists()
    (finding,) = [found for each in examine(copy.home) for found in each.findings if found.severity == ERROR]
    assert (finding.check, "rm " in finding.remedy) == ("store", False)


def test_a_home_that_others_may_read_is_named_with_how_to_close_it(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "new")
    tenancy.init_home(home)
    assert home.root.stat().st_mode & 0o777 == 0o700
    home.root.chmod(0o755)
    (finding,) = [found for each in examine(home) for found in each.findings if found.check == "permissions"]
    assert (finding.what, finding.remedy) == (
        "other users of this machine may read it (mode 755)",
        f"chmod -R go-rwx {home.root}",
    )


def test_on_postgresql_the_store_is_a_schema_and_no_file_is_named() -> None:
    said = Finding("runs", "run_1", ERROR, "ops.db knows no revision 2", "restore ops.db from a backup")
    shown = doctor._in_schema(said, "zentra_1a_acme")
    assert (shown.what, shown.remedy) == (
        "schema zentra_1a_acme knows no revision 2",
        "restore schema zentra_1a_acme from a backup",
    )


def test_the_guide_names_every_check() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/upkeep.md").read_text(encoding="utf-8")
    assert {name for name in (*CHECKS, "store", "dagster", "permissions", "keys") if f"`{name}`" not in guide} == set()
