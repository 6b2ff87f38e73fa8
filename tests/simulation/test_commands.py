"""`zentra simulate` writes a world, `zentra score` scores it and fails when key and engine disagree."""

from pathlib import Path

import pytest

from tests.cli.conftest import Zentra, zentra
from zentra_pipeline.simulation import replay
from zentra_pipeline.simulation.replay import Published

pytestmark = pytest.mark.ci

__all__ = ["zentra"]


def test_simulate_writes_a_world_and_says_what_is_in_it(zentra: Zentra, tmp_path: Path) -> None:
    done = zentra("simulate", "--out", tmp_path / "w", "--movements", 40, "--seed", 3, "--json")
    assert done.code == 0
    assert done.json["movements"] + done.json["stories"] > 40
    assert set(done.json["answer_key"]) == {path.stem for path in (tmp_path / "w" / "answer_key").iterdir()}
    assert len(done.json["windows"]) == 6
    assert not (tmp_path / "home").exists()


def test_simulate_refuses_a_folder_in_use(zentra: Zentra, tmp_path: Path) -> None:
    assert zentra("simulate", "--out", tmp_path / "w", "--movements", 1, "--seed", 3).code == 0
    again = zentra("simulate", "--out", tmp_path / "w", "--movements", 1, "--seed", 3)
    assert again.code == 2
    assert "not an empty folder" in again.err


def test_score_agrees_then_disagrees_with_a_tampered_key(
    zentra: Zentra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world is run once: no run reads the key, so that a second would publish the same."""
    played: list[Published] = []
    run = replay.replay
    monkeypatch.setattr(replay, "replay", lambda *arguments: played.append(run(*arguments)) or played[0])
    world = tmp_path / "w"
    cases = ("--only-case", "exact_reference", "--only-case", "line_written_off")
    made = zentra("simulate", "--out", world, "--movements", 4, "--seed", 3, "--windows", 1, *cases)
    assert made.code == 0
    assert "operators close 1 of them; every file comes in time" in made.out
    done = zentra("score", world, "--json")
    assert (done.code, done.json["is_perfect"]) == (0, True)
    agreed = {kind["kind"]: kind["agreed"] for kind in done.json["kinds"]}
    assert agreed["closeouts"] == 1
    assert agreed["unmatched_provider_row"] >= 1
    key = world / "answer_key" / "matches.csv"
    monkeypatch.setattr(replay, "replay", lambda *_arguments: played[0])
    key.write_text(key.read_text(encoding="utf-8").replace("one_to_one", "many_to_many", 1), encoding="utf-8")
    done = zentra("score", world)
    assert done.code == 5
    assert "key says   ledger_window" in done.out
    assert "cardinality many_to_many" in done.out


def test_score_refuses_a_folder_without_a_world(zentra: Zentra, tmp_path: Path) -> None:
    done = zentra("score", tmp_path)
    assert done.code == 2
    assert "holds no world" in done.err
