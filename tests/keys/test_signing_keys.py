"""Keys are made once, rotated by signature, kept encrypted with a passphrase that lies elsewhere, and never shown."""

import json
import multiprocessing
import pickle
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.closeout import bundles
from zentra_pipeline.closeout import seal, verify
from zentra_pipeline.errors import RefusedError, UsageError, ZentraError
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.settings import Home

NOW = datetime(2026, 4, 28, 9, tzinfo=UTC)


@pytest.fixture
def passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the passphrase will be kept, with no passphrase in the environment."""
    monkeypatch.delenv(signing_keys.PASSPHRASE_VARIABLE, raising=False)
    monkeypatch.delenv(signing_keys.PASSPHRASE_FILE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "zentra" / "key-passphrase"


@pytest.fixture
def home(tmp_path: Path, passphrase: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def seal_with(home: Home, folder: Path, now: datetime) -> Path:
    """A bundle sealed by the home's key of that time."""
    made = bundles.make_bundle(
        folder, rotations=signing_keys.key_rotations(home)["keys"], sealed_at=now.isoformat()[:19] + "Z"
    )
    payload = {**made.payload}
    seal.seal_bundle(folder, payload, signing_keys.signing_key(home, now))
    return folder


def test_the_first_seal_needs_no_set_up(home: Home, tmp_path: Path) -> None:
    folder = seal_with(home, tmp_path / "bundle", NOW)
    assert bundles.failed(verify.verify(folder, home.trust)) == {}


def test_making_the_first_key_again_changes_nothing(home: Home, passphrase: Path) -> None:
    record, is_new = signing_keys.init(home, NOW)
    before = {path: path.read_bytes() for path in (*home.keys.iterdir(), home.trust, passphrase)}
    assert is_new
    assert signing_keys.init(home, NOW + timedelta(days=1)) == (record, False)
    assert signing_keys.signing_key(home, NOW).keyid == record.keyid
    assert {path: path.read_bytes() for path in (*home.keys.iterdir(), home.trust, passphrase)} == before


