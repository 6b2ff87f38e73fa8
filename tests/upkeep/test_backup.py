"""A backup of a home in use is a whole home again, on either database; what is no whole backup restores nothing."""

import gzip
import hashlib
import io
import json
import random
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scenarios.rows import MON, WED, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from tests.upkeep.conftest import CARDS, Copy, copied
from zentra_pipeline import cli
from zentra_pipeline.closeout import verify
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.published import lake
from zentra_pipeline.settings import DATABASE_VARIABLE, Home
from zentra_pipeline.store.place import operational_place
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import backup
from zentra_pipeline.upkeep.doctor import examine
from zentra_pipeline.upkeep.finding import ERROR

pytestmark = pytest.mark.ci

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROWS = (
    "select * from matches order by all",
    "select * from exceptions order by all",
    "select * from events order by position",
    "select * from quarantine order by all",
    "select * from closeouts order by all",
    "select * from runs order by all",
)


def rows(tenant: Tenant) -> list[object]:
    return [lake.query(tenant.paths, query) for query in ROWS]


def restored(archive: Path, root: Path) -> Tenant:
    backup.restore(archive, Home.at(root))
    return Tenant.of(Home.at(root), TENANT)


def wrong(home: Home) -> list[str]:
    """What the doctor calls an error; a note is what it says of a server that runs without fsync, as tests have one."""
    found = [each for diagnosis in examine(home) for each in diagnosis.findings]
    return [f"{each.check} {each.subject}: {each.what}" for each in found if each.severity == ERROR]


@pytest.fixture
def archive(in_order: Copy, tmp_path: Path) -> Path:
    target = tmp_path / "kept" / "monday.tar.gz"
    target.parent.mkdir()
    backup.write(in_order.home, target, NOW)
    return target


# What is restored ---------------------------------------------------------------------------------------------------


def test_a_restored_home_is_the_one_that_was_backed_up(in_order: Copy, archive: Path, tmp_path: Path) -> None:
    again = restored(archive, tmp_path / "restored")
    assert wrong(again.home) == []
    assert rows(again) == rows(in_order.tenant)
    assert Copy(again, in_order.inbox).derived() == in_order.derived()
    report = verify.verify(again.paths.closeouts, again.home.trust, again.paths.heads / f"{CARDS}.json")
    assert report.holds
    assert (again.home.root.stat().st_mode & 0o077, archive.stat().st_mode & 0o077) == (0, 0)
    for kept in ("trust.json", f"tenants/{TENANT}/routing.yml", f"tenants/{TENANT}/providers/rail_primary.yml"):
        assert (again.home.root / kept).read_bytes() == (in_order.home.root / kept).read_bytes()


def test_a_restored_home_goes_on_where_the_backup_was_made(archive: Path, tmp_path: Path) -> None:
    world = World.__new__(World)
    world.__dict__.update(World(tmp_path / "other").__dict__)
    world.tenant = restored(archive, tmp_path / "restored")
    monday = "select run_id, revision from runs order by run_id"
    before = world.query(monday)
    assert not world.request(MON, settlement_file(MON)).is_new_revision
    assert world.query(monday) == before
    world.add(settle("L50", "R50", 70, on=WED), post("T50", "R50", 70, on=WED), call("E50", "R50", 70, on=WED))
    assert world.make(WED).is_new_revision
    assert wrong(world.home) == []


