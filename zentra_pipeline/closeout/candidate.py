"""What is to be closed, and all that is known about it at one moment: a run, or a window in which nothing happened.

Does not belong here: the steps of closing (closing).
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from zentra_pipeline import identifiers, ledger_windows, locks, provenance
from zentra_pipeline.closeout import blockers, closeout_tables
from zentra_pipeline.closeout.blockers import Blocker
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import NotPossibleError, UsageError
from zentra_pipeline.ingest import callback_staging
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import dbt_project, mistakes
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.runtime import intents
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sql_text import statement
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants.tenant import Tenant

_NOTHING: Final = run_store.Revision("", 0, "", hashlib.sha256(b"").hexdigest(), "", "", {}, "", {})


@dataclass(frozen=True)
class CloseoutCandidate:
    """A run with its current revision, its closeouts and the decision log.

    Of a window without activity no run exists yet: `run` says what it would be.
    """

    tenant: Tenant
    run: run_store.Run
    revision: run_store.Revision
    closeouts: list[Closeout]
    decisions: list[Decision]

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.tenant.paths

    @property
    def has_run(self) -> bool:
        """Whether there is a run; a window without activity has none."""
        return self.run.sequence > 0

    @property
    def sealed(self) -> Closeout | None:
        """The newest seal."""
        return next((item for item in reversed(self.closeouts) if item.chain_sequence is not None), None)

    @property
    def prepared(self) -> Closeout | None:
        """What is prepared and not sealed."""
        return next((item for item in self.closeouts if item.chain_sequence is None), None)

    @property
    def log_position(self) -> int:
        """The position of the last decision that is known, which the closeout is judged by."""
        return self.decisions[-1].sequence if self.decisions else 0

    @property
    def is_sealed(self) -> bool:
        """Whether the current revision is the sealed one."""
        return self.sealed is not None and self.sealed.run_revision == self.revision.revision

    def revision_of(self, closeout: Closeout) -> run_store.Revision:
        """The revision of the run that a closeout is about."""
        if not closeout.run_revision:
            return _NOTHING
        with self.tenant.reading() as connection:
            return run_store.revision(connection, self.run.run_id, closeout.run_revision)

    def tables(self) -> AbstractContextManager[CloseoutTables]:
        """The tables to be closed."""
        if not self.has_run:
            return closeout_tables.without_activity(self.run, self.revision, self.decisions)
        return closeout_tables.opened(self.tenant, self.run, self.revision, self.decisions)

    def not_in_review(self) -> list[Blocker]:
        """What blocks a run that is not in review."""
        return blockers.of_run(self.run) if self.has_run else []

    def newer_facts(self) -> list[Blocker]:
        """Facts that arrived since the run was made, also about those before it; without a run, any fact."""
        _, ends_at = bounds(self.paths, self.run.provider, date.fromisoformat(self.run.ledger_window))
        if not self.has_run:
            return _activity(self.paths, self.run)
        with self.tenant.reading() as connection:
            files = blockers.registered(connection)
            opening = blockers.of_opening(connection, self.paths, self.run)
        return [*blockers.of_facts(self.run, self.revision, files, ends_at), *opening]


@contextmanager
def of_run(tenant: Tenant, run_id: str) -> Iterator[CloseoutCandidate]:
    """A run to be closed; no run of its provider is made meanwhile. UsageError when there is no such run."""
    with tenant.reading() as connection:
        provider = run_store.get(connection, run_id).provider
    _stage_waiting(tenant, provider)
    with tenant.holding(locks.provider_lock(provider)):
        yield seen(tenant, run_id)


def seen(tenant: Tenant, run_id: str) -> CloseoutCandidate:
    """A run as somebody looks at it: nothing is staged, and it may be made again meanwhile."""
    with tenant.reading() as connection:
        run = run_store.get(connection, run_id)
        revision = run_store.current_revision(connection, run_id) if run.revision else _NOTHING
        known = closeout_store.of_run(connection, run_id), decision_store.listed(connection)
    return CloseoutCandidate(tenant, run, revision, *known)


@contextmanager
def of_idle_window(
    tenant: Tenant, provider: str, window: date, owner: str, now: datetime
) -> Iterator[CloseoutCandidate]:
    """A window without a run, to be closed as one without activity.

    UsageError when it has a run, or its provider neither a profile nor files nor runs; NotPossibleError when it is not
    over: what happens in it nobody knows yet.
    """
    if identifiers.account_of(provider) is None and provider not in mistakes.known_providers(tenant):
        raise UsageError(f"tenant {tenant.name} has no provider {provider!r}: no profile, no file and no run names it")
    profile, ends_at = load_profile(tenant.paths, provider), bounds(tenant.paths, provider, window)[1]
    if ends_at > now:
        raise NotPossibleError(
            f"window {window} of {provider} is not over before {instant_text(ends_at)}: close it then"
        )
    settlement_file = profile.settlement_file(window)
    run_id = run_store.run_id_of(tenant.name, provider, settlement_file, window)
    _stage_waiting(tenant, provider)
    with tenant.holding(locks.provider_lock(provider)):
        with tenant.reading() as connection:
            runs = run_store.list_runs(connection, provider)
            closeouts, decisions = closeout_store.of_run(connection, run_id), decision_store.listed(connection)
        for run in runs:
            if run.ledger_window == window.isoformat() and not run.is_void:
                raise UsageError(
                    f"window {window} of {provider} has run {run.run_id}: close that one",
                    remedy=Remedy("close that run", "prepare_closeout", {"run_id": run.run_id}),
                )
        owner = closeouts[-1].prepared_by if closeouts else owner
        run = run_store.Run(
            run_id=run_id,
            sequence=0,
            provider=provider,
            settlement_file=settlement_file,
            ledger_window=window.isoformat(),
            owner=owner,
            actor=owner,
            as_of=instant_text(ends_at),
            status="in_review",
            closeout_status="open",
            revision=0,
            inputs_digest=_NOTHING.inputs_digest,
            failure=None,
            created_at=instant_text(now),
        )
        about = {
            name: getattr(run, name) for name in ("run_id", "provider", "settlement_file", "ledger_window", "owner")
        }
        content = {"run": about | {"tenant": tenant.name, "as_of": run.as_of}, "files": [], "earlier": []}
        manifest = content | {"rules": dbt_project.digest(), "code": provenance.code_digest()}
        revision = run_store.Revision(run_id, 0, "", _NOTHING.inputs_digest, owner, run.as_of, {}, run.as_of, manifest)
        yield CloseoutCandidate(tenant, run, revision, closeouts, decisions)


def _stage_waiting(tenant: Tenant, provider: str) -> None:
    """Stage the callbacks and intents that wait: what was received is known when a window is closed."""
    now = datetime.now(UTC)
    callback_staging.stage_callbacks(tenant, provider, now)
    intents.stage_intents(tenant, provider, now)


def bounds(paths: TenantPaths, provider: str, window: date) -> tuple[datetime, datetime]:
    """Where a ledger window begins and ends, in UTC."""
    profile = load_profile(paths, provider)
    starts_at = ledger_windows.window_start(window, profile.timezone, profile.window_cutoff)
    return starts_at, ledger_windows.window_start(window + timedelta(days=1), profile.timezone, profile.window_cutoff)


_ONE: Final = {
    "settlement lines": "settlement line",
    "ledger entries": "ledger entry",
    "callbacks": "callback",
    "bank lines": "bank line",
}


def _activity(paths: TenantPaths, run: run_store.Run) -> list[Blocker]:
    """Rows that belong to a window which is said to have none."""
    window = date.fromisoformat(run.ledger_window)
    begin_and_end = [instant.replace(tzinfo=None) for instant in bounds(paths, run.provider, window)]
    found = lake.query(
        paths,
        statement("closeout", "activity"),
        [run.provider, *begin_and_end, run.settlement_file],
    )
    about = {name: getattr(run, name) for name in ("provider", "settlement_file", "ledger_window")}
    is_settled = bool(dict(found.rows)["settlement lines"])
    return [
        Blocker(
            "activity",
            f"{run.provider} {run.ledger_window}",
            f"{count:,} {what} belong to the window" if count > 1 else f"1 {_ONE[what]} belongs to the window",
            Remedy("run the window", "run_window" if is_settled else "run_window_without_file", about),
        )
        for what, count in found.rows
        if count
    ]
