"""Withdraws proposals about an exception that shows other amounts by now: whoever approves must see what was proposed.

The entry in the log of decisions is the system's, in the transaction that records the revision with the new amounts.
Does not belong here: what operators decide (record), and what an exception shows (dbt).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline import money, private_database, sql_text
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.exception_state import SYSTEM_ACTOR, ExceptionState, decision_id_of
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision

WITHDRAW: Final = "withdraw"
_POLICY: Final = {"rule": "amounts_changed", "outcome": "withdrawn"}
_AMOUNTS: Final = ("amount_minor", "difference_minor")
Amounts = tuple[int | None, int | None]


def shown_before(paths: TenantPaths, log: Iterable[Decision]) -> dict[str, Amounts]:
    """Amount and difference that readers see of every exception about which a decision waits for approval."""
    pending = [state.exception_id for state in _pending(log)]
    if not pending:
        return {}
    rows = lake.query(
        paths,
        "SELECT exception_id, amount_minor, difference_minor FROM exceptions "
        "WHERE list_contains(?::varchar[], exception_id)",
        [pending],
    ).rows
    return {exception_id: (amount, difference) for exception_id, amount, difference in rows}


def withdraw(
    connection: Connection,
    tenant: str,
    run: run_store.Run,
    exceptions: Path,
    later: Iterable[Path],
    before: Mapping[str, Amounts],
    now: datetime,
) -> list[Decision]:
    """Withdraw what waits for approval about exceptions that this revision shows otherwise; returns what was recorded.

    `exceptions` is the revision's table, `later` are those of runs created after it, whose word is newer.
    """
    if not before:
        return []
    log = decision_store.listed(connection, before)
    pending = {state.exception_id: state for state in _pending(log)}
    shown = _rows(exceptions, pending)
    newer = {exception_id for path in later for exception_id in _rows(path, pending)}
    recorded = []
    for exception_id, row in sorted(shown.items()):
        proposed = _proposed(log, exception_id) or before[exception_id]
        now_shown = (row["amount_minor"], row["difference_minor"])
        if exception_id in newer or row["status"] == "resolved" or proposed == now_shown:
            continue
        decision = _decision(connection, tenant, run, pending[exception_id], row, proposed, now)
        decision_store.append(connection, decision)
        recorded.append(decision)
    return recorded


def _pending(log: Iterable[Decision]) -> list[ExceptionState]:
    return [state for state in exception_state.states(log).values() if state.status == "pending_approval"]


def _proposed(log: Iterable[Decision], exception_id: str) -> Amounts | None:
    """The amounts that the proposal was about; null where it was recorded before they were kept."""
    proposals = [each for each in log if (each.exception_id, each.result) == (exception_id, "pending_approval")]
    kept = proposals[-1].details.get("about")
    return None if kept is None else (kept["amount_minor"], kept["difference_minor"])


def _rows(path: Path, exception_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    columns = ("exception_id", "amount_minor", "difference_minor", "currency", "status")
    with private_database.opened() as connection:
        rows = connection.execute(
            f"select {', '.join(columns)} from read_parquet({sql_text.file_literal(path)}) "
            "where list_contains(?::varchar[], exception_id)",
            [list(exception_ids)],
        ).fetchall()
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def _decision(
    connection: Connection,
    tenant: str,
    run: run_store.Run,
    state: ExceptionState,
    row: Mapping[str, Any],
    proposed: Amounts,
    now: datetime,
) -> Decision:
    was, shows = (
        _text(amounts, row["currency"]) for amounts in (proposed, (row["amount_minor"], row["difference_minor"]))
    )
    return Decision(
        sequence=decision_store.next_sequence(connection),
        decision_id=decision_id_of(tenant, state.exception_id, state.decisions + 1),
        exception_id=state.exception_id,
        run_id=run.run_id,
        action=WITHDRAW,
        actor=SYSTEM_ACTOR,
        decided_at=instant_text(now),
        reason=f"{state.proposed_by} proposed {state.proposed_resolution} about {was}; since run {run.run_id} of "
        f"window {run.ledger_window} the exception shows {shows}: propose again what holds now",
        policy=_POLICY,
        result="investigating",
        owner=None,
        resolution=None,
        details={
            "about": {name: row[name] for name in _AMOUNTS},
            "proposed": {"amount_minor": proposed[0], "difference_minor": proposed[1]},
        },
    )


def _text(amounts: Amounts, currency: str) -> str:
    """Amounts in words: `60.00 EUR, off by -40.00 EUR`."""
    amount, difference = (None if value is None else money.amount_text(value, currency) for value in amounts)
    return f"{amount or 'no amount'}" + (f", off by {difference}" if difference is not None else "")
