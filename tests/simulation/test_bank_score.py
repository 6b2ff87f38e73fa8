"""The engine is right about every payout, match, break and balance of a bank's world, in whatever order files come."""

from pathlib import Path

import pytest

from tests.simulation.test_engine_score import quietly
from zentra_pipeline.identifiers import account_of
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_queued, run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.simulation.bank import replay as bank
from zentra_pipeline.simulation.bank.world import build_bank_world
from zentra_pipeline.simulation.bank.write import write_bank_world
from zentra_pipeline.simulation.replay import Row
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

SLOW_SEEDS = range(2, 51)


def run_with_what_follows(tenant: Tenant, request: RunRequest) -> None:
    run_window(tenant, request)
    if account_of(request.provider) is not None:  # a provider's run is followed by that of the account
        run_queued(tenant, request.provider)


def replayed(folder: Path, seed: int, *, turned_round: bool = False) -> dict[str, list[Row]]:
    """What the runs of a seed's world publish; `turned_round`: the bank's files of a day come in the other order."""
    write_bank_world(build_bank_world(seed, 36, windows=7), folder / "world")
    home = Home.at(folder / "home")
    order = {"in_order": lambda files: files[::-1]} if turned_round else {}
    return bank.replay(folder / "world", home, run_with_what_follows, quietly, **order)


def disagreements(folder: Path, published: dict[str, list[Row]]) -> list[str]:
    score = bank.score(folder / "world", published)
    return [
        f"{tally.kind}: {each.side} says {each.fact} ({each.case}), the other {each.other}"
        for tally in score.tallies
        for each in tally.disagreements
    ]


def test_precision_and_recall_are_one_whatever_the_order_of_the_bank_s_files(tmp_path: Path) -> None:
    published = replayed(tmp_path / "given", 1)
    assert disagreements(tmp_path / "given", published) == []
    assert replayed(tmp_path / "turned", 1, turned_round=True) == published


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_precision_and_recall_are_one_over_fifty_seeds(tmp_path: Path, seed: int) -> None:
    assert disagreements(tmp_path, replayed(tmp_path, seed)) == []
