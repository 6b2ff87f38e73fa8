"""Callbacks from the inbox to staged rows: pending deliveries become one landed file a batch, by the way of every file.

Exactly once: a batch and its file's content are fixed before it is ingested, the same file again changes nothing, and
what a crash leaves assigned is ingested first. What is about a run in review asks for that run again (late_callbacks).
Does not belong here: receiving and verifying (api, sources).
"""

import base64
import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from zentra_pipeline import identifiers, locks
from zentra_pipeline.config.profile import callback_secrets
from zentra_pipeline.contracts.callbacks import CONTRACT
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.queue import late_callbacks
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.registry import CANONICAL
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store.inbox import Receipt
from zentra_pipeline.tenants.tenant import Tenant

if TYPE_CHECKING:
    from zentra_pipeline.ingest.files import IngestOutcome


def stage_callbacks(tenant: Tenant, provider: str, now: datetime) -> "list[IngestOutcome]":
    """Ingest what waits in a provider's inbox; nothing, and without waiting for anybody, when nothing does.

    UsageError when a profile or a secret is missing or wrong; what could not be ingested stays in the inbox.
    """
    if identifiers.account_of(provider) is not None:  # nobody signs for a bank account
        return []
    identifiers.provider_id(provider)
    with tenant.reading() as connection:
        if all(waiting.provider != provider for waiting in inbox_store.waiting(connection)):
            return []
    outcomes: list[IngestOutcome] = []
    with tenant.holding(locks.inbox_lock(provider)):
        while True:
            with tenant.writing() as connection:
                batch = inbox_store.assign(connection, provider)
            if batch is None:
                return outcomes
            with tenant.reading() as connection:
                receipts = inbox_store.of_batch(connection, provider, batch)
            _require_secret(tenant.paths, provider, receipts[0].format)
            try:
                outcomes.append(_ingest(tenant, provider, batch, receipts, now))
            except InputRejectedError:
                # One delivery that no file may hold keeps no other from being read.
                with tenant.writing() as connection:
                    inbox_store.split(connection, provider, batch)
                continue
            with tenant.holding(locks.provider_lock(provider)), tenant.writing() as connection:
                inbox_store.mark_ingested(connection, provider, batch)
                late_callbacks.ask(connection, tenant.paths, provider, batch, now)


def content_of(receipts: Iterable[Receipt]) -> bytes:
    """Deliveries as a file of callbacks of their format: the same deliveries are the same bytes."""
    return b"".join(_line(receipt) + b"\n" for receipt in receipts)


def _require_secret(paths: TenantPaths, provider: str, callback_format: str) -> None:
    """The signatures of other formats are verified once more, as with every file."""
    if callback_format != CANONICAL and not callback_secrets(paths.root.name, provider):
        raise UsageError(
            f"callbacks of {provider} wait in the inbox, but no secret is configured to verify them with: "
            "set ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER>"
        )


def _ingest(tenant: Tenant, provider: str, batch: str, receipts: list[Receipt], now: datetime) -> "IngestOutcome":
    from zentra_pipeline.ingest.files import ingest_files  # a run where nothing waits needs none of the gate

    folder = tenant.paths.scratch / f"inbox-{provider}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        file = folder / f"{batch}.jsonl"
        file.write_bytes(content_of(receipts))
        return ingest_files(
            tenant,
            provider=provider,
            kind="callbacks",
            files=[file],
            file_id=batch,
            format=receipts[0].format,
            now=now,
            may_quarantine_all=True,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _line(receipt: Receipt) -> bytes:
    """A canonical callback says itself when it came and whether it was signed; other formats keep bytes and headers."""
    if receipt.format != CANONICAL:
        envelope = {"received_at": receipt.received_at, "headers": dict(receipt.headers)}
        return orjson.dumps(envelope | {"body_base64": base64.b64encode(receipt.body).decode("ascii")})
    # What we say of a delivery replaces what it says of itself; its numbers stay as they were written.
    content: dict[str, Any] = json.loads(receipt.body, parse_int=_as_written, parse_float=_as_written)
    content = dict.fromkeys(CONTRACT.columns) | content  # a file in which a column never comes would be refused whole
    content["received_at"] = receipt.received_at
    is_signed = {inbox_store.VERIFIED: True, inbox_store.REFUSED: False}
    content["signature_verified"] = is_signed.get(receipt.verification)
    return orjson.dumps(content)


def _as_written(number: str) -> orjson.Fragment:
    return orjson.Fragment(number.encode("ascii"))
