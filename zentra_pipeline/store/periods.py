"""Queries on sign-offs of months; when a month may be signed off, and what that seals, is not said here (closeout)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from zentra_pipeline.store.digests import change_rows, facts
from zentra_pipeline.store.models import period_closeouts


@dataclass(frozen=True)
class PeriodCloseout:
    """One revision of a month's sign-off, as stored; fields as in `store.models.period_closeouts`."""

    closeout_id: str
    period: str
    revision: int
    status: str
    prepared_by: str
    prepared_at: str
    approved_by: str | None
    sealed_at: str | None
    evidence_root: str
    evidence_rows: int
    chain_sequence: int | None
    seal_digest: str | None
    previous_seal: str | None
    amends: str | None
    reason: str | None
    bundle: str | None
    content: Mapping[str, Any]

    @property
    def is_sealed(self) -> bool:
        """Whether it carries a seal, amended or not."""
        return self.chain_sequence is not None

    def as_object(self) -> dict[str, Any]:
        """What is known of it, but for what there was to approve."""
        return {name: value for name, value in vars(self).items() if name != "content"}


def of_period(connection: Connection, period: str) -> list[PeriodCloseout]:
    """A month's sign-offs, oldest first: sealed and amended, then the prepared one."""
    return _all(connection, _ordered().where(period_closeouts.c.period == period))


def listed(connection: Connection) -> list[PeriodCloseout]:
    """All sign-offs by month and revision."""
    return _all(connection, _ordered())


def chain(connection: Connection) -> list[PeriodCloseout]:
    """The sealed ones in the order of their seals."""
    query = select(*facts(period_closeouts)).where(period_closeouts.c.chain_sequence.is_not(None))
    return _all(connection, query.order_by(period_closeouts.c.chain_sequence))


def prepare(connection: Connection, closeout: PeriodCloseout) -> None:
    """Record a prepared sign-off in place of an earlier preparation of the same month."""
    connection.execute(
        delete(period_closeouts).where(
            period_closeouts.c.period == closeout.period, period_closeouts.c.chain_sequence.is_(None)
        )
    )
    connection.execute(insert(period_closeouts).values(asdict(closeout) | {"content": _text(closeout.content)}))


def change(connection: Connection, closeout_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of one sign-off."""
    change_rows(connection, period_closeouts, period_closeouts.c.closeout_id == closeout_id, changes)


def _ordered() -> Select[Any]:
    return select(*facts(period_closeouts)).order_by(period_closeouts.c.period, period_closeouts.c.revision)


def _all(connection: Connection, query: Select[Any]) -> list[PeriodCloseout]:
    rows = (dict(row._mapping) for row in connection.execute(query))
    return [PeriodCloseout(**row | {"content": json.loads(row["content"])}) for row in rows]


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
