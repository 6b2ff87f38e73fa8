"""What is asked for when a run is: checked, named, and recorded together with its run to be executed later.

The same request again is the same run, and is executed again only when there is something it has not seen. Does not
belong here: HTTP (api), the queue's own queries (store.requests), executing a run (window_run).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from zentra_pipeline import identifiers
from zentra_pipeline.config.bank_profile import bank_names, load_bank
from zentra_pipeline.config.business_days import load_business_days
from zentra_pipeline.config.profile import load_profile, of_bank_account
from zentra_pipeline.config.routing import load_routing
from zentra_pipeline.contracts.staged_tables import BANK_KIND, TABLE_OF_KIND
from zentra_pipeline.errors import InputRejectedError, UnconfirmedError, UsageError
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.ingest import empty_settlement
from zentra_pipeline.instants import instant_of
from zentra_pipeline.published import lake
from zentra_pipeline.queue import run_queue
from zentra_pipeline.reconcile import mistakes
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.store import event_log
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.requests import IdempotencyKey
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant


class KeyReusedError(UsageError):
    """An idempotency key belongs to another request already; nothing changed."""

    kind = "key-reused"


@dataclass(frozen=True)
class Submitted:
    """What a request came to: its run, and whether it has been queued for execution by this request."""

    run: run_store.Run
    is_queued: bool


@dataclass(frozen=True)
class RunRequest:
    """What is asked for: one provider's settlement file against one ledger window.

    Without `as_of` the recorded one holds, for a new run the time it is created; without `owner` the recorded one.
    `is_confirmed`: whoever asks means it, also where it looks like a mistake. `is_nothing_settled`: a settlement file
    that never came is one without lines, and recorded so.
    """

    provider: str
    settlement_file: str
    ledger_window: date
    owner: str | None
    as_of: datetime | None = None
    actor: str = "cli"
    is_confirmed: bool = False
    is_nothing_settled: bool = False


def as_request(run: run_store.Run, actor: str) -> RunRequest:
    """A recorded run as one asks for it again: its owner and as_of are the recorded ones."""
    return RunRequest(run.provider, run.settlement_file, run_queue.window_of(run), None, None, actor)


def of_account(
    account: str,
    window: date,
    owner: str | None,
    as_of: datetime | None = None,
    actor: str = "cli",
    *,
    is_confirmed: bool = False,
) -> RunRequest:
    """The run of a bank account and day, as one asks for it; UsageError for an account that cannot be."""
    file = of_bank_account().settlement_file(window)
    return RunRequest(identifiers.bank_scope(account), file, window, owner, as_of, actor, is_confirmed)


def find(tenant: Tenant, provider: str, settlement_file: str, ledger_window: date) -> run_store.Run | None:
    """The run a request names, where there is one already."""
    run_id = run_store.run_id_of(tenant.name, provider, settlement_file, ledger_window)
    with tenant.reading() as connection:
        return next((run for run in run_store.list_runs(connection, provider) if run.run_id == run_id), None)


def check_request(tenant: Tenant, request: RunRequest, now: datetime | None = None) -> None:
    """Refuse what can never be a run, before anything is recorded; errors as window_run.run_window's."""
    identifiers.scope_id(request.provider)
    identifiers.settlement_file_id(request.settlement_file)
    if request.owner is not None and not request.owner.strip():
        raise UsageError("an owner must not be blank: name the person or team that answers for the run")
    access.require_names_of_run(tenant, request.actor, request.owner)
    load_profile(tenant.paths, request.provider)
    load_routing(tenant.paths)
    load_business_days(tenant.paths)
    account = identifiers.account_of(request.provider)
    with tenant.reading() as connection:
        ingested = [] if account is not None else file_store.staged_files(connection, "settlement")
        statements = [] if account is None else file_store.staged_files(connection, BANK_KIND)
        known = run_store.find(connection, run_id_of(tenant.name, request))
        waiting = request_store.find(connection, run_id_of(tenant.name, request))
    if known is None and not request.is_confirmed:
        if account is None:
            mistakes.check_provider(tenant, request.provider)
        mistakes.check_window(tenant.paths, request.provider, request.ledger_window, now or datetime.now(UTC))
    is_meant = request.is_confirmed or (waiting is not None and waiting.status in request_store.UNFINISHED)
    if known is not None and known.is_void and not is_meant:  # what waits to be executed was confirmed before
        raise UnconfirmedError(
            f"run {known.run_id} was taken back; `reason` in the run says why. Do you want it again?"
        )
    if account is not None:
        _check_account(tenant, account, is_any_ingested=bool(statements))
        return
    if any(file.file_id == request.settlement_file and file.provider == request.provider for file in ingested):
        return
    if not request.is_nothing_settled:
        raise InputRejectedError(
            f"settlement file {request.settlement_file!r} of {request.provider} was never ingested: "
            "ingest it as a settlement file first",
            remedy=Remedy(
                "ingest the settlement file, or run the window as one in which nothing was settled",
                "ingest_settlement",
                {"provider": request.provider, "settlement_file": request.settlement_file},
            ),
        )
    empty_settlement.declare(tenant, request.provider, request.settlement_file, request.actor, now or datetime.now(UTC))


