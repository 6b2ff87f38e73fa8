"""A station of the test's own, and the receiver it sends to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import acme, zentra
from tests.webhooks.station import Counterpart, Station, counterpart, make_station

__all__ = ["acme", "receiver", "station", "zentra"]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A home with a tenant and an empty log."""
    return make_station(tmp_path)


@pytest.fixture
def receiver() -> Iterator[Counterpart]:
    """A scripted receiver on this machine."""
    with counterpart() as made:
        yield made
