"""Where console and Dagster are reached is said by the environment, and by nothing where it says nothing."""

import pytest

from zentra_pipeline import settings
from zentra_pipeline.errors import UsageError


def test_pages_are_below_the_address_that_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZENTRA_CONSOLE_URL", raising=False)
    assert settings.console_url("runs", "run_1") is None
    monkeypatch.setenv("ZENTRA_CONSOLE_URL", "https://zentra.example.com/console/")
    assert settings.console_url("runs", "run_1") == "https://zentra.example.com/console/runs/run_1"
    monkeypatch.setenv("ZENTRA_DAGSTER_URL", "http://127.0.0.1:3000")
    assert settings.dagster_url("runs?q=1") == "http://127.0.0.1:3000/runs?q=1"


@pytest.mark.parametrize("wrong", ["zentra.example.com", "javascript:alert(1)", "https://a\nb"])
def test_an_address_that_is_none_is_misuse(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("ZENTRA_CONSOLE_URL", wrong)
    with pytest.raises(UsageError, match="ZENTRA_CONSOLE_URL"):
        settings.console_url("runs")
