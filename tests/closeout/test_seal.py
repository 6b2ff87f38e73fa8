"""Seals are the same for the same contents, and a bundle is in its place whole or not at all."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from tests.closeout import bundles
from zentra_pipeline import durable_files
from zentra_pipeline.closeout import seal, verify
from zentra_pipeline.keys import dsse


def test_the_same_contents_and_key_give_the_same_seal(tmp_path: Path) -> None:
    one, two = (bundles.make_bundle(tmp_path / name) for name in ("one", "two"))
    assert one.seal_digest == two.seal_digest
    assert (one.folder / "seal.json").read_bytes() == (two.folder / "seal.json").read_bytes()


def test_sealer_and_verifier_cover_the_same_bytes_of_dsse() -> None:
    """The example of the DSSE specification."""
    due = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    for encode in (dsse.pae, verify.pae):
        assert encode("http://example.com/HelloWorld", b"hello world") == due


def test_the_payload_lists_every_file_with_digest_and_size(tmp_path: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle")
    envelope = json.loads((made.folder / "seal.json").read_bytes())
    payload = json.loads(b64decode(envelope["payload"]))
    assert payload["files"] == seal.describe_files(made.folder)
    assert sorted(payload["files"]) == sorted(f"files/{path.name}" for path in (made.folder / "files").iterdir())
    assert all(entry["size"] == (made.folder / name).stat().st_size for name, entry in payload["files"].items())
    assert seal.seal_digest(b64decode(envelope["payload"])) == made.seal_digest


def test_a_bundle_is_put_in_place_whole_and_never_over_another(tmp_path: Path) -> None:
    place = tmp_path / "closeouts" / "run_0001" / "r1"
    made = bundles.make_bundle(tmp_path / "temporary")
    seal.put_in_place(made.folder, place)
    assert not made.folder.exists()
    assert verify.verify(place, bundles.trust(tmp_path / "trust.json")).holds
    before = (place / "seal.json").read_bytes()
    second = bundles.make_bundle(tmp_path / "second", movements=1)
    with pytest.raises(OSError, match="not empty"):
        seal.put_in_place(second.folder, place)
    assert (place / "seal.json").read_bytes() == before


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trust.json"
    durable_files.write_durably(path, b"one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable_files.write_durably(path, b"two")
    assert path.read_bytes() == b"one"
