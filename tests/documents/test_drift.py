"""What is said in two places says the same: contracts and tables, types and what they need."""

import csv
import re
from collections.abc import Iterator

import polars as pl
import pytest
import yaml

from tests.support.built_project import built_project, project_nodes
from zentra_pipeline import vocabulary
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.contracts import CONTRACTS, schemas, staged_tables
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.ingest import staging
from zentra_pipeline.published import lake
from zentra_pipeline.settings import DBT_PROJECT
from zentra_pipeline.vocabulary import ExceptionType

pytestmark = pytest.mark.xdist_group("built_project")

ROOT = DBT_PROJECT.parent
PAGES = ROOT / "docs" / "exceptions"
SECTIONS = (
    "What it lists",
    "Why it matters",
    "How it is found",
    "An example",
    "What to do",
    "What clears it",
)
DUCKDB_TYPES = {pl.String(): "varchar", pl.Int64(): "bigint", pl.Datetime("us"): "timestamp", pl.Boolean(): "boolean"}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.table)
def test_a_staged_table_is_the_same_in_contract_schema_yaml_and_database(contract: Contract) -> None:
    columns = {name: DUCKDB_TYPES[data_type] for name, data_type in contract.staged_types().items()}
    assert list(schemas.staged(contract).columns) == list(columns)
    assert staged_tables.staged_columns(contract.table) == ", ".join(f"{name} {kind}" for name, kind in columns.items())
    assert list(built_project().columns[f"raw.{contract.table}"].items()) == list(columns.items())


def test_quarantine_is_the_same_where_it_is_written_and_where_it_is_read() -> None:
    columns = {name: DUCKDB_TYPES[data_type] for name, data_type in staging.QUARANTINE_COLUMNS.items()}
    assert staged_tables.staged_columns(staging.QUARANTINE) == ", ".join(
        f"{name} {kind}" for name, kind in columns.items()
    )
    assert list(built_project().columns["raw.quarantine"].items()) == list(columns.items())


def test_every_input_kind_has_a_contract_and_a_table() -> None:
    assert {contract.kind: contract.table for contract in CONTRACTS.values()} == staged_tables.TABLE_OF_KIND


def test_a_run_s_own_tables_are_the_ones_the_sources_declare() -> None:
    """Every source exists, and where its columns are declared they are all there is."""
    built = built_project().columns
    declared = project_nodes("source")
    assert {name for name in built if name.split(".")[0] in ("run", "raw", "earlier")} == declared.keys()
    for name, node in declared.items():
        if node["columns"]:
            assert {column["name"]: column["data_type"] for column in node["columns"].values()} == built[name], name


def test_marts_are_the_tables_the_lake_publishes_column_by_column() -> None:
    marts = {
        name for name, node in project_nodes("model").items() if node["original_file_path"].startswith("models/marts/")
    }
    assert marts == set(lake.ROW_ORDER)
    for mart in marts:
        built = built_project().columns[f"zentra.{mart}"]
        assert lake.columns_sql(mart) == ", ".join(f"{name} {kind}" for name, kind in built.items())
        assert {key.split()[0] for key in lake.ROW_ORDER[mart].split(", ")} <= built.keys()


def test_earlier_rows_are_published_rows_and_the_run_s_place() -> None:
    for name, columns in built_project().columns.items():
        if name.startswith("earlier.") and name != "earlier.runs":
            published = built_project().columns[f"zentra.{name.removeprefix('earlier.')}"]
            assert columns == {**published, "run_sequence": "bigint"}, name


def test_seeds_have_the_columns_their_yaml_declares() -> None:
    for name, node in project_nodes("seed").items():
        with (DBT_PROJECT / node["original_file_path"]).open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader(lines))
        assert header == list(node["config"]["column_types"]) == list(node["columns"]), name


def type_names() -> list[str]:
    """Every type of the vocabulary: it has a model, unit tests, a page and a scenario."""
    return [row.exception_type for row in vocabulary.exception_types()]


def exception_models() -> dict[str, str]:
    """Type → compiled SQL of its model."""
    compiled = built_project().compiled
    return {name.removeprefix("exc_"): sql for name, sql in compiled.items() if name.startswith("exc_")}


