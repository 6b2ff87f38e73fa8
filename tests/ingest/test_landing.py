"""How bytes come into the landing zone."""

import hashlib
from pathlib import Path

import pytest

from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest.landing import discard_arriving, keep, land, receive
from zentra_pipeline.settings import TenantPaths

BYTES = bytes(range(256)) * 5000


@pytest.fixture
def paths(tmp_path: Path) -> TenantPaths:
    return TenantPaths(tmp_path / "acme")


def test_landed_bytes_are_those_received_under_their_digest(paths: TenantPaths, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BYTES)
    landed = land(paths, tmp_path / "in")
    assert landed.sha256 == hashlib.sha256(BYTES).hexdigest()
    assert landed.path == paths.landing / landed.sha256
    assert landed.path.read_bytes() == BYTES
    assert landed.byte_size == len(BYTES)


def test_bytes_that_are_there_already_are_kept_as_they_are(paths: TenantPaths, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BYTES)
    first = land(paths, tmp_path / "in")
    inode = first.path.stat().st_ino
    assert land(paths, tmp_path / "in") == first
    assert first.path.stat().st_ino == inode
    assert [path for path in paths.landing.rglob("*") if path.is_file()] == [first.path]


def test_a_torn_copy_under_the_lasting_name_is_replaced(paths: TenantPaths, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BYTES)
    received = receive(paths, tmp_path / "in", 0)
    (paths.landing / received.sha256).write_bytes(BYTES[:10])
    assert keep(paths, received).path.read_bytes() == BYTES


def test_a_damaged_copy_of_the_same_size_is_replaced(paths: TenantPaths, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BYTES)
    received = receive(paths, tmp_path / "in", 0)
    (paths.landing / received.sha256).write_bytes(b"\xff" + BYTES[1:])
    assert keep(paths, received).path.read_bytes() == BYTES


def test_received_bytes_can_be_discarded(paths: TenantPaths, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BYTES)
    receive(paths, tmp_path / "in", 0)
    discard_arriving(paths)
    assert [path for path in paths.landing.rglob("*") if path.is_file()] == []


def test_a_folder_is_no_file_to_land(paths: TenantPaths, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is not a regular file"):
        land(paths, tmp_path)
