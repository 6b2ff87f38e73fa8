"""Records intents: evaluated by policy, committed once under their id, and staged as files like any other.

An intent may be stated call by call: what is known of it is kept until amount, currency and provider are, and then it
is evaluated and posted.

The row in the operational store is the commit; a drain turns committed intents into one landed file of internal events
and one of ledger entries a batch. Exactly once: a batch and its files' content are fixed before they are ingested, the
same file again changes nothing, and what a crash leaves assigned comes first. Does not belong here: HTTP, tracing.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from zentra_pipeline import identifiers, locks
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.decisions.intent_policy import IntentPolicy
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.errors import RefusedError, UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.runtime import intent as rows
from zentra_pipeline.runtime.intent import Intent
from zentra_pipeline.runtime.intent_rules import check_scope, evaluate
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.registry import CANONICAL
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.store.intents import StoredIntent
from zentra_pipeline.tenants.tenant import Tenant

EVENTS_KIND: Final = "internal_events"
LEDGER_KIND: Final = "ledger"
_USUAL_ACCOUNT: Final = "settlement_account"


class IntentReusedError(RefusedError):
    """An intent's id names another intent already; nothing changed."""


@dataclass(frozen=True)
class Recorded:
    """An intent as the store has it, and whether it was recorded just now."""

    intent: StoredIntent
    is_new: bool


@dataclass(frozen=True)
class OpenIntent:
    """An intent that is not complete: what calls have stated so far, and what policy says of its scope."""

    intent_id: str
    content: Mapping[str, Any]
    policy: Mapping[str, Any]
    submitted_by: str
    recorded_at: str

    @property
    def missing(self) -> tuple[str, ...]:
        """The members without which it cannot be evaluated and posted."""
        return tuple(name for name in rows.REQUIRED if name not in self.content)


def record_details(
    tenant: Tenant, stated: Mapping[str, Any], submitted_by: str, now: datetime
) -> Recorded | OpenIntent:
    """Take what one call states about an intent (members of Intent; `intent_id` always) and record it once complete.

    The first call states the scope; the actor is `submitted_by` unless stated. A member has one value for ever:
    IntentReusedError for another one. RefusedError for a scope that policy does not know; UsageError as for `record`.
    """
    intent_id = str(stated["intent_id"])
    with tenant.reading() as connection:
        before = intent_store.details(connection, intent_id)
    if not before and all(name in stated for name in (*rows.REQUIRED, "scope")):
        return record(tenant, Intent.of({"actor": submitted_by} | dict(stated)), submitted_by, now)
    policy = load_policy(tenant.paths).intents
    with tenant.writing() as connection:
        known = intent_store.find(connection, intent_id)
        if known is not None:
            _require_agreement(intent_id, dict.fromkeys(stated) | dict(known.content), stated)
            return Recorded(known, is_new=False)
        before = intent_store.details(connection, intent_id)
        content = {name: value for details in before for name, value in details.content.items()}
        _require_agreement(intent_id, content, stated)
        merged = {"actor": submitted_by} | content | dict(stated)
        if "scope" not in merged:
            raise UsageError(f"intent {intent_id} has no scope yet: state it with the first call")
        if all(name in merged for name in rows.REQUIRED):
            intent = Intent.of(merged)
            return _commit(connection, _with_accounts(tenant.paths, intent), intent.digest(), policy, submitted_by, now)
        checked = check_scope(policy, merged["scope"])
        if checked.is_refused:
            raise RefusedError(f"intent {intent_id} is refused: {checked.deciding.detail}")
        added = {name: value for name, value in merged.items() if name not in content}
        if added:
            intent_store.add_details(connection, intent_id, added, submitted_by, instant_text(now))
        return _open_intent(intent_store.details(connection, intent_id), checked.as_object())


def find_open(tenant: Tenant, intent_id: str) -> OpenIntent | None:
    """An intent that was stated and is not complete; null when there is none."""
    with tenant.reading() as connection:
        details = intent_store.details(connection, intent_id)
    if not details:
        return None
    scope = next(found.content["scope"] for found in details if "scope" in found.content)
    return _open_intent(details, check_scope(load_policy(tenant.paths).intents, scope).as_object())


def _open_intent(details: Sequence[intent_store.StoredDetails], policy: Mapping[str, Any]) -> OpenIntent:
    first = details[0]
    content = {name: value for found in details for name, value in found.content.items()}
    return OpenIntent(first.intent_id, content, policy, first.submitted_by, first.recorded_at)


def _require_agreement(intent_id: str, recorded: Mapping[str, Any], stated: Mapping[str, Any]) -> None:
    for name, value in stated.items():
        if name in recorded and recorded[name] != value:
            was = "without" if recorded[name] is None else f"with {recorded[name]!r} as"
            raise IntentReusedError(
                f"intent {intent_id} was recorded {was} {name}, and this call states {value!r}: use a new intent_id "
                "for a new intent"
            )


def record(tenant: Tenant, intent: Intent, submitted_by: str, now: datetime) -> Recorded:
    """Commit an intent with what policy says of it; the same again returns what was recorded, with what it said then.

    IntentReusedError when the id names another intent; UsageError when its accounts cannot be, or a profile or
    policy is wrong.
    """
    with tenant.reading() as connection:
        known = intent_store.find(connection, intent.intent_id)
    if known is not None:
        return Recorded(_same(known, intent), is_new=False)
    posted = _with_accounts(tenant.paths, intent)
    policy = load_policy(tenant.paths).intents
    with tenant.writing() as connection:
        known = intent_store.find(connection, intent.intent_id)
        if known is not None:
            return Recorded(_same(known, intent), is_new=False)
        return _commit(connection, posted, intent.digest(), policy, submitted_by, now)


