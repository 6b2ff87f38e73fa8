"""Requested runs: recorded together with the run they name, executed later by the worker or by Dagster.

The same request again is the same run, and is executed again only when there is something it has not seen. Does not
belong here: HTTP (api), the queue's own queries (store.requests).
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from zentra_pipeline.contracts.staged_tables import TABLE_OF_KIND
from zentra_pipeline.errors import UsageError
from zentra_pipeline.reconcile import window_run
from zentra_pipeline.reconcile.window_run import RunRequest
from zentra_pipeline.settings import Home
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store
from zentra_pipeline.store.requests import IdempotencyKey
from zentra_pipeline.tenants.tenancy import require_tenant


class KeyReusedError(UsageError):
    """An idempotency key stands for another request already; nothing changed."""

    kind = "key-reused"


@dataclass(frozen=True)
class Submitted:
    """What a request came to: its run, and whether it has been queued for execution by this request."""

    run: run_store.Run
    is_queued: bool


def submit(home: Home, tenant: str, request: RunRequest, now: datetime, key: str | None = None) -> Submitted:
    """Record a run and have it executed, in one transaction; a known idempotency `key` only names its run again.

    Raises what window_run.check_request raises, and KeyReusedError.
    """
    paths = require_tenant(home, tenant)
    engine = operational_store(paths)
    digest = digest_of(request)
    if key is not None:
        with engine.begin() as connection:
            known = _known(connection, key, digest)
        if known is not None:
            return known
    window_run.check_request(home, tenant, request, now)
    with engine.begin() as connection:
        known = None if key is None else _known(connection, key, digest)
        if known is not None:
            return known
        run_id = window_run.run_id_of(tenant, request)
        before = next((run for run in run_store.list_runs(connection, request.provider) if run.run_id == run_id), None)
        run = window_run.find_or_create(connection, tenant, request, now)
        is_queued = _is_due(connection, before, run, now)
        if is_queued:
            request_store.queue(connection, run.run_id, request.actor, now)
        if key is not None:
            request_store.keep_key(connection, IdempotencyKey(key, digest, run.run_id), now)
        return Submitted(run, is_queued)


def digest_of(request: RunRequest) -> str:
    """Hex SHA-256 of what is asked for, whoever asks."""
    content = [
        request.provider,
        request.settlement_file,
        request.ledger_window.isoformat(),
        request.owner,
        None if request.as_of is None else request.as_of.isoformat(),
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def _known(connection: Connection, key: str, digest: str) -> Submitted | None:
    known = request_store.known_key(connection, key)
    if known is None:
        return None
    if known.request_digest != digest:
        raise KeyReusedError(f"idempotency key {key!r} was used for another request: use a new key for a new request")
    return Submitted(run_store.get(connection, known.run_id), is_queued=False)


def _is_due(connection: Connection, before: run_store.Run | None, run: run_store.Run, now: datetime) -> bool:
    """Whether the run has to be executed: it never was, failed, was asked for otherwise, or facts have come since."""
    known = request_store.find(connection, run.run_id)
    if known is not None and known.status == "queued":
        return False
    if before is None or _asks_otherwise(before, run) or (known is not None and known.is_cut_off(now)):
        return True
    waiting = {found.provider for found in inbox_store.waiting(connection)}
    if run.provider in waiting | {found.provider for found in intent_store.waiting(connection)}:
        return True
    registered = [file for kind in TABLE_OF_KIND for file in file_store.staged_files(connection, kind)]
    if known is not None and known.status == "launched":
        return any(file.received_at > known.requested_at for file in registered)
    if not run.revision or run.status == "failed" or (known is not None and known.status == "failed"):
        return True
    seen = {file["sequence"] for file in run_store.current_revision(connection, run.run_id).manifest.get("files", ())}
    return any(file.sequence not in seen for file in registered)


def _asks_otherwise(before: run_store.Run, run: run_store.Run) -> bool:
    return (before.owner, before.as_of) != (run.owner, run.as_of)
