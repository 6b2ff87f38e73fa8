"""Compares what a run opened with to what the run before it closed with, by currency; decides on nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.runs import Revision, Run

_ROLLFORWARD = "rollforward"


@dataclass(frozen=True)
class Gap:
    """A currency in which a run does not open with what the run before it closed with, in minor units."""

    currency: str
    closing_minor: int
    opening_minor: int

    def __str__(self) -> str:
        before, this = self.closing_minor, self.opening_minor
        return f"{self.currency}: the run before closed with {before}, this one opens with {this}"


def gaps(paths: TenantPaths, before: Revision, run: Revision) -> list[Gap]:
    """The currencies in which the roll-forward of `run` does not begin where that of `before` ends, in order.

    A currency without a row is at 0.
    """
    closings = _amounts(paths, before, "closing_minor")
    openings = _amounts(paths, run, "opening_minor")
    return [
        Gap(currency, closings.get(currency, 0), openings.get(currency, 0))
        for currency in sorted(closings.keys() | openings.keys())
        if closings.get(currency, 0) != openings.get(currency, 0)
    ]


def predecessor(earlier: Sequence[Run], run: Run) -> Run | None:
    """The run that `run` takes over from, of those made before it in order; None where it has no single one.

    Where windows were run out of order, a run sees only those not later than its own: then no single run's closing
    equals its opening. This is so while the run made last before it is not of the latest window.
    """
    if not earlier or earlier[-1].ledger_window != max(before.ledger_window for before in earlier):
        return None
    return earlier[-1] if earlier[-1].ledger_window <= run.ledger_window else None


def outdated(made_from: Revision, earlier: dict[str, int]) -> list[str]:
    """Ids of runs whose revision changed since this one was made from them; `earlier`: run id → revision today."""
    known = {entry["run_id"]: entry["revision"] for entry in made_from.manifest.get("earlier", ())}
    return sorted(run_id for run_id in known.keys() | earlier.keys() if known.get(run_id) != earlier.get(run_id))


def _amounts(paths: TenantPaths, revision: Revision, column: str) -> dict[str, int]:
    if _ROLLFORWARD not in revision.tables:
        return {}
    file = sql_text.file_literal(paths.root / revision.tables[_ROLLFORWARD]["path"])
    with private_database.opened() as connection:
        return dict(connection.execute(f"select currency, {column} from read_parquet({file})").fetchall())
