"""Keys from the command line: made, rotated, listed and handed out, and never printed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra


@pytest.fixture(autouse=True)
def passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ZENTRA_KEY_PASSPHRASE", "correct horse")
    return "correct horse"


def test_keys_are_made_rotated_listed_and_handed_out(zentra: Zentra, tmp_path: Path) -> None:
    zentra("init")
    first = zentra("keys", "init", "--json").json
    assert first["is_new"] is True
    assert zentra("keys", "init", "--json").json == {**first, "is_new": False}
    second = zentra("keys", "rotate", "--overlap-days", "0", "--json").json
    assert second["signed_by"] == first["keyid"]
    listed = zentra("keys", "list", "--json").json["items"]
    assert [key["keyid"] for key in listed] == [first["keyid"], second["keyid"]]
    assert listed[0]["valid_until"] == second["valid_from"]
    done = zentra("keys", "export-trust", tmp_path / "trust.json", "--json")
    assert done.json == {"file": str(tmp_path / "trust.json"), "keys": listed}
    assert json.loads((tmp_path / "trust.json").read_bytes()) == {"version": 1, "keys": listed}


def test_the_next_step_is_printed(zentra: Zentra, tmp_path: Path, passphrase: str) -> None:
    zentra("init")
    assert zentra("keys", "list").err == "No key yet: zentra keys init\n"
    made = zentra("keys", "init")
    assert made.out.startswith("Made key ")
    assert "zentra keys export-trust FILE" in made.err
    assert zentra("keys", "init").out.startswith("Already there: key ")
    assert ", signed by " in zentra("keys", "rotate").out
    listed = zentra("keys", "list")
    assert len(listed.out.splitlines()) == 4
    assert zentra("keys", "export-trust", tmp_path / "trust.json").out == f"Wrote 2 keys to {tmp_path}/trust.json\n"
    for pem in (tmp_path / "home" / "keys").glob("*.pem"):
        body = pem.read_text(encoding="utf-8").splitlines()[1]
        assert body not in made.out + listed.out
    assert passphrase not in made.out + made.err + listed.out


@pytest.mark.parametrize("words", [("rotate",), ("export-trust", "trust.json")])
def test_what_needs_a_key_says_so(words: tuple[str, ...], zentra: Zentra) -> None:
    zentra("init")
    done = zentra("keys", *words)
    assert done.code == 2
    assert "zentra keys init" in done.err


def test_a_wrong_passphrase_is_refused(zentra: Zentra, monkeypatch: pytest.MonkeyPatch) -> None:
    zentra("init")
    zentra("keys", "init")
    monkeypatch.setenv("ZENTRA_KEY_PASSPHRASE", "battery staple")
    done = zentra("keys", "rotate")
    assert done.code == 3
    assert "battery" not in done.err + done.out


def test_a_home_that_is_not_there_and_a_file_that_cannot_be_written_are_misuse(zentra: Zentra, tmp_path: Path) -> None:
    assert zentra("keys", "init").code == 2
    assert not (tmp_path / "home").exists()
    zentra("init")
    zentra("keys", "init")
    assert zentra("keys", "export-trust", tmp_path / "nowhere" / "trust.json").code == 2
