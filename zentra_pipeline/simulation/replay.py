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

from zentra_pipeline.closeout import case, closing, verify
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.window_run import RunRequest
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.tenants import tenancy

TENANT = "simulation"
_QUARANTINE_IS_KNOWN = "the rows in quarantine are known, and asked for again"
Row = Mapping[str, str]
Progress = Callable[[str, str], None]
Reconcile = Callable[[Home, str, RunRequest], object]

_MATCHES = """
    select runs.ledger_window, matches.match_id, matches.rule, matches.cardinality, matches.method, matches.status,
        matches.currency, matches.settlement_minor, matches.ledger_minor, matches.difference_minor,
        coalesce(legs.settlement_lines, '') as settlement_lines,
        coalesce(legs.ledger_transactions, '') as ledger_transactions,
        coalesce(legs.callbacks, '') as callbacks
    from matches
    inner join runs on matches.run_id = runs.run_id
    left join (
        select match_id,
            string_agg(distinct leg_id, ' ' order by leg_id)
                filter (leg_type = 'settlement_line') as settlement_lines,
            string_agg(distinct leg_id, ' ' order by leg_id)
                filter (leg_type = 'ledger_transaction') as ledger_transactions,
            string_agg(distinct leg_id, ' ' order by leg_id)
                filter (leg_type = 'callback') as callbacks
        from match_legs group by match_id
    ) as legs on matches.match_id = legs.match_id
"""
_EXCEPTIONS = """
    select runs.ledger_window, exceptions.exception_id, exceptions.exception_type, exceptions.subject_type,
        exceptions.subject_id, exceptions.currency, exceptions.difference_minor, exceptions.resolution,
        coalesce(decided.ledger_window, resolvers.ledger_window) as resolved_window
    from exceptions inner join runs on exceptions.run_id = runs.run_id
    left join runs as resolvers
        on exceptions.resolved_run_id = resolvers.run_id and exceptions.resolved_by = 'system'
    left join (
        select exception_id, max_by(ledger_window, sequence) as ledger_window
        from decisions where result = 'resolved' group by exception_id
    ) as decided on exceptions.exception_id = decided.exception_id and exceptions.resolved_by <> 'system'
"""
_TO_DECIDE = """
    select exception_id, exception_type, subject_type, subject_id, coalesce(currency, '') as currency
    from exceptions where status <> 'resolved'
"""
_OPEN_ITEMS = """
    select runs.ledger_window, item_type, item_id, provider_reference, currency, amount_minor, opened_window,
        age_business_days
    from open_items inner join runs on open_items.run_id = runs.run_id
"""
_ROLLFORWARD = """
    select runs.ledger_window, currency, opening_minor, posted_minor, settled_minor, written_off_minor, closing_minor
    from rollforward inner join runs on rollforward.run_id = runs.run_id
    where opening_minor <> 0 or posted_minor <> 0 or settled_minor <> 0 or written_off_minor <> 0 or closing_minor <> 0
"""
_CLOSEOUTS = "select ledger_window, revision, status from closeouts"
_QUARANTINE = "select source, file_id, row_number from quarantine"
_FAILED_CONTROLS = """
    select 'roll-forward of ' || currency || ' in ' || run_id || ' is off by ' || difference_minor as control
    from rollforward where difference_minor <> 0
    union all
    select 'conservation of ' || side || ' ' || currency || ' in ' || run_id || ' does not hold'
    from conservation
    where rows_unexplained <> 0 or amount_unexplained_minor <> 0
        or rows_in <> matched + in_transit + excepted + accounted + duplicates + quarantined
    union all
    select 'exception ' || exception_id || ' has no owner, lane or due date'
    from exceptions where owner is null or lane is null or due_at is null
    union all
    select 'exception ' || exception_id || ' stands twice' from exceptions group by exception_id having count(*) > 1
"""


