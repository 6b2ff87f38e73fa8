"""Whatever is launched here is materialized in Dagster, as the product does it; no claim is made here."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _in_dagster(dagster_as_shipped: None) -> None:
    """Dagster's own log is looked at."""