def _commit(
    connection: Connection, posted: Intent, digest: str, policy: IntentPolicy, submitted_by: str, now: datetime
) -> Recorded:
    """Record an intent that is not there yet, with what policy says of it; the caller's transaction commits it."""
    verdict = evaluate(policy, posted)
    stored = StoredIntent(
        sequence=intent_store.next_sequence(connection),
        intent_id=posted.intent_id,
        provider=posted.provider,
        request_digest=digest,
        content=posted.content(),
        status=intent_store.REFUSED if verdict.is_refused else intent_store.ACCEPTED,
        policy=verdict.as_object(),
        submitted_by=submitted_by,
        recorded_at=instant_text(now),
    )
    intent_store.add(connection, stored)
    found = intent_store.find(connection, posted.intent_id)
    assert found == stored
    return Recorded(found, is_new=True)


def stage_intents(tenant: Tenant, provider: str, now: datetime) -> int:
    """Stage the rows of a provider's committed intents; how many intents that were. Waits for nobody when none do."""
    if identifiers.account_of(provider) is not None:  # no intent is about a bank account
        return 0
    identifiers.provider_id(provider)
    with tenant.reading() as connection:
        if all(waiting.provider != provider for waiting in intent_store.waiting(connection)):
            return 0
    staged = 0
    with tenant.holding(locks.intents_lock(provider)):
        while True:
            with tenant.writing() as connection:
                batch = intent_store.assign(connection, provider)
            if batch is None:
                return staged
            with tenant.reading() as connection:
                found = intent_store.of_batch(connection, provider, batch)
            _ingest(tenant, provider, batch, found, now)
            with tenant.writing() as connection:
                intent_store.mark_ingested(connection, provider, batch)
            staged += len(found)


def files_of(tenant: str, found: Sequence[StoredIntent]) -> dict[str, bytes]:
    """Kind → content of the file that holds intents; the same intents are the same bytes. No rows, no file."""
    content = {
        LEDGER_KIND: _lines(row for stored in found for row in _entries(tenant, stored)),
        EVENTS_KIND: _lines(row for stored in found for row in events_of(tenant, stored)),
    }
    return {kind: lines for kind, lines in content.items() if lines}


def events_of(tenant: str, stored: StoredIntent) -> list[dict[str, Any]]:
    """The internal events of a recorded intent."""
    return rows.internal_events(tenant, Intent.of(stored.content), stored.policy, stored.recorded_at)


def postings_of(tenant: str, stored: StoredIntent) -> list[dict[str, Any]]:
    """What a recorded intent posts, by account: `account`, `currency` and `net_minor` (credits less debits)."""
    nets: dict[tuple[str, str], int] = {}
    for entry in _entries(tenant, stored):
        key = (entry["account"], entry["currency"])
        sign = 1 if entry["direction"] == "credit" else -1
        nets[key] = nets.get(key, 0) + sign * entry["amount_minor"]
    return [{"account": account, "currency": currency, "net_minor": net} for (account, currency), net in nets.items()]


def _entries(tenant: str, stored: StoredIntent) -> list[dict[str, Any]]:
    if stored.status != intent_store.ACCEPTED:
        return []
    return rows.ledger_entries(tenant, Intent.of(stored.content), stored.recorded_at)


def _lines(found: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in found)


def _same(known: StoredIntent, intent: Intent) -> StoredIntent:
    if known.request_digest != intent.digest():
        raise IntentReusedError(
            f"intent {intent.intent_id} was recorded with other content: use a new intent_id for a new intent"
        )
    return known


def _with_accounts(paths: TenantPaths, intent: Intent) -> Intent:
    """The intent with the account it is settled on, and one account on either side of the provider's."""
    cleared = load_profile(paths, intent.provider).clearing_accounts
    if not intent.settlement_account:
        intent = replace(intent, settlement_account=_usual_account(intent.provider, cleared))
    if intent.settlement_account not in cleared:
        raise UsageError(
            f"settlement_account {intent.settlement_account!r} is none that {intent.provider} settles: "
            f"use {' or '.join(cleared)}"
        )
    for name in ("customer_account", "reserved_account"):
        if getattr(intent, name) in cleared:
            raise UsageError(f"{name} {getattr(intent, name)!r} is one that {intent.provider} settles: use another")
    if intent.customer_account == intent.reserved_account:
        raise UsageError("customer_account and reserved_account are the same: reserve the money on another account")
    return intent


def _usual_account(provider: str, cleared: Sequence[str]) -> str:
    if len(cleared) == 1:
        return cleared[0]
    if _USUAL_ACCOUNT in cleared:
        return _USUAL_ACCOUNT
    raise UsageError(f"{provider} settles several accounts: name one of {', '.join(cleared)} as settlement_account")


def _ingest(tenant: Tenant, provider: str, batch: str, found: Sequence[StoredIntent], now: datetime) -> None:
    from zentra_pipeline.ingest.files import ingest_files  # a run where nothing waits needs none of the gate

    folder = tenant.paths.scratch / f"intents-{provider}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for kind, content in files_of(tenant.paths.root.name, found).items():
            file = folder / f"{kind}.jsonl"
            file.write_bytes(content)
            ingest_files(
                tenant,
                provider=provider,
                kind=kind,
                files=[file],
                file_id=batch,
                format=CANONICAL,
                now=now,
                may_quarantine_all=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
