"""The files of published tables: immutable Parquet, written whole or not at all; what readers find: lake, lake_views.

A run's marts go to new files (temporary name, fsync, rename); the operational store then records the revision, which is
the commit. Does not belong here: computing anything that is published.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline import blobs, durable_files, identifiers, private_database, settings, shipped_yaml, sql_text
from zentra_pipeline.published import schema_before
from zentra_pipeline.settings import TenantPaths

# The order of rows in a published file: total, so that the same rows are the same bytes.
ROW_ORDER: Final[Mapping[str, str]] = {
    "matches": "match_id, status",
    "match_legs": "match_id, leg_type, leg_id",
    "three_way": "provider_reference, transaction_id, line_id, provider_event_id, currency, match_id",
    "exceptions": "exception_id",
    "ledger_search": "exception_id, rule",
    "open_items": "item_type, item_id, currency",
    "write_offs": "item_type, item_id, currency",
    "conservation": "side, currency",
    "rollforward": "currency",
    "run_metrics": "currency",
    "restatements": "line_id",
    "payouts": "payout_id",
    "callback_states": "provider_event_id",
    "evidence_items": "provider_reference, settlement_file, ledger_entry, line_id, transaction_id, currency, "
    "provider_event_id",
}
# What runs of a bank account publish instead of, or beside, what other runs do (ADR 0061).
_BANK_ONLY: Final[Mapping[str, str]] = {
    "payout_states": "payout_provider, payout_id, currency",
    "cash_in_transit": "payout_provider, currency",
    "account_balances": "currency",
}
_PROVIDER_ONLY: Final = frozenset({"payouts"})
# Tables that a run of a bank account publishes in the words of the bank, and the model that has them so.
_RELATIONS_OF_BANK: Final[Mapping[str, str]] = {"conservation": "bank_conservation"}
ROW_ORDER_OF_BANK: Final[Mapping[str, str]] = {
    **{name: order for name, order in ROW_ORDER.items() if name not in _PROVIDER_ONLY},
    **_BANK_ONLY,
}
ALL_ROW_ORDERS: Final[Mapping[str, str]] = {**ROW_ORDER, **_BANK_ONLY}
_MART_FILES: Final = ("marts/_marts.yml", "bank/_bank_marts.yml")
# What every published row says beside its mart's columns: whose it is, and the window of the run it names.
_OF_THE_RUN: Final = {"tenant_id": "varchar", "provider": "varchar", "ledger_window": "date"}
# Sorting and writing a file keeps one core busy; the second table is written beside the first.
_WRITERS: Final = 2


@dataclass(frozen=True)
class PublishedFile:
    """One published file: its path relative to the tenant's folder, rows, the digest of its bytes, and its columns.

    Revisions that were published before their columns were recorded have none here.
    """

    path: str
    rows: int
    sha256: str
    columns: Sequence[str] = ()


@cache
def _columns() -> dict[str, dict[str, str]]:
    """Column name → type of every mart, from the contracts in the dbt project."""
    return {
        model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
        for model in mart_declarations()
    }


@cache
def mart_declarations() -> list[dict[str, Any]]:
    """The published models as the dbt project declares them: names, descriptions, columns."""
    files = (settings.DBT_PROJECT / "models" / name for name in _MART_FILES)
    return [model for file in files for model in shipped_yaml.read(file)["models"]]


def columns_sql(table: str) -> str:
    """The column definitions of a published table, as in `create table t (…)`."""
    return ", ".join(f"{name} {data_type}" for name, data_type in _columns()[table].items())


def reader_columns(table: str) -> str:
    """The column definitions of a published table as readers find it: its mart's, and whose and which window it is."""
    return ", ".join([columns_sql(table), *_added(table)])


def _added(table: str) -> list[str]:
    """Definitions of what is added to every row when it is published, where the mart does not have it."""
    return [f"{name} {kind}" for name, kind in _OF_THE_RUN.items() if name not in _columns()[table]]


