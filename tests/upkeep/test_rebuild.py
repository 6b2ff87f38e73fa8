"""`zentra rebuild` makes staged files, lake and catalog again from landed bytes and ops.db, and nothing else."""

import json
import shutil
from collections.abc import Callable

import pytest

from tests.scenarios.world import TENANT
from tests.upkeep.conftest import Copy
from zentra_pipeline import lake, transform
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.upkeep.rebuild import EQUAL, RULES_CHANGED, UNEXPLAINED, rebuild


def test_everything_derived_comes_back_byte_for_byte_from_landing_and_store_alone(copy: Copy) -> None:
    before = copy.derived()
    answer = lake.query(copy.paths, "select * exclude (candidates) from exceptions order by all")
    assert len(before) > 40
    for folder in (copy.paths.staged, copy.paths.lake):
        shutil.rmtree(folder)
    copy.paths.catalog.unlink()
    outcome = rebuild(copy.home, TENANT)
    assert {item.verdict for item in outcome.revisions} == {EQUAL}
    assert len(outcome.revisions) == len(copy.records.revisions) == 4
    assert (outcome.refused, outcome.lost, outcome.holds) == (None, (), True)
    assert copy.derived() == before
    assert lake.query(copy.paths, "select * exclude (candidates) from exceptions order by all") == answer
    assert copy.paths.catalog.is_file()
    assert not (copy.paths.root / "rebuild").exists()
