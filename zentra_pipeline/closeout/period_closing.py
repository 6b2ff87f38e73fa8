"""Signs off a month: one person prepares, another approves, and the seals of its windows are sealed together.

    open → prepared → signed off, and with a later fact → reopened → prepared → signed off again (the first: amended)

As with a window, the transaction that records the seal is the moment a month is signed off. Does not belong here: what
a month comes to and what blocks it (period), the files of the bundle (period_files).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline import locks
from zentra_pipeline.actors import PROGRAM, Origin, same_person
from zentra_pipeline.closeout import chain_heads, period, period_files, sealing, shared_bundles
from zentra_pipeline.closeout.blockers import Blocker
from zentra_pipeline.closeout.closing_decisions import record_decision
from zentra_pipeline.closeout.period import Month
from zentra_pipeline.decisions.policy import Policy, check_origin, check_place, load_policy
from zentra_pipeline.errors import NotPossibleError, OutdatedError, RefusedError, ZentraError
from zentra_pipeline.events.facts import period_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.published import lake
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.store import event_log
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store.periods import PeriodCloseout
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant

PREPARE: Final = "prepare_period"
APPROVE: Final = "approve_period"
RULE: Final = "period_closeout.second_person"
SUBJECT: Final = "period_"
_LOCK: Final = "period"
_SHOWN_CHANGES: Final = 5


@dataclass(frozen=True)
class PeriodResult:
    """A sign-off after a step: `sign_off` is null while something blocks it."""

    status: str
    sign_off: PeriodCloseout | None
    bundle: Path | None
    blockers: tuple[Blocker, ...] = ()
    is_new: bool = True


def prepare(
    tenant: Tenant, month: str, actor: str, now: datetime, reason: str | None = None, origin: Origin = PROGRAM
) -> PeriodResult:
    """Prepare the sign-off of a month, or say what blocks it; a month that is signed off as it is stays so.

    `reason` says why an earlier sign-off is amended; without it the windows that changed are named, and another one
    than that of what is prepared has it prepared again.
    """
    access.require_actor(tenant, actor)
    with _held(tenant, month, now) as found:
        if found.state == "signed_off":
            return _signed_already(found)
        blocking = found.blockers()
        if blocking:
            return PeriodResult("blocked", None, None, tuple(blocking))
        made = _prepared(found, actor, reason, load_policy(tenant.paths))
        known = found.prepared
        is_why = reason is None or known is None or known.reason == made.reason
        if known is not None and is_why and known.content == json.loads(json.dumps(made.content)):
            return PeriodResult("prepared", known, None, is_new=False)
        _record_preparation(found, made, origin)
    lake.refresh(tenant.paths)
    return PeriodResult("prepared", made, None)


def approve(
    tenant: Tenant, month: str, actor: str, now: datetime, origin: Origin = PROGRAM, seen: str | None = None
) -> PeriodResult:
    """Approve and seal the sign-off that somebody else prepared; approving again changes nothing.

    `seen` is the preparation that was looked at (`preparation_of`). Raises RefusedError when nothing is prepared, when
    the approver prepared it, or when the policy demands a token; NotPossibleError when the month has changed since.
    """
    with _held(tenant, month, now) as found:
        if found.state == "signed_off":
            _require_seen(found.signed, month, seen)
            return _signed_already(found)
        check_origin(load_policy(tenant.paths), actor, origin)
        access.require_actor(tenant, actor)
        prepared = _approvable(found, actor, origin)
        _require_seen(prepared, month, seen)
        blocking = found.blockers()
        if blocking:
            return PeriodResult("blocked", None, None, tuple(blocking))
        again = _prepared(found, prepared.prepared_by, prepared.reason, load_policy(tenant.paths))
        if json.loads(json.dumps(again.content)) != prepared.content:
            raise NotPossibleError(
                f"{month} is not what {prepared.prepared_by} prepared: its windows changed since; prepare it again, "
                "look at it and approve that"
            )
        signed, bundle = _sealed(found, prepared, actor)
        shared_bundles.push(tenant.paths, bundle, str(signed.seal_digest))
        _record_seal(found, signed, origin)
    _show_seal(tenant)
    return PeriodResult("sealed", signed, bundle)


def _require_seen(sign_off: PeriodCloseout | None, month: str, seen: str | None) -> None:
    """Refuse an approval of another sign-off, prepared or sealed by now, than the one that was looked at."""
    if seen is not None and sign_off is not None and seen != preparation_of(sign_off):
        raise OutdatedError(f"{month} was prepared again since you looked: look at it now, and approve that")


def preparation_of(sign_off: PeriodCloseout) -> str:
    """What a form or request says that it has seen."""
    return seen_as(sign_off.closeout_id, sign_off.prepared_at)


def seen_as(closeout_id: str, prepared_at: str) -> str:
    """The same of a sign-off that is known by these."""
    return f"{closeout_id} {prepared_at}"


def bundle_of(tenant: Tenant, sign_off: PeriodCloseout) -> Path:
    """The folder of a sign-off's bundle, beside those of the windows."""
    return tenant.paths.closeouts / f"{SUBJECT}{sign_off.period}" / f"r{sign_off.revision}"


def kept_bundle(tenant: Tenant, sign_off: PeriodCloseout) -> Path:
    """The folder of a sealed sign-off's bundle, where it can be read."""
    shared_bundles.pull(tenant.paths, sign_off.bundle, sign_off.seal_digest)
    return bundle_of(tenant, sign_off)


