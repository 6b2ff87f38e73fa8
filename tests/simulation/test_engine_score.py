"""The engine is right about every fact of every world: matches, exceptions, open items, roll-forward and quarantine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from zentra_pipeline.desk import deciding
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.run_requests import RunRequest, as_request
from zentra_pipeline.reconcile.window_run import run_queued, run_window
from zentra_pipeline.review import record
from zentra_pipeline.settings import Home
from zentra_pipeline.simulation.replay import replay
from zentra_pipeline.simulation.scoring import Score, read_key, score
from zentra_pipeline.simulation.world import build_world
from zentra_pipeline.simulation.write import write_world
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

QUICK_SEEDS = range(1)
SLOW_SEEDS = range(1, 50)


def scored(folder: Path, seed: int, movements: int, windows: int, all_files_first: bool = False) -> Score:
    """A seed's score; a world whose files are there early has none that come late."""
    write_world(build_world(seed, movements, windows, has_late_files=not all_files_first), folder / "world")
    home = Home.at(folder / "home")
    with decisions_without_dagster():
        published = replay(folder / "world", home, run_with_what_follows, quietly, all_files_first=all_files_first)
    return score(read_key(folder / "world"), published)


@contextmanager
def decisions_without_dagster() -> Iterator[None]:
    """What a decision has made again is made without Dagster, and the catalog is brought up to date by what follows."""
    stale = SimpleNamespace(**vars(lake) | {"refresh": lambda _paths: None})

    def again(tenant: Tenant, run: Run, actor: str) -> None:
        run_window(tenant, as_request(run, actor))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "_rerun", again)
        patch.setattr(record, "lake", stale)
        yield


def run_with_what_follows(tenant: Tenant, request: RunRequest) -> None:
    run_window(tenant, request)
    run_queued(tenant, request.provider)


def quietly(_window: str, _step: str) -> None:
    """Progress that nobody watches."""


def disagreements(result: Score) -> list[str]:
    """What is wrong, a line each; empty when precision and recall are 1 everywhere."""
    reported = [
        f"{tally.kind}, {found.case}: {found.side} says {found.fact}; the other says {found.other}"
        for tally in result.tallies
        for found in tally.disagreements
    ]
    return reported if reported or result.is_perfect else ["a tally is short without saying why"]


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_the_engine_agrees_with_the_answer_key(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=80, windows=3)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_the_engine_agrees_with_the_answer_key_over_many_windows(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=220, windows=6)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50, 54))
def test_files_that_are_there_early_change_nothing(tmp_path: Path, seed: int) -> None:
    assert disagreements(scored(tmp_path, seed, movements=220, windows=6, all_files_first=True)) == []
