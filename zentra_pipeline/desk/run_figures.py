"""What a run came to, as operators look at it: statement, conservation, metrics, exceptions, each from one question.

Does not belong here: how figures look (console), or working out any that is not published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from zentra_pipeline.published import lake
from zentra_pipeline.settings import TenantPaths

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunFigures:
    """Rows of published tables of one run; `exceptions` counts those it opened by owner, type and status."""

    rollforward: Sequence[Row]
    conservation: Sequence[Row]
    metrics: Sequence[Row]
    exceptions: Sequence[Row]

    def exceptions_of(self, *, is_open: bool) -> int:
        """How many of its exceptions are open, or resolved."""
        return sum(row["exceptions"] for row in self.exceptions if (row["status"] != "resolved") == is_open)


def of_run(paths: TenantPaths, run_id: str) -> RunFigures:
    """The figures of a run's current revision; no rows before it has published any."""
    return RunFigures(
        rollforward=rollforward(paths, run_id),
        conservation=conservation(paths, run_id),
        metrics=_rows(paths, "SELECT * FROM run_metrics WHERE run_id = ? ORDER BY currency", run_id),
        exceptions=_rows(
            paths,
            "SELECT owner, exception_type, status, count(*) AS exceptions FROM exceptions WHERE run_id = ? "
            "GROUP BY ALL ORDER BY owner NULLS LAST, exception_type, status",
            run_id,
        ),
    )


def rollforward(paths: TenantPaths, run_id: str) -> list[dict[str, Any]]:
    """The statement of a run, a row a currency."""
    return _rows(paths, "SELECT * FROM rollforward WHERE run_id = ? ORDER BY currency", run_id)


def conservation(paths: TenantPaths, run_id: str) -> list[dict[str, Any]]:
    """Where every row of a run went, by side and currency."""
    return _rows(
        paths,
        "SELECT * FROM conservation WHERE run_id = ? "
        "ORDER BY list_position(['settlement', 'ledger', 'callback'], side), currency",
        run_id,
    )


def flows(paths: TenantPaths, first: date, last: date) -> list[dict[str, Any]]:
    """What the runs of a range of windows posted, settled and wrote off, a row a provider and currency."""
    found = lake.query(
        paths,
        "SELECT runs.provider, rollforward.currency, count(*) AS windows, "
        "cast(sum(posted_minor) AS bigint) AS posted_minor, cast(sum(settled_minor) AS bigint) AS settled_minor, "
        "cast(sum(written_off_minor) AS bigint) AS written_off_minor FROM rollforward JOIN runs USING (run_id) "
        "WHERE runs.ledger_window BETWEEN ? AND ? GROUP BY ALL ORDER BY runs.provider, rollforward.currency",
        [first, last],
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def _rows(paths: TenantPaths, sql: str, run_id: str) -> list[dict[str, Any]]:
    found = lake.query(paths, sql, [run_id])
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]
