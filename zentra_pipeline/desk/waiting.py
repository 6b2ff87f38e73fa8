"""What waits for a second person, exceptions and closeouts, for every surface; approving is not done here."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from zentra_pipeline.closeout import approval as closeout_approval
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.published import lake
from zentra_pipeline.review import approvals
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.periods import PeriodCloseout


def exceptions(paths: TenantPaths, connection: Connection) -> list[dict[str, Any]]:
    """What there is to approve of every exception that waits (review.approvals), by exception_id."""
    answer = lake.query(paths, "SELECT * FROM exceptions WHERE status = 'pending_approval' ORDER BY exception_id")
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    waiting = of_rows(paths, connection, rows)
    return [waiting[exception_id] for exception_id in sorted(waiting)]


def of_rows(paths: TenantPaths, connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What there is to approve of published exceptions, by id."""
    log = decision_store.listed(connection, [row["exception_id"] for row in rows])
    return approvals.pending(connection, paths, load_policy(paths), rows, log)


def sign_offs(connection: Connection) -> list[PeriodCloseout]:
    """Every month whose sign-off is prepared."""
    return [each for each in period_store.listed(connection) if not each.is_sealed]


def closeouts(connection: Connection) -> list[tuple[closeout_store.Closeout, dict[str, Any] | None]]:
    """Every closeout that is prepared, by id, with what there is to approve; null for one older than that is kept."""
    prepared = [item for item in closeout_store.listed(connection) if item.chain_sequence is None]
    log: Sequence[Decision] = decision_store.listed(connection) if prepared else []
    return [
        (item, closeout_approval.kept(log, item.closeout_id))
        for item in sorted(prepared, key=lambda item: item.closeout_id)
    ]