@dataclass(frozen=True)
class Published:
    """What the runs of a world published, as text; null is the empty text.

    `suggestions` are all that stood after some run, whatever became of them; `matches` are those that never were one.
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
    if TENANT in tenancy.tenants(home):
        raise UsageError(f"{home.root} already has a tenant {TENANT!r}: name a fresh home")
    paths = tenancy.add_tenant(home, TENANT, datetime.now(UTC))
    provider = str(plan["provider"])
    (paths.providers / f"{provider}.yml").write_bytes((folder / "profile.yml").read_bytes())
    runs = plan["runs"]
    if all_files_first:
        for step in runs:
            _ingest(paths, provider, folder, step)
    suggestions: dict[str, Row] = {}
    refusals: list[Row] = []
    for step, following in zip(runs, [*runs[1:], None], strict=True):
        window = str(step["ledger_window"])
        progress(window, "ingesting and reconciling")
        if not all_files_first:
            _ingest(paths, provider, folder, step)
        reconcile(home, TENANT, _request(plan, step))
        if following is not None and following["ledger_window"] == step["ledger_window"]:
            continue  # the file is restated before anybody looks
        suggestions |= {row["match_id"]: row for row in _read(paths, _MATCHES) if row["status"] == "suggested"}
        progress(window, "deciding and closing")
        refusals += _decide(home, paths, folder, step)
        for closed in step.get("close", ()):
            refusals += _close(home, paths, plan, str(closed))
    return Published(
        matches=[row for row in _read(paths, _MATCHES) if row["match_id"] not in suggestions],
        suggestions=list(suggestions.values()),
        exceptions=_read(paths, _EXCEPTIONS),
        open_items=_read(paths, _OPEN_ITEMS),
        rollforward=_read(paths, _ROLLFORWARD),
        quarantine=_read(paths, _QUARANTINE),
        closeouts=_read(paths, _CLOSEOUTS),
        failed_controls=[*_read(paths, _FAILED_CONTROLS), *refusals, *_unverified(home, paths, provider)],
    )


def _decide(home: Home, paths: TenantPaths, folder: Path, step: Mapping[str, Any]) -> Iterator[Row]:
    """Have operators decide what the step says; yields what they cannot decide."""
    if "decide" not in step:
        return
    with (folder / str(step["decide"])).open(encoding="utf-8", newline="") as file:
        decisions = list(csv.DictReader(file))
    undecided = defaultdict(list)
    for row in _read(paths, _TO_DECIDE):
        undecided[row["subject_type"], row["subject_id"]].append(row)
    for wanted in decisions:
        subject = f"{wanted['exception_type']} about {wanted['subject_id']}"
        found = [row for row in undecided[wanted["subject_type"], wanted["subject_id"]] if _is_about(row, wanted)]
        if len(found) != 1:
            yield {"control": f"{wanted['action']}: {len(found)} open exceptions {subject} in {step['ledger_window']}"}
            continue
        try:
            deciding.decide(
                home,
                TENANT,
                found[0]["exception_id"],
                wanted["action"],
                wanted["actor"],
                now=datetime.now(UTC),
                reason=wanted["reason"] or None,
            )
        except RefusedError as refusal:
            yield {"control": f"{wanted['action']} of {subject} in {step['ledger_window']} is refused: {refusal}"}


def _is_about(row: Row, wanted: Row) -> bool:
    is_type = row["exception_type"] in wanted["exception_type"].split("|")
    return is_type and wanted["currency"] in ("", row["currency"])


def _close(home: Home, paths: TenantPaths, plan: Mapping[str, Any], window: str) -> Iterator[Row]:
    """Have two operators close a window; yields what keeps them from it."""
    (run,) = [row for row in _read(paths, "select run_id, ledger_window from runs") if row["ledger_window"] == window]
    with case.of_run(home, TENANT, run["run_id"]) as prepared:
        outcome = closing.prepare(prepared, plan["prepared_by"], datetime.now(UTC), accepted=_QUARANTINE_IS_KNOWN)
    if not outcome.blockers:
        with case.of_run(home, TENANT, run["run_id"]) as approved:
            outcome = closing.approve(approved, plan["approved_by"], datetime.now(UTC))
    for blocker in outcome.blockers:
        yield {"control": f"close of {window} is blocked by {blocker.kind}: {blocker.explanation}"}


def _unverified(home: Home, paths: TenantPaths, provider: str) -> list[Row]:
    """What of the sealed bundles does not hold, if any was sealed."""
    if not any(paths.closeouts.glob("*/*/seal.json")):
        return []
    report = verify.verify(paths.closeouts, home.trust, paths.heads / f"{provider}.json")
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


def _ingest(paths: TenantPaths, provider: str, folder: Path, step: Mapping[str, Any]) -> None:
    """Ingest the files of a step, in their order."""
    for file in step["ingest"]:
        ingest_files(
            paths,
            provider=provider,
            kind=file["kind"],
            files=[folder / file["file"]],
            file_id=file["file_id"],
            format="canonical",
            now=datetime.now(UTC),
        )


def _read(paths: TenantPaths, sql: str) -> list[Row]:
    result = lake.query(paths, sql)
    return [
        {name: "" if value is None else str(value) for name, value in zip(result.columns, row, strict=True)}
        for row in result.rows
    ]
