"""The sensor that ingests what arrives in drop folders, each file once, and asks for the run of a settlement file.

Which folders there are: zentra_pipeline/config/drops.py. Does not belong here: what ingest does with a file.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import dagster as dg
import fsspec

from zentra_pipeline.config.drops import Drop, load_drops
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, is_shown, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.ingest.file_windows import named_window
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import DEFAULT_OWNER, TenantPaths
from zentra_pipeline.tenants.tenant import Tenant

_ACTOR: Final = "drop_folder"
_MOST_FILES: Final = 20
_ARRIVING: Final = "arriving"
_INGESTED: Final = "ingested"


@dataclass
class _Tick:
    """What a look into the folders came to; `seen` is the cursor: folder → file → [what it looks like, its state]."""

    seen: dict[str, dict[str, list[str]]]
    requests: list[dg.RunRequest] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ingested: int = 0


@dg.sensor(
    name="file_drop",
    job_name="reconcile_window",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ingests what arrives in drop folders, each file once; settlement files have their window run.",
)
def file_drop(context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]) -> dg.SensorResult:
    """Ingest every file that looks as it did a tick ago; one that still grows waits for the next."""
    tick = _Tick({})
    before = json.loads(context.cursor or "{}")
    for tenant in reconciler.tenants():
        try:
            drops = load_drops(tenant.paths)
        except ZentraError as cause:
            tick.said.append(f"{tenant.name}: {cause}")
            continue
        for drop in drops:
            name = f"{tenant.name} {drop.provider} {drop.kind} {drop.url}"
            tick.seen[name] = dict(before.get(name, {}))
            try:
                _look(context.instance, tenant, drop, tick, tick.seen[name])
            except (OSError, ImportError, ValueError) as cause:
                tick.said.append(f"{name}: the folder cannot be read: {cause}")
    said = "; ".join(tick.said) or "no new file"
    return dg.SensorResult(
        run_requests=tick.requests,
        skip_reason=None if tick.requests else dg.SkipReason(f"{tick.ingested} files ingested; {said}"),
        cursor=json.dumps(tick.seen, sort_keys=True),
    )


def _look(instance: dg.DagsterInstance, tenant: Tenant, drop: Drop, tick: _Tick, seen: dict[str, list[str]]) -> None:
    files, root = fsspec.core.url_to_fs(drop.url)
    found = {PurePosixPath(item["name"]).name: item for item in files.ls(root, detail=True) if item["type"] == "file"}
    for gone in seen.keys() - found.keys():
        del seen[gone]
    for name, item in sorted(found.items()):
        if not drop.takes(name):
            continue
        looks, (looked, state) = _looks(item), seen.get(name, ["", ""])
        if looks != looked:
            seen[name] = [looks, _ARRIVING]
        elif state == _ARRIVING and tick.ingested < _MOST_FILES:
            tick.ingested += 1
            with tempfile.TemporaryDirectory(dir=tenant.paths.scratch) as folder:
                copy = Path(folder) / name
                files.get_file(item["name"], str(copy))
                seen[name] = [looks, _INGESTED]
                try:
                    tick.requests += _ingest(instance, tenant, drop, copy)
                except ZentraError as cause:
                    seen[name] = [looks, f"{name} was refused: {cause}"]
        if seen[name][1] not in (_ARRIVING, _INGESTED):
            tick.said.append(seen[name][1])


def _looks(item: dict[str, Any]) -> str:
    """What distinguishes one content of a file from another without reading it."""
    times = (item.get(name) for name in ("ETag", "mtime", "LastModified", "created"))
    return f"{item['size']} {next((str(time) for time in times if time is not None), '')}"


def _ingest(instance: dg.DagsterInstance, tenant: Tenant, drop: Drop, file: Path) -> Iterator[dg.RunRequest]:
    """Ingest a file, and ask for the run of the window that a settlement file names."""
    outcome = ingest_files(
        tenant,
        provider=drop.provider,
        kind=drop.kind,
        files=[file],
        file_id=None,
        format=_format(tenant.paths, drop),
        now=datetime.now(UTC),
    )
    (ingested,) = outcome.files
    profile = load_profile(tenant.paths, drop.provider)
    window = named_window(profile, ingested.file_id) if drop.kind == "settlement" else None
    if window is None:
        return
    if not is_shown(window):
        # Dagster learns of the window when its definitions are loaded again; whoever serves the queue does not wait.
        request = RunRequest(drop.provider, ingested.file_id, window, DEFAULT_OWNER, None, _ACTOR)
        run_requests.submit(tenant, request, datetime.now(UTC))
        return
    yield _request(instance, tenant.name, drop.provider, window, f"{ingested.file_id}-{ingested.sha256[:16]}")


def _request(instance: dg.DagsterInstance, tenant: str, provider: str, window: date, content: str) -> dg.RunRequest:
    scope = scope_key(tenant, provider)
    instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope])
    return dg.RunRequest(
        run_key=f"drop-{scope}-{content}",
        partition_key=partition_key(tenant, provider, window),
        run_config={"ops": {"reconciliation_window": {"config": {"actor": _ACTOR}}}},
    )


def _format(paths: TenantPaths, drop: Drop) -> str:
    profile = load_profile(paths, drop.provider)
    formats = {"settlement": profile.settlement_format, "callbacks": profile.callback_format}
    return formats.get(drop.kind, "canonical")
