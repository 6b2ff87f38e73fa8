"""Which rows the models of a run of a bank account may see: the schema `bank` of its database, and what came before.

It sees every statement that was ingested, the payouts that published runs of providers report for the account, and what
its own earlier runs published. Does not belong here: what a run depends on (inputs), what of it counts and what the
models make of it (models of the folder `bank`).
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import settings, shipped_yaml, sql_text
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import visible_rows
from zentra_pipeline.reconcile.inputs import BankSide, RunInputs

_DECLARATIONS: Final = settings.DBT_PROJECT / "models" / "bank" / "_bank_sources.yml"
_OF_RUN: Final = ("provider", "run_sequence", "run_id", "run_revision")


def write(
    connection: duckdb.DuckDBPyConnection,
    inputs: RunInputs,
    bank: BankSide,
    tenant_root: Path,
    check: visible_rows.Check,
) -> None:
    """Make the tables and views of the schemas `bank`, `raw` and `earlier`; `check` hears of files before all else."""
    connection.execute("create schema bank")
    check(inputs.files)
    paths = [tenant_root / file.staged_path for file in inputs.files if file.staged_path]
    for table in staged_tables.BANK_TABLES:
        connection.execute(f"create view raw.{table} as {lake_files.bank_rows(table, paths)}")
    connection.execute(f"create view bank.payouts as {_payouts(bank)}")
    connection.execute(f"create table bank.edition ({columns('edition')})")
    connection.execute("insert into bank.edition values ($1)", [bank.edition])
    _write_terms(connection, bank)
    _write_seen_files(connection, inputs)
    for table in staged_tables.TABLE_OF_KIND.values():
        connection.execute(f"create view raw.{table} as {sql_text.empty(staged_tables.staged_columns(table))}")
    visible_rows.write_without_files(connection, inputs, tenant_root)


def write_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the same tables without rows in the database of a provider's run."""
    connection.execute("create schema bank")
    for table in _declared():
        connection.execute(f"create table bank.{table} ({columns(table)})")
    for table in staged_tables.BANK_TABLES:
        connection.execute(f"create view raw.{table} as {lake_files.bank_rows(table, [])}")


def _payouts(bank: BankSide) -> str:
    """A select of the payouts that runs of providers report, each with its provider and the place of its run."""
    if not bank.payouts:
        return sql_text.empty(columns("payouts"))
    names = ", ".join(f"published.{name}" for name in sql_text.column_types(columns("payouts")) if name not in _OF_RUN)
    definitions = lake_files.columns_sql("payouts")
    scan = sql_text.parquet_scan([source.path for source in bank.payouts], definitions, with_names=True)
    places = ", ".join(
        f"({sql_text.literal(str(source.path))}, {sql_text.literal(source.provider)}, {source.sequence}, "
        f"{sql_text.literal(source.run_id)}, {source.revision})"
        for source in bank.payouts
    )
    return (
        "select places.provider, cast(places.run_sequence as bigint) as run_sequence, places.run_id, "
        f"cast(places.run_revision as bigint) as run_revision, {names} from {scan} as published "
        f"inner join (values {places}) as places (filename, {', '.join(_OF_RUN)}) "
        "on published.filename = places.filename"
    )


def _write_terms(connection: duckdb.DuckDBPyConnection, bank: BankSide) -> None:
    for table in ("terms", "fee_tolerances"):
        connection.execute(f"create table bank.{table} ({columns(table)})")
    for terms in bank.terms:
        row = [
            terms.provider,
            terms.bank_lag_days,
            terms.bank_reference_pattern,
            terms.payout_grouping,
        ]
        connection.execute("insert into bank.terms values ($1, $2, $3, $4)", row)
        for tolerance in sorted(terms.bank_fee_tolerance_minor.items()):
            connection.execute("insert into bank.fee_tolerances values ($1, $2, $3)", [terms.provider, *tolerance])


def _write_seen_files(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> None:
    """Which files each earlier run of the account has read: it saw their lines up to its day."""
    connection.execute(f"create table bank.seen_files ({columns('seen_files')})")
    rows = ", ".join(
        f"({sequence}, {sql_text.literal(run.settlement_file)}, {run.sequence}, date '{run.ledger_window}')"
        for run in inputs.earlier
        for sequence in sorted(run.files)
    )
    if rows:
        connection.execute(f"insert into bank.seen_files values {rows}")


def days(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """The first days on which something was paid out or booked, as far as the run sees any."""
    found = connection.execute(
        "select min(paid_on) from bank.payouts union all select min(booked_on) from raw.bank_lines"
    ).fetchall()
    return [day for (day,) in found if day is not None]


def columns(table: str) -> str:
    """The column definitions of a table of the schema `bank`, as in `create table t (…)`."""
    return ", ".join(f"{name} {data_type}" for name, data_type in _declared()[table].items())


@cache
def _declared() -> dict[str, dict[str, str]]:
    (source,) = shipped_yaml.read(_DECLARATIONS)["sources"]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in source["tables"]
    }
