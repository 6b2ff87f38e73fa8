"""Every block of docs/guides/analysis.md runs on the demo's stories, and SQL, pandas and polars give the same rows."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.api.conftest import NOW
from zentra_pipeline import analysis
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.scenarios import operator_steps
from zentra_pipeline.scenarios.scenario import SCENARIOS, load_scenario
from zentra_pipeline.settings import DBT_PROJECT, Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

GUIDE = (DBT_PROJECT.parent / "docs" / "guides" / "analysis.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^## (\d+\. .+?)\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S))
STORIES = ("unmatched_provider_row", "late_callback_after_the_close", "normal_week")


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """acme after three of the demo's stories, decided and closed as they say."""
    home = Home.at(tmp_path_factory.mktemp("analysis") / "home")
    tenancy.init_home(home)
    made = tenancy.add_tenant(home, "acme", NOW)
    for name in STORIES:
        scenario = load_scenario(SCENARIOS / name)
        profile = made.paths.providers / f"{scenario.provider}.yml"
        profile.write_text(pd.Series(scenario.profile).to_json(), encoding="utf-8")
        for step in scenario.steps:
            if step.ingest is not None:
                scenario.ingest(made, step.ingest, NOW)
            elif step.run is not None:
                run_window(made, scenario.request(step.run))
            elif step.decide is not None:
                operator_steps.decide(made, scenario, step.decide, NOW)
            elif step.close is not None:
                operator_steps.close(made, scenario, step.close, NOW)
    return made


def rows(found: Any) -> list[dict[str, Any]]:
    """The rows of an answer in whatever it came, nulls as None, in an order of their own."""
    if isinstance(found, pd.DataFrame):
        records = found.to_dict("records")
    elif isinstance(found, pl.DataFrame):
        records = found.to_dicts()
    else:
        records = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    plain = [{name: None if pd.isna(value) else value for name, value in record.items()} for record in records]
    return sorted(plain, key=str)


@pytest.fixture(scope="module")
def names(tenant: Tenant) -> Mapping[str, Any]:
    """What the guide imports, answering in this process and each query once."""
    known: dict[str, pa.Table] = {}

    def table(_tenant: str, sql: str) -> pa.Table:
        if sql not in known:
            found = lake.query(tenant.paths, sql)
            columns = {name: [row[place] for row in found.rows] for place, name in enumerate(found.columns)}
            made = pa.table(
                {
                    name: pa.array(values, ARROW[found.types[place]])
                    for place, (name, values) in enumerate(columns.items())
                }
            )
            known[sql] = analysis._in_utc(made)
        return known[sql]

    return {"pl": pl, "table": table, "frame": lambda _tenant, sql: analysis.in_pandas(table(_tenant, sql))}


ARROW = {
    "BIGINT": pa.int64(),
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "BOOLEAN": pa.bool_(),
}


def test_there_are_ten_questions_each_answered_thrice() -> None:
    assert len(QUESTIONS) == 10
    for text in QUESTIONS.values():
        assert re.findall(r"^```(\w+)", text, re.M) == ["sql", "python", "python"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_sql_pandas_and_polars_answer_alike(tenant: Tenant, names: Mapping[str, Any], question: str) -> None:
    sql, in_pandas, in_polars = re.findall(r"^```\w+\n(.*?)^```", QUESTIONS[question], re.M | re.S)
    wanted = rows(lake.query(tenant.paths, sql))
    assert wanted, "the demo has rows for every question"
    for code, library in ((in_pandas, "pandas"), (in_polars, "polars")):
        known = dict(names)
        exec(compile(code, library, "exec"), known)  # noqa: S102 - our own guide
        assert rows(known["answer"]) == wanted, library