def test_every_exception_type_has_a_model_and_every_model_a_type() -> None:
    assert exception_models().keys() == set(type_names())


def test_a_model_speaks_of_the_type_in_its_name_only() -> None:
    for name, sql in exception_models().items():
        assert set(re.findall(r"'(\w+)' as exception_type", sql)) == {name}


def test_every_exception_model_is_collected() -> None:
    collected = project_nodes("model")["int_exceptions_found"]["depends_on"]["nodes"]
    assert {node.removeprefix("model.zentra.exc_") for node in collected} == set(type_names())


def test_exception_models_have_the_same_columns() -> None:
    columns = [list(built_project().columns[f"zentra.exc_{name}"].items()) for name in type_names()]
    assert all(each == columns[0] for each in columns)


@pytest.mark.parametrize("name", type_names())
def test_unit_tests_show_that_a_type_fires_and_that_it_does_not(name: str) -> None:
    tests = [test for test in project_nodes("unit_test").values() if test["model"] == f"exc_{name}"]
    fires = [test["name"] for test in tests if test["expect"]["rows"]]
    stays_silent = [test["name"] for test in tests if not test["expect"]["rows"]]
    assert fires
    assert all(test.startswith(f"{name}_fires_") for test in fires)
    assert stays_silent
    assert all(test.startswith(f"{name}_does_not_fire_") for test in stays_silent)


@pytest.mark.parametrize("row", vocabulary.exception_types(), ids=lambda row: row.exception_type)
def test_a_page_says_what_the_vocabulary_says_and_answers_six_questions(row: ExceptionType) -> None:
    page = (PAGES / f"{row.exception_type}.md").read_text(encoding="utf-8")
    lines = page.splitlines()
    assert lines[0] == f"# {row.title}"
    days = "1 business day" if row.sla_business_days == 1 else f"{row.sla_business_days} business days"
    closing = "blocks a close" if row.is_blocking else "does not block a close"
    assert (
        lines[2] == f"`{row.exception_type}` · severity {row.severity} · lane `{row.lane}` · due in {days} · {closing}"
    )
    assert tuple(line.removeprefix("## ") for line in lines if line.startswith("## ")) == SECTIONS
    assert f"`exc_{row.exception_type}`" in page


@pytest.mark.parametrize("name", type_names())
def test_a_page_s_remedies_are_words_of_the_vocabulary(name: str) -> None:
    advice = (PAGES / f"{name}.md").read_text(encoding="utf-8").partition("## What to do")[2]
    columns = (
        built_project().columns["zentra.exceptions"].keys() | built_project().columns["raw.settlement_lines"].keys()
    )
    known = {*vocabulary.values("resolution"), *type_names(), *Profile.model_fields, *columns}
    assert set(re.findall(r"`(\w+)`", advice)) <= known


def test_the_list_of_pages_is_the_vocabulary() -> None:
    listed = [
        f"| [{row.title}]({row.exception_type}.md) | `{row.exception_type}` | {row.severity} | `{row.lane}` "
        f"| {row.sla_business_days} | {'yes' if row.is_blocking else 'no'} |"
        for row in vocabulary.exception_types()
    ]
    index = (PAGES / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in index if line.startswith("| [")] == listed
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *type_names()}


@pytest.mark.parametrize("name", type_names())
def test_a_shipped_scenario_expects_the_type(name: str) -> None:
    expected = []
    for path in (ROOT / "data" / "scenarios").glob("*/expected/**/exceptions*.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            expected += [row["exception_type"] for row in csv.DictReader(lines)]
    assert name in expected


def test_dbt_yaml_holds_no_unquoted_date() -> None:
    """A date that is not quoted becomes a date, which dbt cannot keep in its manifest."""
    for path in (DBT_PROJECT / "models").rglob("_*.yml"):
        dated = [
            value for value in _scalars(yaml.safe_load(path.read_text(encoding="utf-8"))) if hasattr(value, "isoformat")
        ]
        assert dated == [], f"{path.name}: quote {dated}"


def _scalars(content: object) -> Iterator[object]:
    if isinstance(content, dict):
        content = [*content.keys(), *content.values()]
    if isinstance(content, list):
        for item in content:
            yield from _scalars(item)
    else:
        yield content
