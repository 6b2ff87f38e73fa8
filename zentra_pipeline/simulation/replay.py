"""Plays a written world to the engine: ingests, runs its plan, and reads what is published, all as text.

Does not belong here: the answer key; nothing of it is read while the engine runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.window_run import RunRequest
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.tenants import tenancy

TENANT = "simulation"
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
        exceptions.status
    from exceptions inner join runs on exceptions.run_id = runs.run_id
"""
_OPEN_ITEMS = """
    select runs.ledger_window, item_type, item_id, provider_reference, currency, amount_minor, opened_window,
        age_business_days
    from open_items inner join runs on open_items.run_id = runs.run_id
"""
_ROLLFORWARD = """
    select runs.ledger_window, currency, opening_minor, posted_minor, settled_minor, written_off_minor, closing_minor
    from rollforward inner join runs on rollforward.run_id = runs.run_id
    where opening_minor <> 0 or posted_minor <> 0 or settled_minor <> 0 or closing_minor <> 0
"""
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
    failed_controls: Sequence[Row]


def replay(
    folder: Path, home: Home, reconcile: Reconcile, progress: Progress, *, all_files_first: bool = False
) -> Published:
    """Run a world's plan in a home without the tenant `simulation`; UsageError when the folder holds no world.

    `all_files_first` lets every file of the world in before the first run, which must not see more by that.
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
    resolved_in: dict[str, str] = {}
    suggestions: dict[str, Row] = {}
    for position, step in enumerate(runs):
        window = str(step["ledger_window"])
        progress(window, "letting files in and reconciling")
        if not all_files_first:
            _ingest(paths, provider, folder, step)
        reconcile(home, TENANT, _request(plan, step))
        if any(later["ledger_window"] == step["ledger_window"] for later in runs[position + 1 :]):
            continue  # only the last revision of a window counts
        for row in _read(paths, _EXCEPTIONS):
            if row["status"] == "resolved":
                resolved_in.setdefault(row["exception_id"], window)
        suggestions |= {row["match_id"]: row for row in _read(paths, _MATCHES) if row["status"] == "suggested"}
    return Published(
        matches=[row for row in _read(paths, _MATCHES) if row["match_id"] not in suggestions],
        suggestions=list(suggestions.values()),
        exceptions=[
            {**row, "resolved_window": resolved_in.get(row["exception_id"], "")} for row in _read(paths, _EXCEPTIONS)
        ],
        open_items=_read(paths, _OPEN_ITEMS),
        rollforward=_read(paths, _ROLLFORWARD),
        quarantine=_read(paths, _QUARANTINE),
        failed_controls=_read(paths, _FAILED_CONTROLS),
    )


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
    )


def _ingest(paths: TenantPaths, provider: str, folder: Path, step: Mapping[str, Any]) -> None:
    """Let in the files of a step, in their order."""
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
