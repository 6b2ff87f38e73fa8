"""What a tenant's operational store recorded, in one snapshot for an examination; judging it does not belong here."""

from collections.abc import Sequence
from dataclasses import dataclass

from zentra_pipeline import scratch
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading


@dataclass(frozen=True)
class Records:
    """A tenant's records, each list in the store's own order; `transitions` by run id."""

    home: Home
    tenant: str
    paths: TenantPaths
    files: Sequence[file_store.StagedFile]
    runs: Sequence[run_store.Run]
    revisions: Sequence[run_store.Revision]
    transitions: dict[str, list[run_store.Transition]]
    closeouts: Sequence[closeout_store.Closeout]
    entries: Sequence[event_log.Entry]
    decisions: Sequence[decision_store.Decision]

    @property
    def current(self) -> dict[str, run_store.Revision]:
        """The revision readers see, by run id."""
        numbers = {run.run_id: run.revision for run in self.runs}
        return {item.run_id: item for item in self.revisions if item.revision == numbers[item.run_id]}

    @property
    def sealed(self) -> list[closeout_store.Closeout]:
        """Closeouts that carry a seal, amended ones included."""
        return [closeout for closeout in self.closeouts if closeout.chain_sequence is not None]


def read(home: Home, tenant: str) -> Records:
    """The records of a tenant as of one moment."""
    paths = home.tenant(tenant)
    with reading(operational_store(paths)) as connection:
        runs = run_store.list_runs(connection)
        return Records(
            home=home,
            tenant=tenant,
            paths=paths,
            files=[file for kind in scratch.TABLE_OF_KIND for file in file_store.staged_files(connection, kind)],
            runs=runs,
            revisions=[item for run in runs for item in run_store.revisions(connection, run.run_id)],
            transitions={run.run_id: run_store.transitions(connection, run.run_id) for run in runs},
            closeouts=closeout_store.listed(connection),
            entries=event_log.entries(connection),
            decisions=decision_store.listed(connection),
        )