def rows_of_file(
    connection: duckdb.DuckDBPyConnection, table: str, path: Path, *, with_row_numbers: bool = False
) -> str:
    """A select over one published file with the declared columns of its table, null where it lacks them.

    `with_row_numbers` adds the column `file_row_number`, from 0.

    Unlike with parquet_scan, DuckDB knows from the file which columns hold no null, and what is written from these rows
    depends on that in its bytes.
    """
    scan = f"read_parquet({sql_text.file_literal(path)}, hive_partitioning = false)"
    found = {str(name) for name, *_ in connection.execute(f"describe from {scan}").fetchall()}
    names = (name if name in found else f"cast(null as {kind}) as {name}" for name, kind in _columns()[table].items())
    if with_row_numbers:
        scan = f"{scan[:-1]}, file_row_number = true)"
        return f"select {', '.join(names)}, file_row_number from {scan}"
    return f"select {', '.join(names)} from {scan}"


def staged_rows(columns: str, paths: Sequence[Path]) -> str:
    """A select of these column definitions over staged files; what a file of an older release lacks is null."""
    names = ", ".join(definition.split()[0] for definition in columns.split(","))
    if not paths:
        return f"select {names} from ({sql_text.empty(columns)})"
    return f"select {names} from {sql_text.parquet_scan(paths, columns)}"


def bank_rows(table: str, paths: Sequence[Path], *, with_names: bool = False) -> str:
    """A select of `bank_statements` or `bank_lines` over staged files of bank statements, which hold rows of both.

    `with_names` adds the column `filename`.
    """
    from zentra_pipeline.contracts import bank_statements, staged_tables

    columns = staged_tables.staged_columns(table)
    if not paths:
        return staged_rows(columns, paths)
    (word,) = (word for word, part in bank_statements.CONTRACT.parts if part.table == table)
    kind = bank_statements.ROW_TYPE
    names = ", ".join([*sql_text.column_types(columns), *(["filename"] if with_names else [])])
    scan = sql_text.parquet_scan(paths, f"{columns}, {kind} varchar", with_names=with_names)
    return f"select {names} from {scan} where {kind} = {sql_text.literal(word)}"


def known_rows(connection: duckdb.DuckDBPyConnection, columns: str, paths: Sequence[Path]) -> str:
    """Like `staged_rows` of files that are there: DuckDB opens them now, and so knows how many rows they have.

    It plans joins by that. A file of an older release is read by the declared columns, as it lacks some.
    """
    declared = list(sql_text.column_types(columns).items())

    def scan(path: Path) -> str:
        return f"read_parquet({sql_text.file_literal(path)}, hive_partitioning = false)"

    by_form: dict[bool, list[Path]] = {True: [], False: []}
    for path in paths:
        found = connection.execute(f"describe from {scan(path)}").fetchall()
        by_form[[(str(name), str(kind).lower()) for name, kind, *_ in found] == declared].append(path)
    names = ", ".join(name for name, _ in declared)
    selects = [f"select {names} from {scan(path)}" for path in by_form[True]]
    if by_form[False] or not paths:
        selects.append(staged_rows(columns, by_form[False]))
    return " union all ".join(selects)


def published_rows(table: str, published: Sequence[tuple[Path, int]], definitions: str | None = None) -> str:
    """A select over published files that adds `run_sequence`, the publishing run's place in the order of creation.

    Its columns are those of the mart, or of other `definitions`.
    """
    definitions = definitions or columns_sql(table)
    names = ", ".join(f"published.{name}" for name in sql_text.column_types(definitions))
    scan = sql_text.parquet_scan([path for path, _ in published], definitions, with_names=True)
    places = ", ".join(f"({sql_text.literal(str(path))}, {sequence})" for path, sequence in published)
    return (
        f"select {names}, cast(places.run_sequence as bigint) as run_sequence from {scan} as published "
        f"inner join (values {places}) as places (filename, run_sequence) on published.filename = places.filename"
    )


