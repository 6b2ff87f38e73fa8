"""What is said in two places says the same: contracts, schemas, tables, seeds. Exception types have their own file."""

import csv
from collections.abc import Iterator

import polars as pl
import pytest
import yaml

from tests.support.built_project import built_project, project_nodes
from zentra_pipeline.contracts import CONTRACTS, schemas, staged_tables
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.identifiers import FILE_KINDS, PROVIDER_KINDS
from zentra_pipeline.ingest import staging
from zentra_pipeline.published import lake_files
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = pytest.mark.xdist_group("built_project")

DUCKDB_TYPES = {
    pl.String(): "varchar",
    pl.Int64(): "bigint",
    pl.Datetime("us"): "timestamp",
    pl.Date(): "date",
    pl.Boolean(): "boolean",
}
OF_PROVIDERS = [contract for contract in CONTRACTS.values() if not contract.parts]
OF_BANKS = [part for contract in CONTRACTS.values() for _, part in contract.parts]


@pytest.mark.parametrize("contract", OF_PROVIDERS, ids=lambda contract: contract.table)
def test_a_staged_table_is_the_same_in_contract_schema_yaml_and_database(contract: Contract) -> None:
    columns = {name: DUCKDB_TYPES[data_type] for name, data_type in contract.staged_types().items()}
    assert list(schemas.staged(contract).columns) == list(columns)
    assert staged_tables.staged_columns(contract.table) == ", ".join(f"{name} {kind}" for name, kind in columns.items())
    assert list(built_project().columns[f"raw.{contract.table}"].items()) == list(columns.items())


@pytest.mark.parametrize("contract", OF_BANKS, ids=lambda contract: contract.table)
def test_a_table_of_bank_statements_is_the_same_in_contract_schema_and_yaml(contract: Contract) -> None:
    columns = {name: DUCKDB_TYPES[data_type] for name, data_type in contract.staged_types().items()}
    assert list(schemas.staged(contract).columns) == list(columns)
    assert staged_tables.staged_columns(contract.table) == ", ".join(f"{name} {kind}" for name, kind in columns.items())
    assert contract.table in staged_tables.BANK_TABLES


def test_quarantine_is_the_same_where_it_is_written_and_where_it_is_read() -> None:
    columns = {name: DUCKDB_TYPES[data_type] for name, data_type in staging.QUARANTINE_COLUMNS.items()}
    assert staged_tables.staged_columns(staging.QUARANTINE) == ", ".join(
        f"{name} {kind}" for name, kind in columns.items()
    )
    assert list(built_project().columns["raw.quarantine"].items()) == list(columns.items())


def test_every_input_kind_has_a_contract_and_a_table() -> None:
    assert {contract.kind: contract.table for contract in CONTRACTS.values()} == staged_tables.STAGED_BY_KIND
    assert tuple(staged_tables.STAGED_BY_KIND) == FILE_KINDS
    assert tuple(staged_tables.TABLE_OF_KIND) == PROVIDER_KINDS


def test_a_run_s_own_tables_are_the_ones_the_sources_declare() -> None:
    """Every source exists, and where its columns are declared they are all there is."""
    built = built_project().columns
    declared = project_nodes("source")
    assert {name for name in built if name.split(".")[0] in ("run", "raw", "earlier", "bank")} == declared.keys()
    for name, node in declared.items():
        if node["columns"]:
            assert {column["name"]: column["data_type"] for column in node["columns"].values()} == built[name], name


def test_marts_are_the_tables_the_lake_publishes_column_by_column() -> None:
    marts = {
        name for name, node in project_nodes("model").items() if node["original_file_path"].startswith("models/marts/")
    }
    assert marts == set(lake_files.ROW_ORDER)
    for mart in marts:
        built = built_project().columns[f"zentra.{mart}"]
        assert lake_files.columns_sql(mart) == ", ".join(f"{name} {kind}" for name, kind in built.items())
        assert {key.split()[0] for key in lake_files.ROW_ORDER[mart].split(", ")} <= built.keys()


def test_earlier_rows_are_published_rows_and_the_run_s_place() -> None:
    for name, columns in built_project().columns.items():
        if name.startswith("earlier.") and name not in ("earlier.runs", "earlier.ledger_files"):
            published = built_project().columns[f"zentra.{name.removeprefix('earlier.')}"]
            assert columns == {**published, "run_sequence": "bigint"}, name


def test_seeds_have_the_columns_their_yaml_declares() -> None:
    for name, node in project_nodes("seed").items():
        with (DBT_PROJECT / node["original_file_path"]).open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader(lines))
        assert header == list(node["config"]["column_types"]) == list(node["columns"]), name


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
