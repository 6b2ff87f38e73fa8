"""The engine is right about every fact of every world: matches, exceptions, open items, roll-forward and quarantine."""

from pathlib import Path

import pytest

from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.simulation.replay import replay
from zentra_pipeline.simulation.scoring import Score, read_key, score
from zentra_pipeline.simulation.world import build_world
from zentra_pipeline.simulation.write import write_world

QUICK_SEEDS = range(2)
SLOW_SEEDS = range(2, 50)


def scored(folder: Path, seed: int, movements: int, windows: int, all_files_first: bool = False) -> Score:
    write_world(build_world(seed, movements, windows), folder / "world")
    published = replay(folder / "world", Home.at(folder / "home"), run_window, quietly, all_files_first=all_files_first)
    return score(read_key(folder / "world"), published)


def quietly(_window: str, _step: str) -> None:
    """Progress that nobody watches."""


def disagreements(result: Score) -> list[str]:
    """What is wrong, a line each; empty when precision and recall are 1 everywhere."""
    told = [
        f"{tally.kind}, {found.case}: {found.side} says {found.fact}; the other says {found.other}"
        for tally in result.tallies
        for found in tally.disagreements
    ]
    return told if told or result.is_perfect else ["a tally is short without saying why"]


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_the_engine_agrees_with_the_answer_key(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=170, windows=4)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_the_engine_agrees_with_the_answer_key_over_many_windows(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=250, windows=7)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50, 54))
def test_files_that_are_there_early_change_nothing(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=250, windows=7, all_files_first=True)) == []
