"""What a tenant's operational store recorded, in one snapshot for an examination; judging it does not belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log, file_facts, inbox
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store import tombstones as tombstone_store
from zentra_pipeline.tenants.tenant import Tenant

RevisionKey = tuple[str, int]


@dataclass(frozen=True)
class Records:
    """A tenant's records: files by sequence, the rest in the store's own order.

    `transitions` are by run id, `tombstones` of files by the digest of the bytes that they stand for; `set_aside` are
    deliveries that are in no file, `emptied` the tombstones of those that retention emptied.
    """

    tenant: Tenant
    files: Sequence[file_store.StagedFile]
    runs: Sequence[run_store.Run]
    revisions: Sequence[run_store.Revision]
    transitions: dict[str, list[run_store.Transition]]
    closeouts: Sequence[closeout_store.Closeout]
    entries: Sequence[event_log.Entry]
    decisions: Sequence[decision_store.Decision]
    facts: Mapping[int, file_facts.FileFacts]
    requests: dict[str, request_store.Request]
    sign_offs: Sequence[period_store.PeriodCloseout]
    tombstones: Mapping[str, tombstone_store.Tombstone]
    set_aside: Sequence[inbox.SetAside]
    emptied: Sequence[tombstone_store.Tombstone]

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.tenant.paths

    @cached_property
    def files_by_sequence(self) -> Mapping[int, file_store.StagedFile]:
        """Registrations by their place in the order of arrival."""
        return {file.sequence: file for file in self.files}

    @cached_property
    def runs_by_id(self) -> Mapping[str, run_store.Run]:
        """Runs by id."""
        return {run.run_id: run for run in self.runs}

    @cached_property
    def revisions_by_key(self) -> Mapping[RevisionKey, run_store.Revision]:
        """Published states by run id and revision."""
        return {(item.run_id, item.revision): item for item in self.revisions}

    def is_deleted(self, file: file_store.StagedFile) -> bool:
        """Whether a tombstone stands for this registration's bytes; one of the same bytes that came later has none."""
        tombstone = self.tombstones.get(file.sha256)
        return tombstone is not None and file.sequence in tombstone.files

    def was_deleted_since(self, file: file_store.StagedFile) -> bool:
        """Whether retention has deleted a registration's bytes since these records were read."""
        with self.tenant.reading() as connection:
            return any(file.sequence in each.files for each in tombstone_store.listed(connection, file.sha256))

    @property
    def current(self) -> dict[str, run_store.Revision]:
        """The revision readers see, by run id."""
        numbers = {run.run_id: run.revision for run in self.runs if run.is_published}
        return {item.run_id: item for item in self.revisions if item.revision == numbers.get(item.run_id)}

    @property
    def sealed(self) -> list[closeout_store.Closeout]:
        """Closeouts that carry a seal, amended ones included."""
        return [closeout for closeout in self.closeouts if closeout.chain_sequence is not None]


def read(tenant: Tenant) -> Records:
    """The records of a tenant as of one moment."""
    with tenant.reading() as connection:
        runs = run_store.list_runs(connection)
        stones = tombstone_store.listed(connection)
        files = [file for kind in staged_tables.STAGED_BY_KIND for file in file_store.staged_files(connection, kind)]
        return Records(
            tenant=tenant,
            files=sorted(files, key=lambda file: file.sequence),
            runs=runs,
            revisions=[item for run in runs for item in run_store.revisions(connection, run.run_id)],
            transitions={run.run_id: run_store.transitions(connection, run.run_id) for run in runs},
            closeouts=closeout_store.listed(connection),
            entries=event_log.entries(connection),
            decisions=decision_store.listed(connection),
            sign_offs=period_store.listed(connection),
            facts=file_facts.recorded(connection),
            tombstones={each.sha256: each for each in stones if each.files},
            set_aside=inbox.set_aside(connection),
            emptied=[each for each in stones if not each.files],
            requests={
                found.run_id: found for run in runs if (found := request_store.find(connection, run.run_id)) is not None
            },
        )