def test_a_backup_of_a_home_at_work_is_whole_at_any_moment(in_order: Copy, tmp_path: Path) -> None:
    """Files come and runs publish from one end to the other; no archive names what it lacks, or lacks what it names."""
    world = World.__new__(World)
    world.__dict__.update(World(tmp_path / "other").__dict__)
    world.tenant = in_order.tenant
    is_over = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(3):
                world.add(settle(f"W{number}", f"W{number}", 70, on=WED), post(f"V{number}", f"W{number}", 70, on=WED))
                world.make(WED)
        except BaseException as error:
            failures.append(error)
        finally:
            is_over.set()

    worker = threading.Thread(target=work)
    worker.start()
    made = []
    while not is_over.is_set():
        made.append(backup.write(in_order.home, tmp_path / f"{len(made)}.tar", NOW))
    worker.join()
    assert failures == []
    assert [each.damaged for each in made] == [()] * len(made)
    positions = [each.tenants[0].log_position for each in made]
    assert positions == sorted(positions)
    assert positions[0] < positions[-1]
    for number in sorted({0, len(made) // 2, len(made) - 1}):
        home = restored(tmp_path / f"{number}.tar", tmp_path / f"restored_{number}").home
        assert [each for each in wrong(home) if not each.startswith("stuck_runs")] == []


def test_files_that_the_home_lacks_or_that_changed_are_named_and_the_rest_is_kept(
    in_order: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, changed = sorted(in_order.paths.lake.glob("matches/*/*/*.parquet"))[:2]
    gone.unlink()
    changed.write_bytes(b"PAR1" + changed.read_bytes()[4:-1] + b"x")
    assert cli.invoke(["backup", str(tmp_path / "b.tar"), "--home", str(in_order.home.root)]) == 5
    said = capsys.readouterr().err
    for path in (gone, changed):
        assert f"missing or damaged: {path.relative_to(in_order.home.root).as_posix()}" in said
    assert cli.invoke(["restore", str(tmp_path / "b.tar"), "--home", str(tmp_path / "r")]) == 5
    assert {each.split(":")[0] for each in wrong(Home.at(tmp_path / "r")) if each.startswith("lake")} == {
        f"lake {path.relative_to(in_order.paths.root).as_posix()}" for path in (gone, changed)
    }


# On PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "target"), [("file", "schema"), ("schema", "file"), ("schema", "schema")])
def test_stores_are_restored_where_those_of_new_homes_are(
    source: str, target: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(place: str) -> None:
        if place == "schema":
            monkeypatch.setenv(DATABASE_VARIABLE, postgres_url)
        else:
            monkeypatch.delenv(DATABASE_VARIABLE, raising=False)

    use(source)
    world = World(tmp_path / "world")
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500), settle("L2", "R2", 7))
    world.make(MON)
    backup.write(world.home, tmp_path / "b.tar", NOW)
    before = rows(world.tenant)
    use(target)
    again = restored(tmp_path / "b.tar", tmp_path / "restored")
    assert (operational_place(again.paths).schema is None) == (target == "file")
    assert not (again.home.root / "stores").exists()
    assert wrong(again.home) == []
    assert rows(again) == before
    use(source)
    assert wrong(world.home) == []


# What is refused ----------------------------------------------------------------------------------------------------


def test_nothing_is_written_over(in_order: Copy, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        backup.write(in_order.home, archive, NOW)
    with pytest.raises(UsageError, match="is inside the home"):
        backup.write(in_order.home, in_order.paths.root / "b.tar", NOW)
    with pytest.raises(UsageError, match="is not empty"):
        backup.restore(archive, in_order.home)
    with pytest.raises(UsageError, match="there is no such file"):
        backup.restore(tmp_path / "none.tar", Home.at(tmp_path / "r"))
    with pytest.raises(UsageError, match="is a folder: name the file"):
        backup.restore(archive.parent, Home.at(tmp_path / "r"))
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_a_backup_that_fails_leaves_nothing(in_order: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(backup, "_add_tenant", fail)
    with pytest.raises(OSError, match="No space left"):
        backup.write(in_order.home, tmp_path / "kept" / "b.tar", NOW)
    assert list((tmp_path / "kept").iterdir()) == []


def changed(
    content: bytes, change: Callable[[tarfile.TarInfo, bytes], Iterator[tuple[tarfile.TarInfo, bytes]]]
) -> bytes:
    """The archive with each member as `change` gives it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as original, tarfile.open(fileobj=out, mode="w") as copy:
        for member in original:
            stream = original.extractfile(member)
            assert stream is not None
            for header, body in change(member, stream.read()):
                header.size = len(body)
                copy.addfile(header, io.BytesIO(body))
    return out.getvalue()


def without(part: str) -> Callable[[tarfile.TarInfo, bytes], Iterator[tuple[tarfile.TarInfo, bytes]]]:
    def change(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        if part not in member.name:
            yield member, body

    return change


def with_member(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[..., Iterator[tuple[tarfile.TarInfo, bytes]]]:
    def change(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "backup.json":
            more = tarfile.TarInfo(name)
            more.type, more.linkname = kind, "/etc/passwd"
            yield more, b"" if kind != tarfile.REGTYPE else b"x"
        yield member, body

    return change


def other_body(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    yield member, body[:-1] + b"?" if member.name.endswith("routing.yml") else body


def listed_elsewhere(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Another file under a place outside, and the list says so."""
    if member.name == "backup.json":
        content = json.loads(body)
        content["members"]["../outside"] = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}
        yield tarfile.TarInfo("../outside"), b"x"
        body = json.dumps(content).encode()
    yield member, body


def listed_as(name: str, content: bytes) -> Callable[..., Iterator[tuple[tarfile.TarInfo, bytes]]]:
    """One more file, which the list names too."""

    def change(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "backup.json":
            listed = json.loads(body)
            listed["members"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            yield tarfile.TarInfo(name), content
            body = json.dumps(listed).encode()
        yield member, body

    return change


def of_tenants(*names: object) -> Callable[..., Iterator[tuple[tarfile.TarInfo, bytes]]]:
    """The list names other tenants than those whose stores there are."""

    def change(member: tarfile.TarInfo, body: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "backup.json":
            listed = json.loads(body)
            listed["tenants"] = [listed["tenants"][0] | {"tenant": name} for name in names]
            body = json.dumps(listed).encode()
        yield member, body

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without("backup.json"), "it was cut off"),
        (without("routing.yml"), "routing.yml is missing"),
        (without("stores/acme"), "ops.db is missing"),
        (other_body, "routing.yml is not what its list says"),
        (with_member("tenants/acme/more.yml"), "tenants/acme/more.yml is not what its list says"),
        (with_member("link", tarfile.SYMTYPE), "link does not belong in one"),
        (with_member("../outside"), "no place in a home"),
        (with_member("/outside"), "no place in a home"),
        (listed_elsewhere, "no place in a home"),
        (with_member("trust.json"), "trust.json does not belong in one"),
        (listed_as("./stores/control.db", b"x"), "'./stores/control.db' is no place in a home"),
        (listed_as("stores/control.db/x", b"x"), "'stores/control.db/x' is no place in a home"),
        (listed_as("q" * 300, b"x"), "is a name longer than files have"),
        (listed_as("stores/globex/ops.db", b"x"), "it holds the stores of ['acme', 'globex']"),
        (of_tenants(), "its list names the tenants [], and it holds the stores of ['acme']"),
        (of_tenants(TENANT, "zeta"), "its list names the tenants ['acme', 'zeta']"),
        (of_tenants("../../outside"), "its list names the tenants ['../../outside']"),
        (of_tenants(None), "its list names the tenants [None]"),
    ],
)
def test_what_is_no_whole_backup_restores_nothing(
    archive: Path, tmp_path: Path, change: Callable[..., Iterator[tuple[tarfile.TarInfo, bytes]]], why: str
) -> None:
    other = tmp_path / "kept" / "other.tar"
    other.write_bytes(changed(gzip.decompress(archive.read_bytes()), change))
    with pytest.raises(InputRejectedError, match="is no whole backup") as caught:
        backup.restore(other, Home.at(tmp_path / "home of mine" / "r"))
    assert why in str(caught.value)
    assert list((tmp_path / "home of mine").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_an_archive_cut_off_or_changed_anywhere_restores_nothing(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    pick = random.Random(7)  # noqa: S311 - places, no secrets
    broken = tmp_path / "kept" / "broken.tar.gz"
    for number in range(40):
        place = pick.randrange(1, len(whole))
        flipped = whole[:place] + bytes((whole[place] ^ 1 << pick.randrange(8),)) + whole[place + 1 :]
        broken.write_bytes(whole[:place] if number % 2 else flipped)
        try:
            backup.restore(broken, Home.at(tmp_path / "r" / "home"))
        except InputRejectedError:
            assert list((tmp_path / "r").iterdir()) == []
        else:  # the bit says when and by what system it was packed, or nothing: what is packed is the same
            assert gzip.decompress(broken.read_bytes()) == gzip.decompress(whole)
            assert wrong(Home.at(tmp_path / "r" / "home")) == []
            shutil.rmtree(tmp_path / "r" / "home")


# As a drill ---------------------------------------------------------------------------------------------------------


def test_the_drill_of_the_guide_goes_as_it_is_written(
    original: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "upkeep.md").read_text(encoding="utf-8")
    drill = guide.split("## Backup and restore")[1].split("```bash\n")[1].split("```")[0]
    home = copied(original, tmp_path / "data" / "zentra").home
    (tmp_path / "backups").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZENTRA_HOME", str(home.root))
    commands = [line.split() for line in drill.splitlines()]
    assert [words[:2] for words in commands] == [["zentra", name] for name in ("backup", "restore", "doctor", "verify")]
    for words in commands:
        assert cli.invoke(words[1:]) == 0
