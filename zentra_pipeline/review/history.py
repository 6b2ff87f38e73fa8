"""What an exception has shown since it opened: an open one keeps its id while its amounts change; reads, never writes.

What operators decided about it does not belong here (store.decisions).
"""

from dataclasses import dataclass
from typing import Any

from zentra_pipeline import private_database
from zentra_pipeline.published import lake_files
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class Shown:
    """What an exception shows since a run: amounts in minor units of its currency, and why, in a sentence."""

    run_id: str
    ledger_window: str
    amount_minor: int | None
    difference_minor: int | None
    explanation: str


def of_exception(tenant: Tenant, exception_id: str) -> list[Shown]:
    """What the exception has shown, oldest first; the last entry is what it shows now."""
    with tenant.reading() as store:
        runs = {run.sequence: run for run in run_store.list_runs(store) if run.is_published}
        published = [
            (tenant.paths.root / run_store.current_revision(store, run.run_id).tables["exceptions"]["path"], sequence)
            for sequence, run in runs.items()
        ]
    if not published:
        return []
    with private_database.opened() as connection:
        rows = connection.execute(
            "select run_sequence, amount_minor, difference_minor, explanation "
            f"from ({lake_files.published_rows('exceptions', published)}) as published "
            "where exception_id = ? order by run_sequence",
            [exception_id],
        ).fetchall()
    found: list[Shown] = []
    for sequence, amount, difference, explanation in rows:
        if not found or (found[-1].amount_minor, found[-1].difference_minor) != (amount, difference):
            found.append(Shown(runs[sequence].run_id, runs[sequence].ledger_window, amount, difference, explanation))
    return found


def as_objects(shown: list[Shown]) -> list[dict[str, Any]]:
    """Entries as JSON values."""
    return [dict(vars(entry)) for entry in shown]
