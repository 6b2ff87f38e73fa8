"""The sensor that ingests what arrives in drop folders, each file once, and asks for the run of a settlement file.

Which folders there are: zentra_pipeline/config/drop_folders.py. Does not belong here: what ingest does with a file.
"""

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import dagster as dg
import fsspec
from fsspec import AbstractFileSystem

from zentra_pipeline import identifiers
from zentra_pipeline.config.drop_folders import DropFolder, drop_folders
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, is_shown, partition_key, scope_key
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import UnavailableError, UsageError, ZentraError
from zentra_pipeline.ingest.file_windows import named_window
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.ingest.mappings import format_in_force
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import DEFAULT_OWNER
from zentra_pipeline.tenants.tenant import Tenant

_ACTOR: Final = "drop_folder"
_MOST_FILES: Final = 20
_LONGEST_SECONDS: Final = 20.0  # Dagster gives up on a tick after 60
_MOST_SAID: Final = 20
_SAID_CHARACTERS: Final = 500
_ARRIVING: Final = "arriving"
_INGESTED: Final = "ingested"
_WHAT_CHANGES: Final = ("size", "ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created", "ino")
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")
_KEPT_OF_A_NAME: Final = 100
_USER: Final = re.compile(r"//[^/@]*@")  # a user and a password in a URL, which nobody is shown

Seen = dict[str, list[str]]
"""File → [what it looks like, its state, the profile it was read by]; state: arriving, ingested, or why refused."""


@dataclass
class _Tick:
    """What a look into the folders came to; `seen` is the cursor: folder → its files."""

    seen: dict[str, Seen] = field(default_factory=dict)
    requests: list[dg.RunRequest] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ingested: int = 0
    ends: float = field(default_factory=lambda: time.monotonic() + _LONGEST_SECONDS)

    def has_room(self) -> bool:
        """Whether one more file may be ingested; the others wait for the next tick."""
        return self.ingested < _MOST_FILES and self.has_time()

    def has_time(self) -> bool:
        """Whether the tick may begin with another file."""
        return time.monotonic() < self.ends

    def say(self, what: str) -> None:
        """Note what a person should know; bytes of a name that are no text are shown as `?`."""
        self.said.append(_text(what)[:_SAID_CHARACTERS])


@dg.sensor(
    name="file_drop",
    job_name="reconcile_window",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ingests what arrives in drop folders, each file once; settlement files have their window run.",
)
def file_drop(context: dg.SensorEvaluationContext, reconciler: dg.ResourceParam[Reconciler]) -> dg.SensorResult:
    """Ingest every file that looks as it did a tick ago; one that still grows waits for the next."""
    tick = _Tick()
    before = json.loads(context.cursor or "{}")
    for tenant in reconciler.tenants():
        folders, faults = drop_folders(tenant.paths)
        for fault in faults:
            tick.say(f"{tenant.name}: {fault}")
        for folder in folders:
            drop = folder.drop
            place = _USER.sub("//", drop.url)
            name = f"{tenant.name} {folder.provider} {drop.kind} {place} {drop.files}"
            tick.seen[name] = dict(before.get(name, {}))
            try:
                _look(context.instance, tenant, folder, tick, tick.seen[name])
            except Exception as cause:  # a bucket's client raises errors of its own, and one folder stops no other
                tick.say(f"{tenant.name} {folder.provider}: {place} cannot be read: {_USER.sub('//', str(cause))}")
    said = [f"{tick.ingested} files ingested", *tick.said[:_MOST_SAID], *_more(tick)]
    return dg.SensorResult(
        run_requests=tick.requests,
        skip_reason=None if tick.requests else dg.SkipReason("; ".join(said)),
        cursor=json.dumps(tick.seen, sort_keys=True),
    )


def _more(tick: _Tick) -> list[str]:
    """What ends a message: how many faults are left out, or that there was nothing."""
    if len(tick.said) > _MOST_SAID:
        return [f"and {len(tick.said) - _MOST_SAID} more"]
    return [] if tick.said or tick.ingested else ["no new file"]


def _look(instance: dg.DagsterInstance, tenant: Tenant, folder: DropFolder, tick: _Tick, seen: Seen) -> None:
    files, root = fsspec.core.url_to_fs(folder.drop.url)
    found = _listed(files, root)
    for gone in seen.keys() - found.keys():
        del seen[gone]
    profile = load_profile(tenant.paths, folder.provider).digest()[:16]
    resting: list[str] = []
    for name, item in sorted(found.items()):
        if not folder.drop.takes(name):
            continue
        looks, (looked, state, read_by) = _looks(item), seen.get(name, ["", "", ""])
        if looks != looked:
            seen[name] = [looks, _ARRIVING, ""]
        elif state != _INGESTED and read_by != profile and tick.has_room():
            tick.ingested += 1
            resting.append(name)
    with tempfile.TemporaryDirectory(dir=tenant.paths.scratch) as scratch:
        copies = _copied(files, {name: found[name] for name in resting}, Path(scratch), tick)
        for position, (name, copy) in enumerate(copies.items()):
            if position and not tick.has_time():
                break
            state = _taken(instance, tenant, folder, copy, tick)
            seen[name] = [seen[name][0], state, "" if state == _ARRIVING else profile]
    for _looked, state, _read_by in seen.values():
        if state not in (_ARRIVING, _INGESTED):
            tick.say(state)


