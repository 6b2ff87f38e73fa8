"""The tables that ingest stages, by kind of file, with their columns as the sources of the dbt project declare them."""

from functools import cache
from typing import Final

from zentra_pipeline import settings, shipped_yaml

TABLE_OF_KIND: Final = {
    "settlement": "settlement_lines",
    "ledger": "ledger_entries",
    "callbacks": "callbacks",
    "internal_events": "internal_events",
}
"""The tables that runs of providers read."""
BANK_KIND: Final = "bank_statement"
BANK_ROWS: Final = "bank_rows"
BANK_TABLES: Final = ("bank_statements", "bank_lines")
STAGED_BY_KIND: Final = {**TABLE_OF_KIND, BANK_KIND: BANK_ROWS}
"""Kind of file → the folder of its staged files; those of bank statements hold rows of both bank tables."""


def staged_columns(table: str) -> str:
    """The column definitions of a staged table, as in `create table t (…)`, from the sources of the dbt project."""
    return ", ".join(f"{name} {data_type}" for name, data_type in _staged_columns()[table].items())


@cache
def _staged_columns() -> dict[str, dict[str, str]]:
    content = shipped_yaml.read(settings.DBT_PROJECT / "models" / "staging" / "_sources.yml")
    (raw,) = (source for source in content["sources"] if source["name"] == "raw")
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]} for table in raw["tables"]
    }