@contextmanager
def _held(tenant: Tenant, month: str, now: datetime) -> Iterator[Month]:
    """The month while no window of it is run or closed, and nobody else signs off."""
    providers = [locks.provider_lock(provider) for provider in period.seen(tenant, month, now).windows]
    with tenant.holding(_LOCK, *sorted(providers)):
        yield period.seen(tenant, month, now)


def _prepared(month: Month, actor: str, reason: str | None, policy: Policy) -> PeriodCloseout:
    amended = month.signed
    number = 1 + (amended.revision if amended else 0)
    if amended is not None and reason is None:
        reason = _why(month)
    windows = [
        {name: row[name] for name in ("provider", "ledger_window", "run_id", "closeout_id", "evidence_root")}
        | {"seal_digest": row["seal_digest"]}
        for row in month.cited
    ]
    closeout_id = sealing.closeout_id_of(month.tenant.name, f"{SUBJECT}{month.period}", number)
    content = {
        "closeout_id": closeout_id,
        "period": month.period,
        "revision": number,
        "amends": amended.closeout_id if amended else None,
        "windows": windows,
        "totals": month.totals,
        "changes": [change.as_object() for change in month.changes],
        "evidence": {"root": month.root, "rows": len(windows)},
        "policy": {"rule": RULE, "digest": policy.digest(), "approvals_by_token": policy.approvals_by_token},
    }
    return PeriodCloseout(
        closeout_id=closeout_id,
        period=month.period,
        revision=number,
        status="prepared",
        prepared_by=actor,
        prepared_at=instant_text(month.now),
        approved_by=None,
        sealed_at=None,
        evidence_root=month.root,
        evidence_rows=len(windows),
        chain_sequence=None,
        seal_digest=None,
        previous_seal=None,
        amends=amended.closeout_id if amended else None,
        reason=reason if amended else None,
        bundle=None,
        content=content,
    )


def _why(month: Month) -> str:
    changes = [str(change) for change in month.changes]
    left = f" and {len(changes) - _SHOWN_CHANGES} more" if len(changes) > _SHOWN_CHANGES else ""
    return "; ".join(changes[:_SHOWN_CHANGES]) + left


def _approvable(month: Month, actor: str, origin: Origin) -> PeriodCloseout:
    prepared = month.prepared
    if prepared is None:
        raise RefusedError(
            f"nothing is prepared for {month.period}: have somebody else prepare it, then approve",
            remedy=Remedy("prepare it", "prepare_period", {"period": month.period}),
        )
    if same_person(actor, prepared.prepared_by):
        raise RefusedError(
            f"{prepared.prepared_by} prepared the sign-off of {month.period}: a second person has to approve it"
        )
    check_place(origin, prepared.prepared_by, f"the sign-off of {month.period}")
    return prepared


def _sealed(month: Month, prepared: PeriodCloseout, actor: str) -> tuple[PeriodCloseout, Path]:
    """The sign-off with its place in the chain, taken under the lock, and its seal, and its bundle in place."""
    tenant = month.tenant
    with tenant.reading() as connection:
        chain = period_store.chain(connection)
    bundle = bundle_of(tenant, prepared)
    relative = bundle.relative_to(tenant.paths.root).as_posix()
    sign_off = sealing.with_place(prepared, chain, actor, month.now, relative)
    policy = period_files.policy_result(load_policy(tenant.paths), sign_off)

    def write(folder: Path) -> dict[str, Any]:
        rotations = signing_keys.key_rotations(tenant.home)
        return period_files.write(folder, month, sign_off, policy, rotations, month.signed)

    return sealing.seal_in_place(tenant.home, bundle, sign_off, month.now, write), bundle


def _record_preparation(month: Month, made: PeriodCloseout, origin: Origin) -> None:
    with month.tenant.writing() as connection:
        details = {"closeout_id": made.closeout_id, "evidence_root": made.evidence_root, "origin": origin.content()}
        _decide(connection, month, PREPARE, made.prepared_by, made.reason, "prepared", details)
        period_store.prepare(connection, made)


def _record_seal(month: Month, signed: PeriodCloseout, origin: Origin) -> None:
    """The commit: sign-off, predecessor, decision and event become true together."""
    assert signed.approved_by is not None
    tenant = month.tenant
    details = {"closeout_id": signed.closeout_id, "seal_digest": signed.seal_digest, "origin": origin.content()}
    with tenant.writing() as connection:
        _decide(connection, month, APPROVE, signed.approved_by, None, "sealed", details)
        changes = {name: value for name, value in vars(signed).items() if name != "content"}
        period_store.change(connection, signed.closeout_id, changes)
        if month.signed is not None:
            period_store.change(connection, month.signed.closeout_id, {"status": "amended"})
        event = period_event(tenant=tenant.name, sign_off=signed, actor=signed.approved_by, at=month.now)
        if not event_log.append(connection, event):
            raise ZentraError(f"sign-off {signed.closeout_id} was recorded before: have the home examined (doctor)")


def _decide(
    connection: Connection,
    month: Month,
    action: str,
    actor: str,
    reason: str | None,
    result: str,
    details: Mapping[str, Any],
) -> None:
    record_decision(
        connection,
        month.tenant,
        f"{SUBJECT}{month.period}",
        rule=RULE,
        action=action,
        actor=actor,
        now=month.now,
        reason=reason,
        result=result,
        details=details,
    )


def _signed_already(month: Month) -> PeriodResult:
    """Signed off before, though whoever sealed it may have died before anybody could see it."""
    assert month.signed is not None
    _show_seal(month.tenant)
    return PeriodResult("sealed", month.signed, kept_bundle(month.tenant, month.signed), is_new=False)


def _show_seal(tenant: Tenant) -> None:
    lake.refresh(tenant.paths)
    chain_heads.write_period_head(tenant)
