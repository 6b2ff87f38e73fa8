"""What readers find: every published table and column with its type and meaning, from the YAML that declares them.

Marts and staged rows are declared in the dbt project, the rest in tables_beside_the_marts.yml. Does not belong here:
rows.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import settings, shipped_yaml, sql_text
from zentra_pipeline.published import lake_files, lake_views

DECLARATIONS: Final = Path(__file__).with_name("tables_beside_the_marts.yml")
# What readers find in these tables of what runs of bank accounts say.
_OF_THE_BANK: Final = {"payouts": "of_the_bank", "run_metrics": "rules_of_the_bank"}
_TENANT: Final = {"name": "tenant_id", "data_type": "varchar", "description": "Tenant the row belongs to."}


@dataclass(frozen=True)
class Column:
    """A column's DuckDB type and what it holds, in a sentence."""

    data_type: str
    description: str


@dataclass(frozen=True)
class DeclaredTable:
    """A table as readers find it: what one row is, and its columns in order."""

    name: str
    description: str
    columns: Mapping[str, Column]


@cache
def tables() -> dict[str, DeclaredTable]:
    """Every published table by name, in the order in which documentation lists them."""
    declared = shipped_yaml.read(DECLARATIONS)
    models = {model["name"]: model for model in lake_files.mart_declarations()}
    sources = shipped_yaml.read(settings.DBT_PROJECT / "models" / "staging" / "_sources.yml")["sources"]
    found = {
        table["name"]: _table(table["name"], table["description"], table["columns"]) for table in declared["tables"]
    }
    for name in (name for name in lake_files.ALL_ROW_ORDERS if name not in lake_views.INTERNAL):
        own = models[name]["columns"]
        named = {column["name"] for column in own}
        added = [column for column in declared["of_the_run"] if column["name"] not in named]
        resolved = declared["resolved"] if name == "exceptions" else []
        of_the_bank = declared[_OF_THE_BANK[name]] if name in _OF_THE_BANK else []
        columns = [*own, *added, *of_the_bank, *(column for column in resolved if column["name"] not in named)]
        found[name] = _table(name, models[name]["description"], columns)
        if name == "open_items":
            about = "An item open in the newest run of its provider that could see it, of its window or a later one."
            found["open_items_now"] = _table("open_items_now", about, columns)
        if name in lake_views.AS_CLOSED:
            about = f"A row of {name} as it was when a closeout was sealed."
            found[f"{name}_as_closed"] = _table(f"{name}_as_closed", about, [*declared["as_closed"], *columns])
    (raw,) = (source for source in sources if source["name"] == "raw")
    for table in raw["tables"]:
        found[table["name"]] = _table(table["name"], table["description"], [_TENANT, *table["columns"]])
    return found


def no_rows(name: str) -> str:
    """A select without rows of a published table's columns."""
    columns = tables()[name].columns
    return sql_text.empty(", ".join(f"{column} {declared.data_type}" for column, declared in columns.items()))


@cache
def digest() -> str:
    """Hex SHA-256 over all that is said here: other tables, columns or descriptions have another."""
    content = {
        name: [table.description, {key: vars(column) for key, column in table.columns.items()}]
        for name, table in tables().items()
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _table(name: str, description: str, columns: list[dict[str, Any]]) -> DeclaredTable:
    return DeclaredTable(
        name,
        " ".join(description.split()),
        {column["name"]: Column(column["data_type"], " ".join(column["description"].split())) for column in columns},
    )


def reference() -> str:
    """The tables and their columns as Markdown, the second half of docs/guides/tables.md."""
    lines = ["## Every table and column"]
    for table in tables().values():
        if table.name.endswith("_as_closed"):
            continue
        lines += [
            "",
            f"### `{table.name}`",
            "",
            table.description,
            "",
            "| column | type | what it holds |",
            "|---|---|---|",
        ]
        for name, column in table.columns.items():
            lines.append(f"| `{name}` | {column.data_type} | {column.description.replace('|', chr(92) + '|')} |")
    closed = ", ".join(f"`{name}`" for name in tables() if name.endswith("_as_closed"))
    about = "each row as it was when a closeout was sealed: the columns of the table without `_as_closed`, after"
    lines += ["", "### As closed", "", f"{closed}: {about} `closeout_id`, the closeout that sealed it."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
