"""Replays published windows with a changed profile, in scratch, to see what would match and break; publishes nothing.

The replay is a chain of its own: each window starts from what the replayed window before left open. Does not belong
here: changing the profile, or anything a reader sees.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_execute, gather, run_database
from zentra_pipeline.reconcile.inputs import EarlierRun, RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

_MATCHES: Final = """
    select
        matches.rule, matches.status, matches.currency, matches.settlement_minor, matches.ledger_minor,
        string_agg(legs.leg_type || ' ' || legs.leg_id, ', ' order by legs.leg_type desc, legs.leg_id) as legs
    from {schema}.matches as matches
    inner join {schema}.match_legs as legs on matches.match_id = legs.match_id and legs.leg_type <> 'callback'
    where matches.status <> 'reversed'
    group by
        matches.match_id, matches.rule, matches.status, matches.currency, matches.settlement_minor, matches.ledger_minor
"""
_EXCEPTIONS: Final = """
    select exception_type, subject_type, subject_id, currency, amount_minor, difference_minor
    from {schema}.exceptions
    where status <> 'resolved'
"""


@dataclass(frozen=True)
class WindowChange:
    """How one window would have come out: rows as mappings, gone from and new against what is published."""

    ledger_window: str
    settlement_file: str
    matches_gone: list[dict[str, Any]]
    matches_new: list[dict[str, Any]]
    exceptions_gone: list[dict[str, Any]]
    exceptions_new: list[dict[str, Any]]

    @property
    def is_unchanged(self) -> bool:
        return not (self.matches_gone or self.matches_new or self.exceptions_gone or self.exceptions_new)


def backtest(
    tenant: Tenant,
    provider: str,
    profile: Profile,
    *,
    first: date | None = None,
    last: date | None = None,
    progress: Callable[[str, str], None] | None = None,
) -> list[WindowChange]:
    """Replay the provider's published runs in order and compare those with a window in [first, last].

    Earlier windows are replayed too, for what they leave open. UsageError when the provider has published nothing.
    """
    with tenant.reading() as connection:
        runs = [run for run in run_store.list_runs(connection, provider) if run.is_published]
        published = {run.run_id: run_store.current_revision(connection, run.run_id) for run in runs}
    if not runs:
        raise UsageError(f"{provider} has no published run to replay: run a window first")
    workspace = TenantPaths(tenant.paths.scratch / f"backtest-{os.getpid()}")
    changes: list[WindowChange] = []
    earlier: list[EarlierRun] = []
    try:
        for run in runs:
            if progress is not None:
                progress("replay", f"window {run.ledger_window} with the changed profile")
            gathered = gather.run_inputs(tenant, run)
            inputs = replace(gathered, profile=profile, earlier=tuple(earlier), reads_whole_history=True)
            replayed = _replay(inputs, workspace, tenant.paths.root)
            earlier.append(
                EarlierRun(
                    run_id=run.run_id,
                    sequence=run.sequence,
                    revision=1,
                    content_digest="",
                    settlement_file=run.settlement_file,
                    ledger_window=inputs.ledger_window,
                    as_of=inputs.as_of,
                    window_ends_at=inputs.window_ends_at,
                    tables=replayed,
                    clearing_accounts=frozenset(profile.clearing_accounts),
                    files=frozenset(file.sequence for file in inputs.files),
                )
            )
            if (first or date.min) <= inputs.ledger_window <= (last or date.max):
                before = {
                    name: tenant.paths.root / table["path"] for name, table in published[run.run_id].tables.items()
                }
                changes.append(_compare(run, before, replayed))
    finally:
        shutil.rmtree(workspace.root, ignore_errors=True)
    return changes


def _replay(inputs: RunInputs, workspace: TenantPaths, tenant_root: Path) -> dict[str, Path]:
    with run_database.run_database(inputs, workspace.scratch / inputs.run_id, tenant_root) as database:
        dbt_execute.build(database, read_afterwards=run_database.READ_AFTERWARDS)
        tables = lake_files.publish(
            database,
            workspace,
            provider=inputs.provider,
            ledger_window=inputs.ledger_window.isoformat(),
            run_id=inputs.run_id,
            revision=1,
        )
    return {name: workspace.root / table.path for name, table in tables.items()}


def _compare(run: run_store.Run, before: dict[str, Path], after: dict[str, Path]) -> WindowChange:
    with private_database.opened() as connection:
        for schema, tables in (("published", before), ("replayed", after)):
            connection.execute(f"create schema {schema}")
            for name in ("matches", "match_legs", "exceptions"):
                rows = f"from {sql_text.parquet_scan([tables[name]], lake_files.columns_sql(name))}"
                connection.execute(f"create view {schema}.{name} as {rows}")

        def only(question: str, here: str, there: str) -> list[dict[str, Any]]:
            answer = connection.execute(
                f"from ({question.format(schema=here)} except all {question.format(schema=there)}) order by all"
            )
            names = [column[0] for column in answer.description or []]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

        return WindowChange(
            ledger_window=run.ledger_window,
            settlement_file=run.settlement_file,
            matches_gone=only(_MATCHES, "published", "replayed"),
            matches_new=only(_MATCHES, "replayed", "published"),
            exceptions_gone=only(_EXCEPTIONS, "published", "replayed"),
            exceptions_new=only(_EXCEPTIONS, "replayed", "published"),
        )
