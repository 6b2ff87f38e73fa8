"""Makes the database that readers open: a commented view for each published table over what is stored of it.

The views and their comments are the same for every tenant and moment, so they are made once, as a template that is
copied; the schema `stored` behind them is filled again each time. Does not belong here: which rows there are (lake).
"""

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import durable_files, sql_text
from zentra_pipeline.published import declared_tables, operational_tables
from zentra_pipeline.published.operational_tables import OperationalTables

STORED: Final = "stored"


def write(file: Path, tables: OperationalTables, views: Mapping[str, str | None], template: Path | None = None) -> None:
    """Write the database of one moment to `file`: the tables copied, the views over the lake's files.

    Where a view is null the template's empty table is left.

    `template` is where the part that does not change is kept from one time to the next; null keeps it nowhere.
    """
    file.write_bytes(_kept(template))
    with duckdb.connect(config={"fsync_mode": "NONE"}) as connection:
        connection.execute(f"attach {sql_text.literal(str(file))} as catalog (storage_version 'v1.0.0')")
        connection.execute(f"use catalog.{STORED}")
        connection.execute("begin")
        published = declared_tables.tables()
        for name in operational_tables.COLUMNS:
            if name in published:
                connection.execute(f"drop table {STORED}.{name}")
        operational_tables.create(connection, tables, f"catalog.{STORED}")
        for name, definition in views.items():
            if definition is None:
                continue
            connection.execute(f"drop table {STORED}.{name}")
            connection.execute(f"create view {STORED}.{name} as {definition}")
        connection.execute("commit")
        connection.execute("use memory.main")
        connection.execute("detach catalog")


def template_name() -> str:
    """The file name of the template; another release, with other tables or comments, has another."""
    return f".catalog-{declared_tables.digest()[:16]}.template"


def _kept(template: Path | None) -> bytes:
    if template is None:
        return _template()
    try:
        return template.read_bytes()
    except FileNotFoundError:
        content = _template()
        partial = template.with_suffix(".partial")
        partial.write_bytes(content)
        durable_files.rename_durably(partial, template)
        for other in template.parent.glob(".catalog-*.template"):
            if other != template:
                other.unlink(missing_ok=True)
        return content


@cache
def _template() -> bytes:
    """A database with every view and comment, and empty tables behind them."""
    with tempfile.TemporaryDirectory(prefix="zentra-catalog-") as folder:
        file = Path(folder) / "template.duckdb"
        with duckdb.connect(config={"fsync_mode": "NONE"}) as connection:
            connection.execute(f"attach {sql_text.literal(str(file))} as catalog (storage_version 'v1.0.0')")
            connection.execute("use catalog.main")
            connection.execute(f"create schema {STORED}")
            connection.execute("begin")
            for table in declared_tables.tables().values():
                columns = ", ".join(f'"{name}" {column.data_type}' for name, column in table.columns.items())
                connection.execute(f"create table {STORED}.{table.name} ({columns})")
                names = ", ".join(f'"{name}"' for name in table.columns)
                connection.execute(f"create view {table.name} as select {names} from {STORED}.{table.name}")
                connection.execute(f"comment on view {table.name} is {sql_text.literal(table.description)}")
                for name, column in table.columns.items():
                    described = sql_text.literal(column.description)
                    connection.execute(f'comment on column {table.name}."{name}" is {described}')
            connection.execute("commit")
            connection.execute("use memory.main")
            connection.execute("detach catalog")
        return file.read_bytes()
