"""Plays every shipped scenario and compares every table it expects, row by row, with what is published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import window_run
from zentra_pipeline.scenarios import operator_steps
from zentra_pipeline.scenarios.scenario import ExpectedTable, Run, Scenario, load_scenario, scenario_folders
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.sources.registry import formats_of
from zentra_pipeline.sql_text import statement
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 5, 31, tzinfo=UTC)
OF_FORMATS = (
    *(
        "amazon_settlement",
        "bai2_report",
        "braintree_batch",
        "checkout_payout",
        "gocardless_payout",
        "mollie_settlement",
    ),
    *("mt940_statement", "nacha_returns", "ofx_statement", "paypal_report", "square_payout", "tabular_wise"),
)
"""Stories of one window whose point is a provider's format: `make test-all` plays them, `make test` the others."""


def _played() -> list[Any]:
    return [
        pytest.param(folder, id=folder.name, marks=[pytest.mark.slow] if folder.name in OF_FORMATS else [])
        for folder in scenario_folders()
    ]


@pytest.mark.parametrize("folder", _played())
def test_scenario_publishes_what_its_story_says(folder: Path, tmp_path: Path) -> None:
    scenario = load_scenario(folder)
    home = Home.at(tmp_path)
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, scenario.tenant, NOW)
    scenario.write_profiles(tenant.paths)
    for step in scenario.steps:
        if step.ingest is not None:
            scenario.ingest(tenant, step.ingest, NOW)
        elif step.run is not None:
            _run(tenant, scenario, step.run)
        elif step.decide is not None:
            assert operator_steps.decide(tenant, scenario, step.decide, NOW) is not None
        elif step.close is not None:
            assert operator_steps.close(tenant, scenario, step.close, NOW).status == "sealed"
        elif step.expect is not None:
            _compare(tenant.paths, scenario, step.expect)


def test_every_format_has_a_story_of_its_own() -> None:
    """The camt of a closed day stands for its two sisters; every other format is read in some story."""
    read = {load_scenario(folder).settings.settlement_format for folder in scenario_folders()}
    assert set(formats_of("settlement")) - read == {"camt052", "camt054"}
    assert set(OF_FORMATS) < {folder.name for folder in scenario_folders()}


def test_every_scenario_ends_with_what_it_expects() -> None:
    for folder in scenario_folders():
        assert load_scenario(folder).steps[-1].expect is not None, folder.name


def test_every_scenario_gives_its_expected_tables() -> None:
    for folder in scenario_folders():
        assert (folder / "README.md").read_text(encoding="utf-8").startswith("# "), folder.name


def _run(tenant: Tenant, scenario: Scenario, run: Run) -> None:
    result = window_run.run_window(tenant, scenario.request(run))
    window_run.run_queued(tenant, result.run.provider)


def _compare(paths: TenantPaths, scenario: Scenario, moment: str) -> None:
    expected = scenario.expected(moment)
    published = [_published(paths, table) for table in expected]
    for each, found in zip(expected, published, strict=True):
        assert found.columns == each.columns, f"{moment}/{each.table}"
        assert list(found.rows) == list(each.rows), f"{moment}/{each.table}"


def _published(paths: TenantPaths, expected: ExpectedTable) -> ExpectedTable:
    answer = lake.query(paths, statement("scenarios", expected.table))
    rows = [tuple("" if value is None else str(value) for value in row) for row in answer.rows]
    return ExpectedTable(expected.table, tuple(answer.columns), tuple(sorted(rows)))
