"""What a run came to, in the figures finance looks at, read from its published files; words do not belong here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.published import lake_files

# What an earlier revision missed, somebody resolved, and has come since is published again, and is not opened again.
_OPENED: Final = """status <> 'resolved' and not (
    exception_type = 'missing_callback' and match_id in (select match_id from three_way where has_callback)
)"""


@dataclass(frozen=True)
class RunSummary:
    """Figures of one published revision; amounts are integers of minor units beside their currency.

    `conservation`, `rollforward`: the published rows. `opened`, `resolved`: exceptions by type. `aging`: open items by
    item_type, currency and aging_bucket (items, amount_minor). `exceptions`: the opened ones, gravest first.
    """

    matches: int
    match_legs: int
    open_items: int
    opened: dict[str, int]
    resolved: dict[str, int]
    conservation: list[dict[str, Any]]
    rollforward: list[dict[str, Any]]
    aging: list[dict[str, Any]]
    exceptions: list[dict[str, Any]]


def summarize(root: Path, tables: Mapping[str, lake_files.PublishedFile], most: int = 50) -> RunSummary:
    """The summary of a revision whose files lie below the tenant's folder `root`; at most `most` exceptions in full."""
    with private_database.opened() as connection:
        for name, table in tables.items():
            scan = sql_text.parquet_scan([root / table.path], lake_files.columns_sql(name))
            connection.execute(f"create view {name} as from {scan}")
        return RunSummary(
            matches=_count(connection, "select count(*) from matches where status = 'confirmed'"),
            match_legs=tables["match_legs"].rows,
            open_items=tables["open_items"].rows,
            opened=_by_type(connection, _OPENED),
            resolved=_by_type(connection, "status = 'resolved'"),
            conservation=_rows(connection, "select * from conservation order by side, currency"),
            rollforward=_rows(connection, "select * from rollforward order by currency"),
            aging=_rows(
                connection,
                """select item_type, currency, aging_bucket, min(age_business_days) as youngest_business_days,
                          count(*) as items, cast(sum(amount_minor) as bigint) as amount_minor
                   from open_items group by item_type, currency, aging_bucket
                   order by item_type, currency, youngest_business_days""",
            ),
            exceptions=_rows(
                connection,
                f"""select exception_id, exception_type, severity, subject_id, currency, amount_minor, difference_minor,
                           owner, lane, due_at, explanation
                    from exceptions where {_OPENED}
                    order by case severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2 else 3 end,
                             abs(amount_minor) desc nulls last, exception_id
                    limit {most}""",
            ),
        )


def _by_type(connection: duckdb.DuckDBPyConnection, condition: str) -> dict[str, int]:
    sql = f"select exception_type, count(*) from exceptions where {condition} group by all order by exception_type"
    return {str(name): int(count) for name, count in connection.execute(sql).fetchall()}


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    answer = connection.execute(sql)
    names = [column[0] for column in answer.description or []]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
