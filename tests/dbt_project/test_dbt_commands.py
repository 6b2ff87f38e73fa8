"""The dbt project as developers use it: unit tests, a build in a kept run database, docs; not what SQL may say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import dbt_docs
from tests.support.built_project import built_bank, built_project, columns_built, project_nodes
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = [pytest.mark.ci, pytest.mark.xdist_group("built_project")]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kept run database of the test's own."""
    copy = tmp_path / built_project().database.name
    shutil.copyfile(built_project().database, copy)
    monkeypatch.setenv(dbt_project.DATABASE_VARIABLE, str(copy))
    return copy


def test_every_unit_test_holds(database: Path, tmp_path: Path) -> None:
    """Each in the database of a run that has what its model reads: of a provider, or of a bank account."""
    assert database.exists()
    of_bank = [f"test_type:unit,{name}" for name, node in project_nodes("model").items() if "bank" in node["tags"]]
    results = _unit_tests(tmp_path, "--select", "test_type:unit", "--exclude", *of_bank)
    shutil.copyfile(built_bank().database, database)
    results |= _unit_tests(tmp_path, "--select", *of_bank)
    assert {name: reported for name, reported in results.items() if reported[0] != "pass"} == {}
    assert results.keys() == project_nodes("unit_test").keys()


def _unit_tests(folder: Path, *selection: str) -> dict[str, tuple[str, str]]:
    """Status and message of each unit test of a selection."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    try:
        outcome: Any = dbtRunner().invoke(["test", *selection, "--quiet", *_folders(folder), "--log-level-file=none"])
    finally:
        DuckDBConnectionManager.close_all_connections()
    assert outcome.exception is None
    return {result.node.name: (str(result.status), result.message) for result in outcome.result}


def test_a_reconciliation_run_executes_no_unit_test_and_no_seed() -> None:
    """Every run pays for every node it executes."""
    assert built_project().compiled.keys().isdisjoint(project_nodes("unit_test"))
    assert built_project().compiled.keys().isdisjoint(project_nodes("seed"))


@pytest.mark.slow
def test_dbt_build_show_and_docs_work_in_a_kept_run_database(database: Path, tmp_path: Path) -> None:
    built = _dbt(database, tmp_path, "build")
    assert "ERROR=0" in built
    assert "PASS=0" not in built
    shown = _dbt(database, tmp_path, "show", "--select", "conservation")
    assert "rows_in" in shown
    page = dbt_docs.write(tmp_path / "docs").read_text(encoding="utf-8")
    assert "int_pass_exact_reference" in page
    assert "journal_of_the_month" in page


@pytest.mark.parametrize("kind", ["model", "seed", "source"])
def test_every_node_has_a_description(kind: str) -> None:
    assert [name for name, node in project_nodes(kind).items() if not node["description"].strip()] == []


def test_every_described_column_has_a_description_and_is_there() -> None:
    for name, node in {**project_nodes("model"), **project_nodes("source")}.items():
        for column in node["columns"].values():
            there = columns_built(node).get(column["name"])
            assert there == column["data_type"], f"{name}.{column['name']} is {there}, not {column['data_type']}"
            if node["resource_type"] == "model":
                assert column["description"], f"{name}.{column['name']} is not described"


def test_a_description_is_how_the_model_s_first_comment_begins() -> None:
    """Two places say what a model's rows are: the SQL for whoever reads it, the YAML for dbt's documentation."""
    for name, node in project_nodes("model").items():
        if node["original_file_path"].startswith("models/marts/"):
            continue
        comment = " ".join(
            line.removeprefix("--").strip() for line in node["raw_code"].splitlines() if line.startswith("--")
        ).removeprefix("Grain: ")
        described = node["description"].removesuffix(".")
        assert comment.lower().startswith(described.lower()), f"{name}: {described!r} is not how {comment!r} begins"


def test_every_model_states_its_grain_first() -> None:
    for name, node in project_nodes("model").items():
        assert node["raw_code"].startswith("-- Grain: "), f"{name} does not state its grain in its first line"


def test_layers_depend_downwards_only() -> None:
    layers = ["staging", "intermediate", "exceptions", "marts"]  # those of the bank stand in the places of others
    # The union of the exception models, and the rows of the digest, which an imbalance belongs to.
    above = {"int_exceptions_found", "int_input_rows"}
    nodes = {node["unique_id"]: node for node in project_nodes("model").values()}
    upwards = [
        (node["name"], nodes[parent]["name"])
        for node in nodes.values()
        for parent in node["depends_on"]["nodes"]
        if parent in nodes
        and "bank" not in {node["fqn"][1], nodes[parent]["fqn"][1]}
        and layers.index(nodes[parent]["fqn"][1]) > layers.index(node["fqn"][1])
    ]
    assert [(name, parent) for name, parent in upwards if name not in above] == []


def test_only_staging_reads_delivered_and_published_rows() -> None:
    """Everything above reads staging; a run's own small tables (scope, profile, calendar) are read where needed."""
    sources = {node["unique_id"]: name for name, node in project_nodes("source").items()}
    direct = [
        (name, sources[parent])
        for name, node in project_nodes("model").items()
        for parent in node["depends_on"]["nodes"]
        if node["fqn"][1] not in ("staging", "bank") and parent in sources and not sources[parent].startswith("run.")
    ]
    assert [(name, source) for name, source in direct if source != "earlier.runs"] == []


def test_yaml_names_no_model_that_is_gone() -> None:
    named = [
        model["name"]
        for path in (DBT_PROJECT / "models").rglob("_*.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    ]
    assert sorted(named) == sorted(project_nodes("model"))


def test_every_mart_but_what_only_runs_read_is_used_by_something_that_is_declared() -> None:
    """Whoever changes a mart sees in `dbt ls --select +exposure:*` who reads it."""
    used = {
        name.rpartition(".")[2]
        for exposure in dbt_project.manifest()["exposures"].values()
        for name in exposure["depends_on"]["nodes"]
    }
    marts = {name for name, node in project_nodes("model").items() if node["fqn"][1] == "marts"}
    assert marts - used == {"callback_states"}


def _folders(tmp_path: Path) -> list[str]:
    return [f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}", f"--target-path={tmp_path / 'target'}"]


def _dbt(database: Path, tmp_path: Path, *arguments: str) -> str:
    """Run dbt as a person would; its output. Fails the test when dbt fails."""
    dbt = Path(sys.executable).with_name("dbt")
    command = [str(dbt), *arguments, *_folders(tmp_path), f"--log-path={tmp_path / 'logs'}"]
    environment = {**os.environ, dbt_project.DATABASE_VARIABLE: str(database)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