def publish(
    connection: duckdb.DuckDBPyConnection,
    paths: TenantPaths,
    *,
    provider: str,
    ledger_window: str,
    run_id: str,
    revision: int,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, PublishedFile]:
    """Write every mart of a run's database to new lake files, which nobody sees before the revision is recorded.

    `columns` are those of a revision that is published already and made again: what was added since is left out.
    """
    folder = Path(f"provider={provider}", f"ledger_window={ledger_window}")
    constants = {
        "tenant_id": f"{sql_text.literal(paths.root.name)} as tenant_id",
        "provider": f"{sql_text.literal(provider)} as provider",
        # A match that was taken back names the run that made it.
        "ledger_window": f"""coalesce(
            (select earlier_runs.ledger_window from "window".earlier.runs as earlier_runs
             where earlier_runs.run_id = published.run_id),
            cast({sql_text.literal(ledger_window)} as date)) as ledger_window""",
    }

    is_of_bank = identifiers.account_of(provider) is not None
    row_order = ROW_ORDER_OF_BANK if is_of_bank else ROW_ORDER

    def write(table: str) -> PublishedFile:
        wanted = declared_columns()[table] if columns is None else columns[table]
        written = [name for name in wanted if name in declared_columns()[table]]
        names = ", ".join(constants.get(name, name) if name not in _columns()[table] else name for name in written)
        ordered = ", ".join(f"{column} asc nulls last" for column in row_order[table].split(", "))
        relation = _RELATIONS_OF_BANK.get(table, table) if is_of_bank else table
        rows = f'select {names} from "window".zentra.{relation} as published order by {ordered}'
        relative = Path("lake", table) / folder / f"{run_id}-r{revision}.parquet"
        with connection.cursor() as cursor:
            return replace(write_parquet(cursor, rows, paths, relative), columns=written)

    tables = [table for table in row_order if columns is None or table in columns]
    with ThreadPoolExecutor(_WRITERS) as writers:
        return dict(zip(tables, writers.map(write, tables), strict=True))


def columns_of(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """The columns a revision's tables were published with, by its recorded entries."""
    before = schema_before.COLUMNS
    return {name: entry.get("columns") or before.get(name, declared_columns()[name]) for name, entry in tables.items()}


def tables_of(provider: str) -> Sequence[str]:
    """The tables that the runs of a provider, or of a bank account, publish."""
    return list(ROW_ORDER if identifiers.account_of(provider) is None else ROW_ORDER_OF_BANK)


@cache
def declared_columns() -> Mapping[str, Sequence[str]]:
    """The columns in which tables are published today."""
    return {name: list(sql_text.column_types(reader_columns(name))) for name in ALL_ROW_ORDERS}


def write_parquet(
    connection: duckdb.DuckDBPyConnection, rows: str, paths: TenantPaths, relative: Path, version: str = "v1"
) -> PublishedFile:
    """Write the rows of an ordered select to a new lake file, whole or not at all.

    `version` is that of the form of the pages: v2 has numbers that follow one another in next to nothing.
    """
    final = paths.root / relative
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.tmp")
    (count,) = connection.execute(
        f"copy ({rows}) to {sql_text.literal(str(temporary))} "
        f"(format parquet, parquet_version {version}, compression zstd, compression_level 1)"
    ).fetchall()[0]
    durable_files.rename_durably(temporary, final)
    digest = durable_files.digest_of(final)
    blobs.push(paths, relative, digest)
    return PublishedFile(relative.as_posix(), count, digest)


def have_same_rows(one: Path, other: Path) -> bool:
    """Whether two published files of the same columns hold the same rows, in whatever bytes."""
    scans = [f"(select * from read_parquet({sql_text.file_literal(path)}))" for path in (one, other)]
    with private_database.opened() as connection:
        return not any(
            connection.execute(f"{here} except all {there} limit 1").fetchall()
            for here, there in (scans, reversed(scans))
        )


def discard(paths: TenantPaths, tables: Mapping[str, PublishedFile]) -> None:
    """Remove files that were written and shall not be published."""
    for table in tables.values():
        (paths.root / table.path).unlink(missing_ok=True)
