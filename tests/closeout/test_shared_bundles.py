"""What another host finds of a sealed bundle in the object store is that bundle, or damage, and no more is unpacked."""

import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.closeout.bundles import Sealed, make_bundle
from zentra_pipeline import blobs
from zentra_pipeline.closeout import bundle_zip, shared_bundles
from zentra_pipeline.errors import DamagedFilesError
from zentra_pipeline.settings import TenantPaths

BUNDLE = "closeouts/run_0001/r1"
EVIDENCE = "r1/files/evidence.jsonl"
Members = list[tuple[str, bytes]]


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return make_bundle(tmp_path / "sealing host" / "r1")


@pytest.fixture
def pulled(sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Has another host take a zip for the bundle on record; the folder where it then lies."""
    paths = TenantPaths(tmp_path / "other host")

    def pull_to(_paths: TenantPaths, _relative: Path, _sha256: str, file: Path) -> None:
        shutil.copyfile(packed, file)

    def pull(given: Path) -> Path:
        nonlocal packed
        packed = given
        shared_bundles.pull(paths, BUNDLE, sealed.seal_digest)
        assert list(paths.scratch.iterdir()) == []
        return paths.root / BUNDLE

    packed = tmp_path / "bundle.zip"
    monkeypatch.setattr(blobs, "are_shared", lambda _paths: True)
    monkeypatch.setattr(blobs, "pull_to", pull_to)
    return pull


def repacked(packed: Path, members: Members) -> Path:
    packed.unlink()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice, on purpose
        for name, content in members:
            archive.writestr(name, content)
    return packed


def test_the_bundle_on_record_is_unpacked(sealed: Sealed, pulled: Callable[[Path], Path], tmp_path: Path) -> None:
    packed = tmp_path / "whole.zip"
    bundle_zip.write_zip(sealed.folder, packed, "r1")
    found = pulled(packed)
    names = sorted(path.relative_to(found) for path in found.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(sealed.folder) for path in sealed.folder.rglob("*") if path.is_file())
    assert all((found / name).read_bytes() == (sealed.folder / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda members: members[1:], id="a file is missing"),
        pytest.param(lambda members: [*members, ("r1/files/more.jsonl", b"x")], id="one more file"),
        pytest.param(lambda members: [*members, (EVIDENCE, dict(members)[EVIDENCE])], id="one twice"),
        pytest.param(lambda members: [*members, ("r1/../../../outside", b"x")], id="a way out"),
        pytest.param(lambda members: [*members, ("/outside", b"x")], id="an absolute name"),
        pytest.param(lambda members: [*members, ("r2/seal.json", b"x")], id="another bundle beside it"),
        pytest.param(lambda members: [(name, body[:-1] + b"?") for name, body in members], id="other bytes"),
        pytest.param(lambda members: [(name.upper(), body) for name, body in members], id="other names"),
        pytest.param(lambda members: [(name, b"{}") for name, _ in members], id="another seal"),
    ],
)
def test_anything_else_is_damage_and_leaves_nothing(
    change: Callable[[Members], Members], sealed: Sealed, pulled: Callable[[Path], Path], tmp_path: Path
) -> None:
    packed = tmp_path / "changed.zip"
    bundle_zip.write_zip(sealed.folder, packed, "r1")
    with zipfile.ZipFile(packed) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with pytest.raises(DamagedFilesError, match="restore the object"):
        pulled(repacked(packed, change(members)))
    assert not (tmp_path / "other host" / BUNDLE).exists()
    assert not (tmp_path / "outside").exists()


def test_no_more_is_unpacked_than_the_seal_lists(
    sealed: Sealed, pulled: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small zip of one file that is large once unpacked filled the disk before anything was compared."""
    packed = tmp_path / "bomb.zip"
    bundle_zip.write_zip(sealed.folder, packed, "r1")
    with zipfile.ZipFile(packed) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    seen = list[int]()
    extract = shared_bundles._extract

    def watched(archive: zipfile.ZipFile, member: str, file: Path, most: int) -> bool:
        try:
            return extract(archive, member, file, most)
        finally:
            seen.append(file.stat().st_size)

    monkeypatch.setattr(shared_bundles, "_extract", watched)
    bomb = [(name, bytes(8 << 20) if name == EVIDENCE else body) for name, body in members]
    with pytest.raises(DamagedFilesError, match="is not the one on record"):
        pulled(repacked(packed, bomb))
    assert max(seen) < 1 << 20


def test_a_zip_that_cannot_be_read_is_damage(sealed: Sealed, pulled: Callable[[Path], Path], tmp_path: Path) -> None:
    packed = tmp_path / "broken.zip"
    bundle_zip.write_zip(sealed.folder, packed, "r1")
    whole = packed.read_bytes()
    encrypted = whole.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    assert encrypted != whole
    for content in (b"", b"no zip", whole[: len(whole) // 2], encrypted, whole[:60] + bytes(40) + whole[100:]):
        packed.write_bytes(content)
        with pytest.raises(DamagedFilesError):
            pulled(packed)
        assert not (tmp_path / "other host" / BUNDLE).exists()
