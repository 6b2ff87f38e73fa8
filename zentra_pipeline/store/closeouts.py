"""Queries on closeouts; when a run may be closed, and what a seal is, does not belong here (closeout)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from zentra_pipeline.store.digests import change_rows, facts
from zentra_pipeline.store.models import closeouts


@dataclass(frozen=True)
class Closeout:
    """One revision of a run's closeout, as stored; fields as in `store.models.closeouts`."""

    closeout_id: str
    run_id: str
    revision: int
    provider: str
    settlement_file: str
    ledger_window: str
    run_revision: int
    status: str
    prepared_by: str
    prepared_at: str
    approved_by: str | None
    sealed_at: str | None
    evidence_root: str
    evidence_rows: int
    evidence_status: str
    chain_sequence: int | None
    seal_digest: str | None
    previous_seal: str | None
    amends: str | None
    reason: str | None
    bundle: str | None
    evidence_path: str | None
    evidence_sha256: str | None


def of_run(connection: Connection, run_id: str) -> list[Closeout]:
    """A run's closeouts, oldest first: sealed and amended, then the prepared one."""
    return _all(connection, _ordered().where(closeouts.c.run_id == run_id))


def listed(connection: Connection, provider: str | None = None) -> list[Closeout]:
    """All closeouts, of one provider when given, by window, run and revision."""
    return _all(connection, _ordered() if provider is None else _ordered().where(closeouts.c.provider == provider))


def chain(connection: Connection, provider: str) -> list[Closeout]:
    """The provider's sealed closeouts in the order of their seals."""
    query = select(*facts(closeouts)).where(closeouts.c.provider == provider, closeouts.c.chain_sequence.is_not(None))
    return _all(connection, query.order_by(closeouts.c.chain_sequence))


def prepare(connection: Connection, closeout: Closeout) -> None:
    """Record a prepared closeout in place of an earlier preparation of the same revision."""
    connection.execute(
        delete(closeouts).where(
            closeouts.c.run_id == closeout.run_id,
            closeouts.c.revision == closeout.revision,
            closeouts.c.chain_sequence.is_(None),
        )
    )
    connection.execute(insert(closeouts).values(asdict(closeout)))


def withdraw(connection: Connection, run_id: str) -> int:
    """Drop what is prepared but not sealed for a run; how many rows that were."""
    unsealed = delete(closeouts).where(closeouts.c.run_id == run_id, closeouts.c.chain_sequence.is_(None))
    return int(connection.execute(unsealed).rowcount)


def change(connection: Connection, closeout_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of one closeout."""
    change_rows(connection, closeouts, closeouts.c.closeout_id == closeout_id, changes)


def next_chain_sequence(connection: Connection, provider: str) -> int:
    """The place the provider's next seal takes; needs a write transaction to stay free."""
    newest = select(func.max(closeouts.c.chain_sequence)).where(closeouts.c.provider == provider)
    return 1 + (connection.execute(newest).scalar_one() or 0)


def _ordered() -> Select[Any]:
    return select(*facts(closeouts)).order_by(closeouts.c.ledger_window, closeouts.c.run_id, closeouts.c.revision)


def _all(connection: Connection, query: Select[Any]) -> list[Closeout]:
    return [Closeout(**row._mapping) for row in connection.execute(query)]
