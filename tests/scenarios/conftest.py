"""Keeps the tests of a module on one worker, where they share a world and its runs. Shipped scenarios spread."""

from pathlib import Path

import pytest

_INDEPENDENT = {"test_shipped_scenarios"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem not in _INDEPENDENT:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
