"""Plays a written world to the engine: ingests, runs its plan, has operators decide and close, reads what is published.

Everything read is text. Does not belong here: the answer key; nothing of it is read while the engine runs.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.sql_text import statement
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

TENANT = "simulation"
_QUARANTINE_IS_KNOWN = "the rows in quarantine are known, and asked for again"
Row = Mapping[str, str]
Progress = Callable[[str, str], None]
Reconcile = Callable[[Tenant, RunRequest], object]


@dataclass(frozen=True)
class Published:
    """What the runs of a world published, as text; null is the empty text.

    `suggestions` are all that some run left, whatever followed; `matches` are those that never were one.
    """

    matches: Sequence[Row]
    suggestions: Sequence[Row]
    exceptions: Sequence[Row]
    open_items: Sequence[Row]
    rollforward: Sequence[Row]
    quarantine: Sequence[Row]
    closeouts: Sequence[Row]
    failed_controls: Sequence[Row]


def replay(
    folder: Path, home: Home, reconcile: Reconcile, progress: Progress, *, all_files_first: bool = False
) -> Published:
    """Run a world's plan in a home without the tenant `simulation`; UsageError when the folder holds no world.

    `all_files_first` ingests every file of the world before the first run, which must not see more by that.
    """
    plan = _plan(folder)
    tenancy.init_home(home)
    if TENANT in tenancy.names(home):
        raise UsageError(f"{home.root} already has a tenant {TENANT!r}: name a fresh home")
    tenant = tenancy.add_tenant(home, TENANT, datetime.now(UTC))
    provider = str(plan["provider"])
    (tenant.paths.providers / f"{provider}.yml").write_bytes((folder / "profile.yml").read_bytes())
    runs = plan["runs"]
    if all_files_first:
        for step in runs:
            _ingest(tenant, provider, folder, step)
    suggestions: dict[str, Row] = {}
    refusals: list[Row] = []
    for step, following in zip(runs, [*runs[1:], None], strict=True):
        window = str(step["ledger_window"])
        progress(window, "ingesting and reconciling")
        if not all_files_first:
            _ingest(tenant, provider, folder, step)
        reconcile(tenant, _request(plan, step))
        if following is not None and following["ledger_window"] == step["ledger_window"]:
            continue  # the file is restated before anybody looks
        suggestions |= {row["match_id"]: row for row in _read(tenant.paths, "matches") if row["status"] == "suggested"}
        progress(window, "deciding and closing")
        refusals += _decide(tenant, folder, step)
        for closed in step.get("close", ()):
            refusals += _close(tenant, plan, str(closed))
    return Published(
        matches=[row for row in _read(tenant.paths, "matches") if row["match_id"] not in suggestions],
        suggestions=list(suggestions.values()),
        exceptions=_read(tenant.paths, "exceptions"),
        open_items=_read(tenant.paths, "open_items"),
        rollforward=_read(tenant.paths, "rollforward"),
        quarantine=_read(tenant.paths, "quarantine"),
        closeouts=_read(tenant.paths, "closeouts"),
        failed_controls=[
            *_read(tenant.paths, "failed_controls"),
            *refusals,
            *_unverified(tenant, provider),
        ],
    )


def _decide(tenant: Tenant, folder: Path, step: Mapping[str, Any]) -> Iterator[Row]:
    """Have operators decide what the step says; yields what they cannot decide."""
    if "decide" not in step:
        return
    with (folder / str(step["decide"])).open(encoding="utf-8", newline="") as file:
        decisions = list(csv.DictReader(file))
    undecided = defaultdict(list)
    for row in _read(tenant.paths, "to_decide"):
        undecided[row["subject_type"], row["subject_id"]].append(row)
    for wanted in decisions:
        subject = f"{wanted['exception_type']} about {wanted['subject_id']}"
        found = [row for row in undecided[wanted["subject_type"], wanted["subject_id"]] if _is_about(row, wanted)]
        if len(found) != 1:
            yield {"control": f"{wanted['action']}: {len(found)} open exceptions {subject} in {step['ledger_window']}"}
            continue
        try:
            deciding.decide(
                tenant,
                DecisionRequest(
                    found[0]["exception_id"], wanted["action"], wanted["actor"], reason=wanted["reason"] or None
                ),
                datetime.now(UTC),
            )
        except RefusedError as refusal:
            yield {"control": f"{wanted['action']} of {subject} in {step['ledger_window']} is refused: {refusal}"}


def _is_about(row: Row, wanted: Row) -> bool:
    is_type = row["exception_type"] in wanted["exception_type"].split("|")
    return is_type and wanted["currency"] in ("", row["currency"])


def _close(tenant: Tenant, plan: Mapping[str, Any], window: str) -> Iterator[Row]:
    """Have two operators close a window; yields what keeps them from it."""
    runs = _read(tenant.paths, "runs")
    (run,) = [row for row in runs if row["ledger_window"] == window]
    with candidates.of_run(tenant, run["run_id"]) as prepared:
        outcome = closing.prepare(prepared, plan["prepared_by"], datetime.now(UTC), accepted=_QUARANTINE_IS_KNOWN)
    if not outcome.blockers:
        with candidates.of_run(tenant, run["run_id"]) as approved:
            outcome = closing.approve(approved, plan["approved_by"], datetime.now(UTC))
    for blocker in outcome.blockers:
        yield {"control": f"close of {window} is blocked by {blocker.kind}: {blocker.explanation}"}


def _unverified(tenant: Tenant, provider: str) -> list[Row]:
    """What of the sealed bundles does not hold, if any was sealed."""
    paths = tenant.paths
    if not any(paths.closeouts.glob("*/*/seal.json")):
        return []
    report = verify.verify(paths.closeouts, tenant.home.trust, paths.heads / f"{provider}.json")
    return [
        {"control": f"seal {found.bundle} does not hold: {found.check}, {found.detail}"}
        for found in report.findings
        if not found.holds
    ]


def _plan(folder: Path) -> Mapping[str, Any]:
    path = folder / "plan.yml"
    if not path.is_file():
        raise UsageError(f"{folder} holds no world: make one with `zentra simulate --out {folder}`")
    return strict_yaml.read_mapping(path)


def _request(plan: Mapping[str, Any], step: Mapping[str, Any]) -> RunRequest:
    return RunRequest(
        provider=str(plan["provider"]),
        settlement_file=str(step["settlement_file"]),
        ledger_window=date.fromisoformat(step["ledger_window"]),
        owner=str(plan["owner"]),
        as_of=datetime.fromisoformat(step["as_of"]),
        actor=TENANT,
        is_confirmed=True,  # a world's days are of 2026, wherever today is
    )


def _ingest(tenant: Tenant, provider: str, folder: Path, step: Mapping[str, Any]) -> None:
    """Ingest the files of a step, in their order."""
    for file in step["ingest"]:
        ingest_files(
            tenant,
            provider=provider,
            kind=file["kind"],
            files=[folder / file["file"]],
            file_id=file["file_id"],
            format="canonical",
            now=datetime.now(UTC),
        )


def _read(paths: TenantPaths, name: str) -> list[Row]:
    """The rows of a statement of `simulation/sql`, as text."""
    result = lake.query(paths, statement("simulation", name))
    return [
        {name: "" if value is None else str(value) for name, value in zip(result.columns, row, strict=True)}
        for row in result.rows
    ]
