"""Callbacks from the inbox to staged rows: pending deliveries become one landed file a batch, by the way of every file.

Exactly once: a batch and its file's content are fixed before it is ingested, the same file again changes nothing, and
what a crash leaves assigned is ingested first. Does not belong here: receiving and verifying (api, sources).
"""

import base64
import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from zentra_pipeline import identifiers, locks
from zentra_pipeline.ingest import IngestOutcome, ingest_files
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.reading import CANONICAL
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.inbox import Receipt


def drain(paths: TenantPaths, provider: str, now: datetime) -> list[IngestOutcome]:
    """Ingest what waits in a provider's inbox; nothing, and without waiting for anybody, when nothing does.

    Raises what ingest.ingest_files raises; what could not be ingested stays in the inbox.
    """
    identifiers.provider_id(provider)
    engine = operational_store(paths)
    with reading(engine) as connection:
        if all(waiting.provider != provider for waiting in inbox_store.waiting(connection)):
            return []
    outcomes = []
    with locks.holding(paths, locks.inbox_lock(provider)):
        while True:
            with engine.begin() as connection:
                batch = inbox_store.assign(connection, provider)
            if batch is None:
                return outcomes
            with reading(engine) as connection:
                receipts = inbox_store.of_batch(connection, provider, batch)
            outcomes.append(_ingest(paths, provider, batch, receipts, now))
            with engine.begin() as connection:
                inbox_store.mark_ingested(connection, provider, batch)


def content_of(receipts: Iterable[Receipt]) -> bytes:
    """Deliveries as a file of callbacks of their format: the same deliveries are the same bytes."""
    return b"".join(_line(receipt) + b"\n" for receipt in receipts)


def _ingest(
    paths: TenantPaths, provider: str, batch: str, receipts: list[Receipt], now: datetime
) -> IngestOutcome:
    folder = paths.scratch / f"inbox-{provider}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        file = folder / f"{batch}.jsonl"
        file.write_bytes(content_of(receipts))
        return ingest_files(
            paths,
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
    # What we say of a delivery stands in place of what it says of itself; its numbers stay as they were written.
    content: dict[str, Any] = json.loads(receipt.body, parse_int=_as_written, parse_float=_as_written)
    content["received_at"] = receipt.received_at
    content.pop("signature_verified", None)
    if receipt.verification != inbox_store.UNSIGNED:
        content["signature_verified"] = receipt.verification == inbox_store.VERIFIED
    return orjson.dumps(content)


def _as_written(number: str) -> orjson.Fragment:
    return orjson.Fragment(number.encode("ascii"))
