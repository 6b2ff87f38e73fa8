"""`ZENTRA_MEMORY` is what a run's process may take, of which DuckDB gets what is left beside it."""

import pytest

from zentra_pipeline import settings


@pytest.mark.parametrize(
    ("wanted", "limit"),
    [
        ("2GB", "1700000KB"),
        ("1 gb", "700000KB"),
        ("1GiB", "773742KB"),
        ("600MB", "300000KB"),
        ("200MB", "100000KB"),
        ("50%", "50%"),
        (None, "80%"),
    ],
)
def test_what_the_process_needs_beside_duckdb_is_taken_off(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, limit: str
) -> None:
    monkeypatch.delenv(settings.MEMORY_VARIABLE, raising=False)
    if wanted is not None:
        monkeypatch.setenv(settings.MEMORY_VARIABLE, wanted)
    assert settings.memory_limit() == limit
