"""Bytes whose time is over go, each replaced by a tombstone; nothing goes that is not sealed, shared, or held."""

import hashlib
import json
import shutil
import sqlite3
import threading
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.scenarios.rows import MON, PROVIDER, TUE, WED, post, settle, settlement_file
from tests.scenarios.world import World, as_csv
from tests.upkeep.conftest import CARDS, Copies, Copy, seal
from zentra_pipeline import blobs, cli, locks
from zentra_pipeline.closeout import verify
from zentra_pipeline.config.privacy import load_privacy
from zentra_pipeline.errors import (
    ConfigurationError,
    DamagedFilesError,
    RunFailedError,
    UsageError,
    VerificationError,
)
from zentra_pipeline.ingest import landing
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile import dbt_execute, window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import inbox, leases, tombstones
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import backup, doctor, file_checks, rebuild, retention
from zentra_pipeline.upkeep.reperform import reperform

RULE = "retention: {landing_days: 30, callback_days: 10}\n"


def says(copy: Copy, text: str) -> None:
    (copy.paths.root / "privacy.yml").write_text(text, encoding="utf-8")


def sealed_at(copy: Copy) -> datetime:
    return instant_of(str(copy.records.sealed[0].sealed_at))


def after(copy: Copy, days: int) -> datetime:
    return sealed_at(copy) + timedelta(days=days)


def verdicts(copy: Copy, now: datetime) -> dict[tuple[str, str], str | None]:
    return {(each.provider, each.file_id): each.kept for each in retention.plan(copy.tenant, now)}


def errors(copy: Copy) -> list[str]:
    """What the doctor finds; the catalog of a copied home names files by the path they were copied from."""
    (diagnosis,) = [each for each in doctor.examine(copy.home) if each.tenant]
    return [
        f"{each.check}: {each.subject}"
        for each in diagnosis.findings
        if each.severity == "error" and each.check != "catalog"
    ]


def test_only_what_is_sealed_goes_and_only_when_its_time_is_over(copy: Copy) -> None:
    says(copy, RULE)
    assert set(verdicts(copy, after(copy, 9)).values()) == {retention.NOT_SEALED, retention.TOO_YOUNG}
    due = {name for name, kept in verdicts(copy, after(copy, 11)).items() if kept is None}
    assert due == {(CARDS, "told")}
    found = verdicts(copy, after(copy, 31))
    assert {name for name, kept in found.items() if kept is None} == {
        (CARDS, "told"),
        (CARDS, "cards"),
        (CARDS, "set_2026_04_20"),
    }
    assert {kept for (provider, _), kept in found.items() if provider != CARDS} == {retention.NOT_SEALED}
    says(copy, "retention: {callback_days: 10}\n")
    assert verdicts(copy, after(copy, 31))[CARDS, "cards"] == retention.NO_RULE


def test_the_seal_of_a_later_window_says_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    """Each seal's manifest names every file: Monday's went with Tuesday's seal, and none while windows were sealed."""
    world = World(tmp_path, {"expects_callbacks": False})
    books = world.beside("books")
    runs = {}
    refused = [row.again(amount_minor="12.0") for row in post("T8", "R8", 5, on="2026-05-04")]
    quarantined = {MON: refused, WED: [row.again(posted_at="in May") for row in refused]}
    for n, day in enumerate((MON, TUE, WED)):
        rows = [*post(f"T{n}", f"R{n}", 100 + n, on=day), *quarantined.get(day, ())]
        books.ingest("ledger", f"books_{n}", rows)
        world.ingest("settlement", settlement_file(day), [settle(f"L{n}", f"R{n}", 100 + n, on=day)])
        runs[day] = world.request(day, settlement_file(day)).run.run_id
    world.ingest("settlement", "forgotten", [settle("L9", "R9", 900)])
    copy = Copy(world.tenant, world.inbox)
    says(copy, RULE)
    for day in (TUE, MON, WED):
        if day == MON:
            assert due(copy) == {"books_1", settlement_file(TUE)}
        seal(world.tenant, runs[day])
    newest = {each.run_id: instant_of(str(each.sealed_at)) + timedelta(days=30) for each in copy.records.sealed}
    found = {each.file_id: each for each in retention.plan(copy.tenant, after(copy, 40))}
    assert found.pop("forgotten").kept == retention.NOT_SEALED, "no run took its line"
    for n, day in enumerate((MON, TUE, WED)):
        for name in (f"books_{n}", settlement_file(day)):
            assert instant_of(str(found[name].due_at)) == newest[runs[day]]
    assert due(copy) == set(found)
    for provider, day, held in (
        (PROVIDER, TUE, {"books_1", settlement_file(TUE), "books_2"}),
        (PROVIDER, "2026-05-04", {"books_0", "books_2"}),
        ("books", "2026-05-04", {"books_0", "books_2"}),
        (PROVIDER, "2026-05-05", {"books_2"}),
        ("other", "2026-05-04", set()),
    ):
        says(copy, RULE + f'holds: [{{provider: {provider}, from: "{day}", to: "{day}", reason: case 7}}]\n')
        assert due(copy) == set(found) - held, "rows, also in quarantine, say whose they are and of which day"