def _check_account(tenant: Tenant, account: str, *, is_any_ingested: bool) -> None:
    """Refuse a bank account that nothing speaks of, and a tenant whose statements never came."""
    of_banks = {
        identifiers.account_id(known)
        for name in bank_names(tenant.paths)
        for known in load_bank(tenant.paths, name).accounts
    }
    of_providers = {
        known
        for path in tenant.paths.providers.glob("*.yml")
        for known in load_profile(tenant.paths, path.stem).payout_account.values()
    }
    if account not in of_banks | of_providers and not _has_history(tenant, account):
        known = ", ".join(sorted(of_banks | of_providers)) or "none yet"
        raise InputRejectedError(
            f"bank account {account!r} is in no bank profile, and no provider pays into it; known accounts: {known}"
        )
    if not is_any_ingested:
        raise InputRejectedError("no bank statement was ever ingested: ingest one of this account first")


def _has_history(tenant: Tenant, account: str) -> bool:
    """Whether runs or statements of an account are there, whatever profiles say by now."""
    with tenant.reading() as connection:
        if run_store.list_runs(connection, identifiers.bank_scope(account)):
            return True
    return bool(lake.query(tenant.paths, "select 1 from bank_statements where account_id = ? limit 1", [account]).rows)


def run_id_of(tenant: str, request: RunRequest) -> str:
    """The id of the run a request names."""
    return run_store.run_id_of(tenant, request.provider, request.settlement_file, request.ledger_window)


def find_or_create(connection: Connection, tenant: str, request: RunRequest, now: datetime) -> run_store.Run:
    """The run of a request, made, with its event, when it is new; needs a write transaction."""
    run = run_store.find_or_create(
        connection,
        tenant=tenant,
        provider=request.provider,
        settlement_file=request.settlement_file,
        ledger_window=request.ledger_window,
        owner=request.owner,
        actor=request.actor,
        as_of=request.as_of,
        now=now,
    )
    created = run_event("reconciliation.run.created", tenant, run, [run.run_id], run.actor, instant_of(run.created_at))
    event_log.append(connection, created)
    return run


def run_event(
    event_type: str,
    tenant: str,
    run: run_store.Run,
    fact: Sequence[str],
    actor: str,
    at: datetime,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A CloudEvent about a run, which holds the run's request and `data`."""
    about = {
        "provider": run.provider,
        "settlement_file": run.settlement_file,
        "ledger_window": run.ledger_window,
        "owner": run.owner,
    }
    return cloud_event(
        event_type,
        tenant=tenant,
        fact=fact,
        subject=run.run_id,
        run_id=run.run_id,
        actor=actor,
        at=at,
        data=about | dict(data or {}),
    )


def submit(tenant: Tenant, request: RunRequest, now: datetime, key: str | None = None) -> Submitted:
    """Record a run and have it executed, in one transaction; a known idempotency `key` only names its run again.

    Raises what check_request raises, and KeyReusedError.
    """
    digest = digest_of(request)
    if key is not None:
        with tenant.writing() as connection:
            known = _known(connection, key, digest)
        if known is not None:
            return known
    check_request(tenant, request, now)
    with tenant.writing() as connection:
        known = None if key is None else _known(connection, key, digest)
        if known is not None:
            return known
        run_id = run_id_of(tenant.name, request)
        before = next((run for run in run_store.list_runs(connection, request.provider) if run.run_id == run_id), None)
        run = find_or_create(connection, tenant.name, request, now)
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
    is_launched = known is not None and known.status == "launched"
    is_cut_off = known is not None and known.is_cut_off(now)
    if before is None or _asks_otherwise(before, run) or is_cut_off or (run.is_void and not is_launched):
        return True
    waiting = {found.provider for found in inbox_store.waiting(connection)}
    if run.provider in waiting | {found.provider for found in intent_store.waiting(connection)}:
        return True
    kinds = TABLE_OF_KIND if identifiers.account_of(run.provider) is None else (BANK_KIND,)
    registered = [file for kind in kinds for file in file_store.staged_files(connection, kind)]
    if known is not None and is_launched:
        return any(file.received_at > known.requested_at for file in registered)
    if not run.revision or run.status == "failed" or (known is not None and known.status == "failed"):
        return True
    seen = run_store.current_revision(connection, run.run_id).files_seen
    return any(file.sequence not in seen for file in registered)


def _asks_otherwise(before: run_store.Run, run: run_store.Run) -> bool:
    return (before.owner, before.as_of) != (run.owner, run.as_of)
