"""Key files: which keys the rows of a staged or published file have, sorted, so that a run finds those it shares.

A key is DuckDB's 64-bit hash of a reference or id, whatever column it is in. Key files are a cache: their folder
names what they depend on (form, DuckDB's version, the profile's normalizer), and one that is missing is written before
it is read. Does not belong here: which rows a run looks for (related_rows).
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import durable_files, holders, private_database, reference_keys, settings, sql_text

FOLDER: Final = "row_keys"
_WRITING: Final = "writing"
_KEY_VERSION: Final = "1"
_MEMORY: Final = "1GB"
# A few keys are found by the least and greatest of each row group: small groups let a lookup skip nearly all of a file.
_ROWS_A_GROUP: Final = 16_384


@dataclass(frozen=True)
class Keyed:
    """How rows of a table are related to others: `unit` names what is read together.

    Rows are found by the texts of `columns` and `found_by`, and look for others by those of `columns` and `looks_for`.
    Where a row `is_unit`, no other has its unit.
    """

    unit: str
    columns: tuple[str, ...]
    found_by: tuple[str, ...] = ()
    looks_for: tuple[str, ...] = ()
    condition: str = "true"
    is_unit: bool = False


# The lines of a batch matter to its payout and to a movement that names it, not to each other: providers number batches
# from 1 again every day.
_BATCH: Final = "case when batch_id <> '' then 'batch ' || batch_id end"
_PAYOUT: Final = "case when batch_id <> '' then 'payout ' || batch_id end"
_IF_PAYOUT: Final = "case when line_type = 'payout' then"
# A match is found by its items, and its callbacks by the match: a later run may have published those without them.
_LEG: Final = "case when leg_type = 'callback' then match_id else leg_id end"
KEYED: Final[Mapping[str, Keyed]] = {
    "settlement_lines": Keyed(
        "cast(row_number as ubigint)",
        ("line_id", "provider_reference", "merchant_reference", "original_reference"),
        found_by=(_BATCH, f"{_IF_PAYOUT} {_PAYOUT} end"),
        looks_for=(_PAYOUT, f"{_IF_PAYOUT} {_BATCH} end"),
        is_unit=True,
    ),
    "ledger_entries": Keyed(
        "hash(transaction_id)",
        ("transaction_id", "provider_reference", "intent_id"),
        looks_for=("case when provider_reference <> '' then 'batch ' || provider_reference end",),
    ),
    "callbacks": Keyed(
        "cast(row_number as ubigint)",
        ("provider_event_id", "provider_reference", "merchant_reference"),
        is_unit=True,
    ),
    "internal_events": Keyed("cast(row_number as ubigint)", ("intent_id", "transaction_id"), is_unit=True),
    "match_legs": Keyed("hash(match_id)", (_LEG,)),
    "matches": Keyed("hash(match_id)", ("match_id",), condition="status = 'reversed'"),
    "callback_states": Keyed("hash(provider_event_id)", ("provider_event_id",), is_unit=True),
}


def keys_of(
    rows: str,
    columns: Iterable[str],
    unit: str = "cast(0 as ubigint)",
    *,
    normalized: str | None = None,
    is_unit: bool = False,
) -> str:
    """A select of (key, unit), both UBIGINT, over the rows of a select; blank texts are no keys.

    Each pair is there once. `normalized` names a table (reference, normalized_reference) that gives provider references
    a second key.
    """
    texts = list(columns)
    joined = ""
    if normalized is not None and "provider_reference" in texts:
        texts.append("normal.normalized_reference")
        joined = f"left join {normalized} as normal on rows.provider_reference = normal.reference"
    hashes = ", ".join(f"case when {text} <> '' then hash({text}) end" for text in texts)
    keys = f"list_distinct([{hashes}])" if is_unit else f"[{hashes}]"  # cheaper than to group what has no equal
    return (
        f"select {'' if is_unit else 'distinct '}key, unit from (select {unit} as unit, unnest({keys}) as key "
        f"from ({rows}) as rows {joined}) where key is not null"
    )


def key_file(tenant_root: Path, source: Path, normalizer: str) -> Path:
    """Where the keys of a file below the tenant's folder lie."""
    if not source.is_relative_to(tenant_root):  # a revision that is made again elsewhere reads what was published here
        source = tenant_root / hashlib.sha256(str(source).encode()).hexdigest()
    return tenant_root / FOLDER / _form(normalizer) / source.relative_to(tenant_root)


@cache
def _form(normalizer: str) -> str:
    about = f"{_KEY_VERSION} {duckdb.__version__} {normalizer}"
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def missing(tenant_root: Path, sources: Iterable[Path], normalizer: str) -> list[Path]:
    """Those of these files whose keys are not written yet."""
    return [source for source in sources if not key_file(tenant_root, source, normalizer).is_file()]


def write(tenant_root: Path, sources: Iterable[tuple[str, str, Path]], normalizer: str) -> None:
    """Write the keys of files: of each its table, a select over its rows, and its path."""
    read = list(sources)
    files = (path for _, _, path in read)
    with (
        writing(tenant_root) as folder,
        private_database.opened_for(files, settings.memory_limit(_MEMORY), folder / "spilled") as connection,
    ):
        for table, rows, path in read:
            _write(connection, table, rows, folder / "keys", key_file(tenant_root, path, normalizer), normalizer)


@contextmanager
def writing(tenant_root: Path) -> Iterator[Path]:
    """A folder for what is being written, which then goes, and with it what processes left behind that were killed."""
    folder = tenant_root / FOLDER / _WRITING
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if holders.is_left_behind(other.name):
            shutil.rmtree(other, ignore_errors=True)
    own = folder / holders.file_name()
    own.mkdir()
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def agree(connection: duckdb.DuckDBPyConnection, table: str, rows: str, path: Path, normalizer: str) -> bool:
    """Whether a key file holds the keys of these rows; raises duckdb.Error where it cannot be read."""
    found = f"select key, unit, 1 as times from read_parquet({sql_text.file_literal(path)}, hive_partitioning = false)"
    right = f"select key, unit, -1 as times from ({_select(connection, table, rows, normalizer)})"
    apart = f"select key from ({found} union all {right}) group by key, unit having sum(times) <> 0 limit 1"
    return not connection.execute(apart).fetchall()


def _write(
    connection: duckdb.DuckDBPyConnection, table: str, rows: str, temporary: Path, path: Path, normalizer: str
) -> None:
    keys = _select(connection, table, rows, normalizer)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"copy ({keys} order by key, unit) to {sql_text.literal(str(temporary))} "
        f"(format parquet, parquet_version v2, row_group_size {_ROWS_A_GROUP})"
    ).fetchall()
    durable_files.rename_durably(temporary, path)


def _select(connection: duckdb.DuckDBPyConnection, table: str, rows: str, normalizer: str) -> str:
    """A select of (key, unit) of a table's rows; normalized references go into a table of the connection."""
    keyed = KEYED[table]
    rows = f"select * from ({rows}) where {keyed.condition}"
    normalized = None
    if normalizer != "none" and "provider_reference" in keyed.columns:
        normalized = "normalized"
        references = f"select distinct provider_reference as reference from ({rows}) where provider_reference <> ''"
        connection.execute(f"create or replace table {normalized} ({reference_keys.COLUMNS})")
        reference_keys.write_normalized(connection, normalized, references, normalizer)
    texts = (*keyed.columns, *keyed.found_by)
    return keys_of(rows, texts, keyed.unit, normalized=normalized, is_unit=keyed.is_unit)
