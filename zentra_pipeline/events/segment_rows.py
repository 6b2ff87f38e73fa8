"""The lake files of the event log: their columns, and a select that gives their events whole.

The many matches that a revision makes are events of one form: their file says what all of them have in common and, of
each, the row of the revision's `matches` it is about; id, subject and data are made when they are read. What else
happened is in the file as it is read, and so is everything in the files of older releases. The order of a log does not
belong here (log_reading), nor what is an event (reconcile.revision_events).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import sql_text
from zentra_pipeline.events import types
from zentra_pipeline.events.cloud_event import event_id_sql
from zentra_pipeline.settings import TenantPaths

# An event that is read whole.
COLUMNS: Final = (
    '"offset" bigint, event_id varchar, event_type varchar, subject varchar, event_time timestamp, actor varchar, '
    "run_id varchar, data varchar"
)
_COLUMNS: Final = f"{COLUMNS}, match_row bigint"
# Where files lie that may name rows of `matches`, and where those that never do.
FOLDER: Final = "lake/event_rows"
WHOLE_FOLDER: Final = "lake/events"
# What an event says of its match, as members of a JSON object: expressions over a row of `matches`, as `rows`.
MATCH: Final = (
    "'match_id': rows.match_id, 'match_run_id': rows.run_id, 'rule': rows.rule, 'cardinality': rows.cardinality, "
    "'method': rows.method, 'currency': rows.currency, 'settlement_minor': rows.settlement_minor, "
    "'ledger_minor': rows.ledger_minor, 'difference_minor': rows.difference_minor, "
    "'provider_reference': rows.provider_reference, 'line_id': rows.first_line_id, "
    "'transaction_id': rows.first_transaction_id"
)
# A match that was made, and never taken back before.
NEW_MATCH: Final = f"{MATCH}, 'restored_by_revision': cast(null as bigint)"
_MATCH_COLUMNS: Final = (
    "match_id varchar, run_id varchar, rule varchar, cardinality varchar, method varchar, currency varchar, "
    "settlement_minor bigint, ledger_minor bigint, difference_minor bigint, provider_reference varchar, "
    "first_line_id varchar, first_transaction_id varchar"
)


def matches_path(path: str) -> str | None:
    """The file of `matches` that the events of a lake file may be about, relative as `path` is; null for older ones."""
    return path.replace(FOLDER, "lake/matches", 1) if path.startswith(f"{FOLDER}/") else None


def scan(paths: TenantPaths, path: str) -> str:
    """A select of what a lake file has in itself: COLUMNS as far as an event is in it, and `match_row`."""
    return f"select * exclude (filename) from {_scan(paths, [path], _COLUMNS)}"


def rows_between(
    connection: duckdb.DuckDBPyConnection, paths: TenantPaths, path: str, first: int, stop: int
) -> tuple[int, int]:
    """The first and last row of `matches` that events from offset `first` up to `stop` are about."""
    (found,) = connection.execute(
        f"select coalesce(min(match_row), 0), coalesce(max(match_row), -1) from ({scan(paths, path)}) "
        'where "offset" >= $first and "offset" < $stop',
        {"first": first, "stop": stop},
    ).fetchall()
    return found


def joined(
    paths: TenantPaths,
    files: Mapping[str, int],
    bounds: tuple[int, int] | None = None,
    rows: tuple[int, int] | None = None,
) -> str:
    """A from clause: rows of lake files as `segments`, `places` (first_position of the file) and the match as `rows`.

    `files` maps relative paths to the place of their first event. With `bounds` only offsets from the first up to the
    second, and then `rows` are those that `rows_between` finds: a small part of a file is read by them.
    """
    scan = _scan(paths, list(files), _COLUMNS)
    known = {path: matches for path in files if (matches := matches_path(path)) is not None}
    places = ", ".join(
        f"({_full(paths, path)}, {position}, {_full(paths, known[path]) if path in known else 'null'})"
        for path, position in files.items()
    )
    within = "" if bounds is None else f' where "offset" >= {bounds[0]} and "offset" < {bounds[1]}'
    matches = (
        f"select * from {_scan(paths, list(known.values()), _MATCH_COLUMNS, with_row_numbers=True)}"
        if known
        else sql_text.empty(f"{_MATCH_COLUMNS}, file_row_number bigint, filename varchar")
    )
    if known and rows is not None:
        matches += f" where file_row_number >= {rows[0]} and file_row_number <= {rows[1]}"
    return (
        f"(select * from {scan}{within}) as segments "
        f"inner join (values {places}) as places (filename, first_position, matches) "
        "on segments.filename = places.filename "
        f"left join ({matches}) as rows "
        "on places.matches = rows.filename and segments.match_row = rows.file_row_number"
    )


def whole_columns(tenant: str) -> str:
    """The columns of COLUMNS, each event whole, over `joined`."""
    new = event_id_sql(f"'{types.MATCH_CREATED}'", [sql_text.literal(tenant), "rows.match_id"])
    return (
        f'segments."offset", case when segments.match_row is null then segments.event_id else {new} end as event_id, '
        "segments.event_type, coalesce(segments.subject, rows.match_id) as subject, segments.event_time, "
        "segments.actor, segments.run_id, case when segments.match_row is null then segments.data else "
        f"left(segments.data, length(segments.data) - 1) || ',' || "
        f"substr(cast(to_json({{{NEW_MATCH}}}) as varchar), 2) end as data"
    )


def whole(paths: TenantPaths, path: str, first: int, stop: int, rows: tuple[int, int]) -> str:
    """A select of COLUMNS over the events of a lake file from offset `first` up to `stop`, in no order.

    `rows` are those that `rows_between` finds.
    """
    return f"select {whole_columns(paths.root.name)} from {joined(paths, {path: 0}, (first, stop), rows)}"


def _scan(paths: TenantPaths, relative: list[str], columns: str, *, with_row_numbers: bool = False) -> str:
    files = [paths.root / Path(path) for path in relative]
    return sql_text.parquet_scan(files, columns, with_names=True, with_row_numbers=with_row_numbers)


def _full(paths: TenantPaths, path: str) -> str:
    return sql_text.literal(str(paths.root / path))