def _listed(files: AbstractFileSystem, root: str) -> dict[str, dict[str, Any]]:
    """The files of a folder by name. A link is none: who may write there must not have others' files read."""
    files.invalidate_cache(root)
    return {PurePosixPath(item["name"]).name: item for item in files.ls(root, detail=True) if item["type"] == "file"}


def _looks(item: dict[str, Any]) -> str:
    """A digest of what distinguishes one content of a file from another without reading it."""
    parts = "|".join(str(item.get(name, "")) for name in _WHAT_CHANGES)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _copied(
    files: AbstractFileSystem, wanted: dict[str, dict[str, Any]], scratch: Path, tick: _Tick
) -> dict[str, Path]:
    """Copies of the wanted files by name; those that went, changed while they were copied or cannot be read are out."""
    copies: dict[str, Path] = {}
    for position, (name, item) in enumerate(wanted.items()):
        if position and not tick.has_time():
            break
        copy = scratch / str(position) / _text(name)
        copy.parent.mkdir()
        try:
            files.get_file(item["name"], str(copy))
        except FileNotFoundError:
            continue
        except Exception as cause:  # as the client of a bucket puts it
            tick.say(f"{name} cannot be read and is tried again at the next tick: {cause}")
            continue
        copies[name] = copy
    if not copies:
        return {}
    now = _listed(files, str(PurePosixPath(next(iter(wanted.values()))["name"]).parent))
    return {
        name: copy
        for name, copy in copies.items()
        if name in now and _looks(now[name]) == _looks(wanted[name]) and copy.stat().st_size == wanted[name]["size"]
    }


def _text(name: str) -> str:
    """A name as text that can be stored: bytes that are none are `?`."""
    return name.encode("utf-8", "replace").decode()


def _taken(instance: dg.DagsterInstance, tenant: Tenant, folder: DropFolder, copy: Path, tick: _Tick) -> str:
    """Ingest the copy of a file; the state that the file is in then."""
    try:
        tick.requests += _ingest(instance, tenant, folder, copy, tick)
    except (ZentraError, OSError) as cause:
        if isinstance(cause, ZentraError) and not isinstance(cause, UnavailableError):
            return f"{copy.name} was refused: {cause}"[:_SAID_CHARACTERS]
        tick.say(f"{copy.name} cannot be ingested now and is tried again at the next tick: {cause}")
        return _ARRIVING
    return _INGESTED


def _ingest(
    instance: dg.DagsterInstance, tenant: Tenant, folder: DropFolder, file: Path, tick: _Tick
) -> Iterator[dg.RunRequest]:
    """Ingest a file, and ask for the run of the window that a settlement file names."""
    provider, kind = folder.provider, folder.drop.kind
    outcome = ingest_files(
        tenant,
        provider=provider,
        kind=kind,
        files=[file],
        file_id=_id_of(file),
        format=format_in_force(tenant.paths, provider, kind),
        now=datetime.now(UTC),
        received_by=_ACTOR,
    )
    (ingested,) = outcome.files
    if kind != "settlement":
        return
    profile = load_profile(tenant.paths, provider)
    window = named_window(profile, ingested.file_id)
    if window is None:
        if not ingested.unchanged:
            form = f"settlement_file_name {profile.settlement_file_name}"
            tick.say(f"{file.name} is ingested as {ingested.file_id}, which is no window's ({form}): ask for its run")
        return
    if not is_shown(window):
        # Dagster learns of the window when its definitions are loaded again; whoever serves the queue does not wait.
        request = RunRequest(provider, ingested.file_id, window, DEFAULT_OWNER, None, _ACTOR)
        run_requests.submit(tenant, request, datetime.now(UTC))
        return
    yield _request(instance, tenant.name, provider, window, f"{ingested.file_id}-{ingested.sha256[:16]}")


def _id_of(file: Path) -> str:
    """The file's stem; where that is no settlement file id, what can be kept of it and a digest of the whole."""
    try:
        return identifiers.settlement_file_id(file.stem)
    except UsageError:
        kept = _NOT_IN_AN_ID.sub("_", file.stem).strip("._-")[:_KEPT_OF_A_NAME] or "file"
        return f"{kept}-{hashlib.sha256(file.stem.encode()).hexdigest()[:8]}"


def _request(instance: dg.DagsterInstance, tenant: str, provider: str, window: date, content: str) -> dg.RunRequest:
    scope = scope_key(tenant, provider)
    instance.add_dynamic_partitions(SCOPE_PARTITIONS, [scope])
    return dg.RunRequest(
        run_key=f"drop-{scope}-{content}",
        partition_key=partition_key(tenant, provider, window),
        run_config={"ops": {"reconciliation_window": {"config": {"actor": _ACTOR}}}},
    )
