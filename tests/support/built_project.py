"""The dbt project built once per process in the database of a run without rows: its compiled SQL and its columns.

Does not belong here: what is expected of them.
"""

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from zentra_pipeline.config.profile import Profile, of_bank_account
from zentra_pipeline.ledger_windows import BusinessDays
from zentra_pipeline.reconcile import dbt_execute, dbt_project, run_database, run_kinds
from zentra_pipeline.reconcile.inputs import BankSide, RunInputs

_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@dataclass(frozen=True)
class BuiltProject:
    """A run's database after the run; `columns`: `<schema>.<relation>` → column → type; `compiled`: node → its SQL."""

    database: Path
    columns: dict[str, dict[str, str]]
    compiled: dict[str, str]


@cache
def built_project() -> BuiltProject:
    """Prepare the database as a run does and build every model in it."""
    folder = tempfile.TemporaryDirectory(prefix="zentra-built-")
    _KEPT.append(folder)
    run = Path(folder.name) / "run"
    with run_database.run_database(_inputs(), run, Path(folder.name), keep=True) as connection:
        dbt_execute.build(connection)
    database = run / run_database.DATABASE_NAME
    compiled = {statement.name: statement.sql for statement in dbt_project.statements()}
    return BuiltProject(database, _columns(database), compiled)


@cache
def built_bank() -> BuiltProject:
    """The same of a run of a bank account; what is in the place of another model has its name in `columns`."""
    folder = tempfile.TemporaryDirectory(prefix="zentra-built-bank-")
    _KEPT.append(folder)
    run = Path(folder.name) / "run"
    inputs = replace(_inputs(), provider="bank:A1", profile=of_bank_account(), bank=BankSide("A1"))
    with run_database.run_database(inputs, run, Path(folder.name), keep=True) as connection:
        dbt_execute.build(connection, kind=run_kinds.BANK)
    database = run / run_database.DATABASE_NAME
    compiled = {statement.name: statement.sql for statement in dbt_project.statements(run_kinds.BANK)}
    return BuiltProject(database, _columns(database), compiled)


def columns_built(node: dict[str, Any]) -> dict[str, str]:
    """Column → type of what a model or source is in the database of a run that has it."""
    if "bank" not in node["tags"] and node.get("source_name") != "bank" and not node["name"].startswith("bank_"):
        return built_project().columns[f"{node['schema']}.{node['name']}"]
    name = node["config"].get("meta", {}).get("instead_of", node["name"])
    return built_bank().columns[f"{node['schema']}.{name}"]


def project_nodes(resource_type: str) -> dict[str, dict[str, Any]]:
    """Nodes of one type (model, test, seed, unit_test, source) by name; a source is `<source>.<table>`."""
    content = dbt_project.manifest()
    if resource_type == "source":
        return {f"{node['source_name']}.{node['name']}": node for node in content["sources"].values()}
    nodes = content["unit_tests"] if resource_type == "unit_test" else content["nodes"]
    return {node["name"]: node for node in nodes.values() if node["resource_type"] == resource_type}


def _inputs() -> RunInputs:
    return RunInputs(
        tenant="acme",
        provider="rail_primary",
        run_id="run_built",
        settlement_file="set_2026_04_26",
        ledger_window=date(2026, 4, 26),
        as_of=datetime(2026, 4, 27, 1, tzinfo=UTC),
        owner="finance_ops",
        profile=Profile(),
        routing=[],
        business_days=BusinessDays(),
        files=[],
        earlier=[],
    )


def _columns(database: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(
            "select schema_name || '.' || table_name, column_name, lower(data_type) from duckdb_columns() "
            "where not internal order by 1, column_index"
        ).fetchall()
    for relation, column, data_type in rows:
        found.setdefault(relation, {})[column] = data_type
    return found