ENDS = {"failed": RunFailedError, "killed": KeyboardInterrupt}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_a_run_that_published_nothing_keeps_its_own_settlement_file_alone(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    """It cannot be sealed, nor taken back once a later run is sealed: all files of its window stayed for good."""
    says(copy, RULE)
    file = tmp_path / "again.csv"
    file.write_bytes(as_csv("settlement", [settle("M9", "Q9", 70)]))
    asked = RunRequest(CARDS, "again", date.fromisoformat(MON), "ops", sealed_at(copy), "ana")
    options = {"provider": CARDS, "kind": "settlement", "file_id": "again", "format": "canonical"}
    ingest_files(copy.tenant, files=[file], now=sealed_at(copy), **options)  # type: ignore[arg-type]

    def ends(*_: object, **__: object) -> None:
        raise end("a control does not hold")

    with monkeypatch.context() as ended:
        ended.setattr(dbt_execute, "build", ends)
        with pytest.raises(end):
            window_run.run_window(copy.tenant, asked)
    assert [run.status for run in copy.records.runs if not run.is_published] in (["failed"], ["matching"])
    assert due(copy) == {"told", "cards", "set_2026_04_20"}
    assert verdicts(copy, after(copy, 40))[CARDS, "again"] == retention.NOT_SEALED
    window_run.run_window(copy.tenant, asked)
    assert due(copy) == set(), "what is published has to be sealed"


def due(copy: Copy) -> set[str]:
    return {each.file_id for each in retention.plan(copy.tenant, after(copy, 40)) if each.is_deleted}


def test_damaged_bytes_are_kept_for_the_doctor(copy: Copy) -> None:
    """A tombstone says that retention deleted what was received: what is gone or altered before gets none."""
    says(copy, RULE)
    altered, gone = (each for each in copy.records.files if each.file_id in ("told", "cards"))
    (copy.paths.landing / altered.sha256).write_bytes(b"others")
    (copy.paths.landing / gone.sha256).unlink()
    assert {each.file_id for each in retention.apply(copy.tenant, "ana", after(copy, 31))} == {"set_2026_04_20"}
    assert verdicts(copy, after(copy, 31))[CARDS, "cards"] == retention.DAMAGED
    assert len([each for each in errors(copy) if each.startswith("landing: ")]) == 2


def test_a_tombstone_stands_for_the_registrations_of_its_time_alone(copy: Copy, tmp_path: Path) -> None:
    """The same bytes that come later under another id are missed when they are gone."""
    says(copy, RULE)
    (file,) = [each for each in copy.records.files if (each.provider, each.kind) == (CARDS, "settlement")]
    shutil.copyfile(copy.paths.landing / file.sha256, tmp_path / "twin.csv")
    retention.apply(copy.tenant, "ana", after(copy, 31))
    now = datetime(2026, 5, 2, tzinfo=UTC)
    options = {"provider": "other", "kind": "settlement", "file_id": "twin", "format": "canonical", "now": now}
    ingest_files(copy.tenant, files=[tmp_path / "twin.csv"], **options)  # type: ignore[arg-type]
    assert errors(copy) == []
    (copy.paths.landing / file.sha256).unlink()
    assert errors(copy) == [f"landing: landing/{file.sha256} (settlement file twin)"]
    made = backup.write(copy.home, tmp_path / "b.tar", datetime.now(UTC))
    assert made.damaged == (f"tenants/{copy.tenant.name}/landing/{file.sha256}",)
    with pytest.raises(VerificationError, match=r"settlement file twin of other\) is missing"):
        rebuild.rebuild(copy.tenant)


def test_a_hold_and_bytes_that_somebody_else_has_too_keep_them(copy: Copy, tmp_path: Path) -> None:
    says(copy, RULE + 'holds: [{provider: card_processor, from: "2026-04-20", to: "2026-04-20", reason: case 7}]\n')
    found = verdicts(copy, after(copy, 31))
    assert {kept for (provider, _), kept in found.items() if provider == CARDS} == {"held: case 7"}
    says(copy, RULE + 'holds: [{provider: card_processor, from: "2026-05-01", reason: case 8}]\n')
    assert verdicts(copy, after(copy, 31))[CARDS, "cards"] is None
    twin = tmp_path / "twin.csv"
    registered = {file.file_id: file for file in copy.records.files if file.provider == CARDS}
    shutil.copyfile(copy.paths.landing / registered["set_2026_04_20"].sha256, twin)
    now = datetime(2026, 5, 2, tzinfo=UTC)
    options = {"provider": "other", "kind": "settlement", "file_id": "twin", "format": "canonical", "now": now}
    ingest_files(copy.tenant, files=[twin], **options)  # type: ignore[arg-type]
    found = verdicts(copy, after(copy, 31))
    assert found[CARDS, "set_2026_04_20"] == retention.NOT_SEALED
    assert (CARDS, "cards") in {name for name, kept in found.items() if kept is None}


def test_what_went_has_a_tombstone_and_every_check_knows(copy: Copy, tmp_path: Path) -> None:
    """Seals verify, the run is made again from staged rows and says so, and a backup misses nothing."""
    says(copy, RULE)
    deleted = retention.apply(copy.tenant, "ana", after(copy, 31))
    assert {each.file_id for each in deleted} == {"told", "cards", "set_2026_04_20"}
    assert all(not (copy.paths.landing / each.sha256).exists() for each in deleted)
    with copy.tenant.reading() as connection:
        stones = {each.sha256: each for each in tombstones.listed(connection)}
    (closeout,) = copy.records.sealed
    for each in deleted:
        stone = stones[each.sha256]
        assert (stone.byte_size, stone.actor, stone.sealed_by) == (each.byte_size, "ana", (closeout.closeout_id,))
        assert stone.deleted_at == after(copy, 31).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert any("callback_days: 10 after the seal" in each.why for each in stones.values())
    assert retention.apply(copy.tenant, "ana", after(copy, 99)) == []
    assert errors(copy) == []
    assert verify.verify(copy.paths.root / str(closeout.bundle), copy.home.trust).holds
    outcome = reperform(copy.tenant, closeout.run_id)
    assert outcome.holds
    assert len(outcome.deleted) == 3
    assert all("ana deleted its bytes at" in what for what in outcome.deleted)
    made = backup.write(copy.home, tmp_path / "b.tar", datetime.now(UTC))
    assert made.damaged == ()


def test_nothing_is_deleted_while_a_backup_takes_what_its_copy_of_the_store_names(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup ended with 5, and its archive lacked files of which its store had no tombstone."""
    says(copy, RULE)
    deleted: list[str] = []
    deleting = threading.Thread(
        target=lambda: deleted.extend(each.file_id for each in retention.apply(copy.tenant, "ana", after(copy, 31)))
    )
    asked: Queue[tuple[str, ...]] = Queue()
    add_tenant, holding = backup._add_tenant, leases.holding

    def watched(paths: TenantPaths, *names: str) -> AbstractContextManager[None]:
        if threading.current_thread() is deleting:
            asked.put(names)
        return holding(paths, *names)

    def beside_retention(*arguments: Any) -> None:
        assert leases.is_held(copy.paths, locks.BACKUP)
        deleting.start()
        if asked.get(timeout=300) != (locks.BACKUP,):  # nothing keeps it waiting: let it delete first
            deleting.join()
        add_tenant(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(backup, "_add_tenant", beside_retention)
        patched.setattr(leases, "holding", watched)
        made = backup.write(copy.home, tmp_path / "b.tar", datetime.now(UTC))
    deleting.join()
    assert made.damaged == ()
    assert set(deleted) == {"told", "cards", "set_2026_04_20"}
    backup.restore(tmp_path / "b.tar", Home.at(tmp_path / "restored"))
    restored = Copy(Tenant.of(Home.at(tmp_path / "restored"), copy.tenant.name), copy.inbox)
    assert (errors(restored), restored.records.tombstones) == ([], {})
    assert backup.write(copy.home, tmp_path / "c.tar", datetime.now(UTC)).damaged == ()


def test_the_doctor_misses_nothing_that_was_deleted_while_it_looked(copy: Copy) -> None:
    """It knew the tombstones of its beginning alone, and called the bytes gone: ingest them again."""
    says(copy, RULE)
    kept = copy.records
    (other,) = [each for each in kept.files if each.file_id == "ledger_1"]
    (copy.paths.landing / other.sha256).unlink()
    retention.apply(copy.tenant, "ana", after(copy, 31))
    found = [each.subject for each in file_checks.check_landing(kept)]
    assert found == [f"landing/{other.sha256} (ledger file ledger_1)"]


def test_a_staged_file_that_stands_for_deleted_bytes_cannot_be_made_again(copy: Copy) -> None:
    says(copy, RULE)
    retention.apply(copy.tenant, "ana", after(copy, 31))
    (file,) = [each for each in copy.records.files if each.file_id == "cards"]
    assert file.staged_path is not None
    (copy.paths.root / file.staged_path).unlink()
    with pytest.raises(VerificationError, match=r"ana deleted its bytes at .* restore it from a backup"):
        rebuild.rebuild(copy.tenant)


def test_an_apply_that_was_killed_is_finished_and_bytes_that_came_again_go_again(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copies("killed")
    says(copy, RULE)
    (file,) = [each for each in copy.records.files if each.file_id == "cards"]
    path = copy.paths.landing / file.sha256
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            retention.apply(copy.tenant, "ana", after(copy, 31))
    assert path.exists()
    assert errors(copy) == []
    retention.apply(copy.tenant, "ana", after(copy, 31))
    assert not path.exists()
    source = next(each for each in copy.inbox.glob("cards.*"))
    options = {"provider": CARDS, "kind": "ledger", "file_id": "cards", "format": "canonical", "now": after(copy, 40)}
    ingest_files(copy.tenant, files=[source], **options)  # type: ignore[arg-type]
    assert landing.digest_of(path) == file.sha256
    says(copy, RULE + "holds: [{reason: case 7}]\n")
    assert retention.apply(copy.tenant, "ana", after(copy, 41)) == []
    assert path.exists(), "a hold keeps what came again, too"
    says(copy, RULE)
    retention.apply(copy.tenant, "ana", after(copy, 41))
    assert not path.exists()


def test_bodies_in_the_inbox_are_emptied_and_their_digests_stay(copy: Copy) -> None:
    batch, body = "told", b'{"card":"4111111111111111"}'
    receipt = inbox.Receipt(CARDS, "canonical", "2026-04-20T10:00:00.000000Z", "a" * 64, {"x": "y"}, body, "unsigned")
    with copy.tenant.writing() as connection:
        inbox.add(connection, [receipt])
    with closing(sqlite3.connect(copy.paths.operational_store)) as store, store:
        store.execute("update callback_inbox set batch = ?, status = 'ingested'", (batch,))
    says(copy, RULE)
    retention.apply(copy.tenant, "ana", after(copy, 11))
    with copy.tenant.reading() as connection:
        (kept,) = inbox.of_batch(connection, CARDS, batch)
        (stone,) = tombstones.listed(connection)
    assert (kept.body, kept.headers, kept.sha256, stone.bodies) == (b"", {}, "a" * 64, 1)
    assert errors(copy) == []


def set_aside(copy: Copy, body: bytes, received_at: str) -> str:
    """A delivery that no file may hold, as it is left; its batch."""
    digest = hashlib.sha256(body).hexdigest()
    with copy.tenant.writing() as connection:
        inbox.add(connection, [inbox.Receipt(CARDS, "canonical", received_at, digest, {"x": "y"}, body, "unsigned")])
        batch = inbox.assign(connection, CARDS)
        assert batch is not None
        inbox.split(connection, CARDS, batch)
    return batch


def test_a_delivery_that_was_set_aside_is_emptied_with_the_window_it_was_received_in(
    copy: Copy, tmp_path: Path
) -> None:
    """It is in no file, so that no rule ever came to it."""
    body = b'{"card":"4111111111111111"}'
    batch, later = set_aside(copy, body, f"{MON}T10:00:00.000000Z"), set_aside(copy, b"{}", f"{TUE}T10:00:00.000000Z")
    says(copy, RULE)
    assert verdicts(copy, after(copy, 9))[CARDS, batch] == retention.TOO_YOUNG
    assert verdicts(copy, after(copy, 99))[CARDS, later] == retention.NOT_SEALED
    says(copy, RULE + f'holds: [{{provider: {CARDS}, from: "{MON}", to: "{MON}", reason: case 7}}]\n')
    assert verdicts(copy, after(copy, 11))[CARDS, batch] == "held: case 7"
    says(copy, "retention: {landing_days: 1}\n")
    assert verdicts(copy, after(copy, 11))[CARDS, batch] == retention.NO_RULE
    says(copy, RULE)
    assert {each.file_id for each in retention.apply(copy.tenant, "ana", after(copy, 11))} == {"told", batch}
    with copy.tenant.reading() as connection:
        (emptied,), (kept,) = (inbox.of_batch(connection, CARDS, each) for each in (batch, later))
        stone = next(each for each in tombstones.listed(connection) if not each.files)
    digest = hashlib.sha256(body).hexdigest()
    assert (emptied.body, emptied.headers, emptied.sha256, kept.body) == (b"", {}, digest, b"{}")
    (closeout,) = copy.records.sealed
    assert (stone.sha256, stone.byte_size, stone.bodies) == (digest, len(body), 1)
    assert stone.sealed_by == (closeout.closeout_id,)
    assert retention.apply(copy.tenant, "ana", after(copy, 12)) == []
    assert errors(copy) == []
    assert backup.write(copy.home, tmp_path / "b.tar", datetime.now(UTC)).damaged == ()
    other = hashlib.sha256(kept.body).hexdigest()
    with copy.tenant.writing() as connection:
        tombstones.add(connection, replace(stone, sha256=other))
    assert errors(copy) == [f"tombstones: delivery {other}"], "it was not emptied"


def test_a_tombstone_that_names_no_seal_is_found(copy: Copy) -> None:
    says(copy, RULE)
    retention.apply(copy.tenant, "ana", after(copy, 31))
    unsealed = next(each for each in copy.records.files if each.provider != CARDS)
    stone = tombstones.Tombstone(unsealed.sha256, 1, "ledger", (unsealed.sequence,), (), 0, "x", "eve", "y")
    with copy.tenant.writing() as connection:
        tombstones.add(connection, stone)
    (copy.paths.landing / unsealed.sha256).unlink()
    assert errors(copy) == [f"tombstones: landing/{unsealed.sha256}"]


def test_it_is_asked_for_twice_and_a_rule_is_needed(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--tenant", copy.tenant.name, "--home", str(copy.home.root)]
    with pytest.raises(UsageError, match="has no rule"):
        retention.apply(copy.tenant, "ana", after(copy, 31))
    says(copy, "retention: {landing_days: 1}\n")
    assert cli.invoke(["retention", "apply", "--actor", "ana", *at]) == 2
    assert "would be deleted for good" in capsys.readouterr().err
    assert cli.invoke(["retention", "plan", *at, "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert {each["kept"] for each in items} == {retention.NO_RULE, retention.NOT_SEALED, retention.TOO_YOUNG}
    for text in (
        "retention: {landing_days: 0}\n",
        "holds: [{reason: x, from: yesterday}]\n",
        'holds: [{from: "2026-01-01"}]\n',
    ):
        says(copy, text)
        with pytest.raises(ConfigurationError, match=r"privacy\.yml: (retention|holds)\."):
            load_privacy(copy.paths)


def test_where_hosts_share_files_they_go_from_the_object_store_for_good(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each deleted file is taken out there first; taking it out again is no error."""
    says(copy, RULE)
    taken: list[str] = []
    with monkeypatch.context() as watched:
        watched.setattr(blobs, "delete", lambda _paths, relative, digest: taken.append(f"{relative} {digest}"))
        deleted = retention.apply(copy.tenant, "ana", after(copy, 31))
    assert taken == [f"landing/{each.sha256} {each.sha256}" for each in deleted]
    home = Home(tmp_path / "shared")
    paths = home.tenant("acme")
    paths.landing.mkdir(parents=True)
    home.storage.write_text("url: memory://retention\n", encoding="utf-8")
    digest = hashlib.sha256(b"rows").hexdigest()
    (paths.landing / digest).write_bytes(b"rows")
    blobs.push(paths, f"landing/{digest}", digest)
    (paths.landing / digest).unlink()
    blobs.pull(paths, {f"landing/{digest}": digest})
    assert (paths.landing / digest).read_bytes() == b"rows"
    (paths.landing / digest).unlink()
    for _ in range(2):
        blobs.delete(paths, f"landing/{digest}", digest)
    with pytest.raises(DamagedFilesError, match="is not in memory://retention"):
        blobs.pull(paths, {f"landing/{digest}": digest})