def test_the_passphrase_is_random_private_and_outside_the_home(home: Home, passphrase: Path) -> None:
    record, _ = signing_keys.init(home, NOW)
    assert len(bytes.fromhex(passphrase.read_text(encoding="utf-8"))) == 32
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert stat.S_IMODE((home.keys / f"{record.keyid}.pem").stat().st_mode) == 0o600
    secret = passphrase.read_bytes().strip()
    for path in home.root.rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes()
    assert (home.keys / f"{record.keyid}.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


@pytest.mark.parametrize("inside", ["secret", "keys/secret", "deep/er/secret"])
def test_a_passphrase_inside_the_home_is_refused(inside: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing_keys.PASSPHRASE_FILE_VARIABLE, str(home.root / inside))
    with pytest.raises(RefusedError, match="lies inside the home"):
        signing_keys.init(home, NOW)
    (home.root.parent / "link").symlink_to(home.root)
    monkeypatch.setenv(signing_keys.PASSPHRASE_FILE_VARIABLE, str(home.root.parent / "link" / inside))
    with pytest.raises(RefusedError, match="lies inside the home"):
        signing_keys.init(home, NOW)
    assert signing_keys.records(home) == []
    assert not list(home.root.rglob("secret"))


def test_a_wrong_passphrase_is_refused_and_says_where_it_came_from(
    home: Home, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_keys.init(home, NOW)
    monkeypatch.setenv(signing_keys.PASSPHRASE_VARIABLE, "tr0ub4dor")
    with pytest.raises(RefusedError, match=r"does not open: the passphrase of \$ZENTRA_KEY_PASSPHRASE") as refused:
        signing_keys.signing_key(home, NOW)
    assert "tr0ub4dor" not in str(refused.value)
    with pytest.raises(RefusedError):
        signing_keys.rotate(home, NOW)
    monkeypatch.delenv(signing_keys.PASSPHRASE_VARIABLE)
    secret = passphrase.read_bytes()
    for content in (b"", b"\n", b"00" * 32):
        passphrase.write_bytes(content)
        with pytest.raises(RefusedError):
            signing_keys.signing_key(home, NOW)
    passphrase.unlink()
    with pytest.raises(RefusedError, match="restore it"):
        signing_keys.signing_key(home, NOW)
    assert not passphrase.exists()
    passphrase.write_bytes(secret)
    signing_keys.signing_key(home, NOW)


def test_a_passphrase_of_the_environment_needs_no_file(
    home: Home, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing_keys.PASSPHRASE_VARIABLE, "correct horse — battery")
    signing_keys.init(home, NOW)
    signing_keys.rotate(home, NOW)
    assert not passphrase.exists()


def test_neither_text_nor_fields_of_a_key_show_its_private_part(home: Home) -> None:
    key = signing_keys.signing_key(home, NOW)
    private = key._private.private_bytes_raw()
    for text in (repr(key), str(key), f"{key}", repr([key]), repr(vars(key).get("keyid"))):
        assert private.hex() not in text
        assert "private" not in text.lower()
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_rotation_leaves_the_old_key_valid_for_a_while(home: Home) -> None:
    first, _ = signing_keys.init(home, NOW)
    later = NOW + timedelta(days=30)
    second = signing_keys.rotate(home, later, overlap_days=3)
    old, new = signing_keys.records(home)
    assert (old.keyid, old.valid_until, old.signature) == (first.keyid, "2026-05-31T09:00:00.000000Z", None)
    assert (new, new.signed_by, new.valid_until) == (second, first.keyid, None)
    assert signing_keys.signing_key(home, later).keyid == second.keyid
    assert signing_keys.signing_key(home, later - timedelta(microseconds=1)).keyid == first.keyid
    assert signing_keys.key_rotations(home)["keys"] == [vars(second)]


def test_whoever_pinned_the_first_key_believes_those_after_it(home: Home, tmp_path: Path) -> None:
    signing_keys.init(home, NOW)
    pinned = tmp_path / "pinned.json"
    signing_keys.export_trust(home, pinned)
    for days in (10, 20, 30):
        signing_keys.rotate(home, NOW + timedelta(days=days))
        folder = seal_with(home, tmp_path / str(days), NOW + timedelta(days=days))
        assert bundles.failed(verify.verify(folder, pinned)) == {}
        assert bundles.failed(verify.verify(folder, home.trust)) == {}
    assert len(json.loads(home.trust.read_bytes())["keys"]) == 4
    assert len(json.loads(pinned.read_bytes())["keys"]) == 1


def test_an_expired_key_seals_nothing(home: Home) -> None:
    signing_keys.init(home, NOW)
    signing_keys.rotate(home, NOW + timedelta(days=5), overlap_days=0)
    with pytest.raises(ZentraError, match=r"no key .* is valid"):
        signing_keys.signing_key(home, NOW - timedelta(seconds=1))


def test_what_cannot_be_is_refused_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key to rotate"):
        signing_keys.rotate(home, NOW)
    with pytest.raises(UsageError, match="no key to hand out"):
        signing_keys.export_trust(home, tmp_path / "trust.json")
    with pytest.raises(UsageError, match="there is no home"):
        signing_keys.init(Home(tmp_path / "nowhere"), NOW)
    signing_keys.init(home, NOW)
    before = home.trust.read_bytes()
    with pytest.raises(UsageError, match="not possible"):
        signing_keys.rotate(home, NOW, overlap_days=-1)
    with pytest.raises(RefusedError, match="check the clock"):
        signing_keys.rotate(home, NOW - timedelta(days=1))
    assert home.trust.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_a_lost_trust_file_is_not_replaced_by_a_new_key(home: Home) -> None:
    """Once went wrong in a draft: a new first key would have made every pinned copy useless."""
    signing_keys.init(home, NOW)
    trust = home.trust.read_bytes()
    home.trust.unlink()
    with pytest.raises(ZentraError, match="is gone"):
        signing_keys.signing_key(home, NOW)
    home.trust.write_bytes(trust[:50])
    with pytest.raises(ZentraError, match="cannot be read"):
        signing_keys.signing_key(home, NOW)
    home.trust.write_bytes(trust)
    signing_keys.signing_key(home, NOW)


def test_a_key_file_lost_or_of_another_key_is_named(home: Home, tmp_path: Path) -> None:
    record, _ = signing_keys.init(home, NOW)
    other = Home(tmp_path / "other")
    other.root.mkdir()
    theirs, _ = signing_keys.init(other, NOW)
    path = home.keys / f"{record.keyid}.pem"
    path.write_bytes((other.keys / f"{theirs.keyid}.pem").read_bytes())
    with pytest.raises(ZentraError, match="holds another key"):
        signing_keys.signing_key(home, NOW)
    path.unlink()
    with pytest.raises(ZentraError, match="is gone"):
        signing_keys.signing_key(home, NOW)


@pytest.mark.parametrize("step", ["before the list", "after the list"])
def test_a_death_between_the_writes_of_a_new_key_loses_nothing(
    step: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = signing_keys.write_durably

    def die(path: Path, content: bytes, mode: int = 0o644) -> None:
        if step == "after the list" or path != home.trust:
            real(path, content, mode)
        if path == home.trust:
            raise KeyboardInterrupt

    for attempt in (lambda: signing_keys.init(home, NOW), lambda: signing_keys.rotate(home, NOW + timedelta(days=1))):
        with monkeypatch.context() as patched:
            patched.setattr(signing_keys, "write_durably", die)
            with pytest.raises(KeyboardInterrupt):
                attempt()
        before = len(signing_keys.records(home))
        assert signing_keys.signing_key(home, NOW + timedelta(days=1)).keyid == signing_keys.records(home)[-1].keyid
        assert len(signing_keys.records(home)) == max(before, 1)
        assert list(home.keys.glob("*.pending")) == []


def make_first_key(root: Path) -> str:
    return signing_keys.signing_key(Home(root), NOW).keyid


def test_processes_that_come_first_at_once_get_one_key(home: Home) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = pool.map(make_first_key, [home.root] * 6, chunksize=1)
        pool.close()
        pool.join()  # they end by themselves, also where the signal that ends them is ignored
    assert len(set(made)) == len(signing_keys.records(home)) == len(list(home.keys.glob("*.pem"))) == 1
