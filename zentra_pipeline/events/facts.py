"""Makes the events of what operators do: decisions about exceptions, closeouts. What runs find does not belong here.

Each event goes into the log in the transaction that records the fact (store.event_log.append).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.events import types
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.periods import PeriodCloseout


def exception_event(
    event_type: str,
    *,
    tenant: str,
    exception: Mapping[str, Any],
    decision_id: str,
    run_id: str,
    actor: str,
    at: datetime,
    owner: str | None = None,
    resolution: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """The event of a decision: exception.assigned, .resolved or .reopened.

    `exception` is the row of the published table, before or after the decision; `owner` the new one where it changes.
    """
    model = types.DATA[event_type]
    if not issubclass(model, types.ExceptionDecided):
        raise ZentraError(f"{event_type} is not the event of a decision about an exception")
    data = model(
        exception_id=exception["exception_id"],
        exception_type=exception["exception_type"],
        owner=owner or exception["owner"],
        due_at=_instant(exception["due_at"]),
        currency=exception["currency"],
        difference_minor=exception["difference_minor"],
        resolution=resolution,
        decision_id=decision_id,
        reason=reason,
    )
    return cloud_event(
        event_type,
        tenant=tenant,
        fact=[data.exception_id, decision_id],
        subject=data.exception_id,
        run_id=run_id,
        actor=actor,
        at=at,
        data=data.model_dump(exclude_unset=True),
    )


def closeout_event(*, tenant: str, closeout: Closeout, actor: str, at: datetime) -> dict[str, Any]:
    """The event of a sealed closeout: closeout.completed, or .amended where it amends another one."""
    content: dict[str, Any] = {
        "closeout_id": closeout.closeout_id,
        "closeout_revision": closeout.revision,
        "provider": closeout.provider,
        "settlement_file": closeout.settlement_file,
        "ledger_window": closeout.ledger_window,
        "evidence_root": closeout.evidence_root,
        "seal_digest": closeout.seal_digest,
        "evidence_rows": closeout.evidence_rows,
        "prepared_by": closeout.prepared_by,
        "approved_by": closeout.approved_by,
    }
    event_type = types.CLOSEOUT_COMPLETED
    if closeout.amends is not None:
        event_type = types.CLOSEOUT_AMENDED
        content |= {"amends": closeout.amends, "reason": closeout.reason}
    data = types.DATA[event_type](**content)
    return cloud_event(
        event_type,
        tenant=tenant,
        fact=[closeout.closeout_id],
        subject=closeout.closeout_id,
        run_id=closeout.run_id,
        actor=actor,
        at=at,
        data=data.model_dump(),
    )


def period_event(*, tenant: str, sign_off: PeriodCloseout, actor: str, at: datetime) -> dict[str, Any]:
    """The event of a month that is signed off: period.completed, or .amended where it amends an earlier sign-off."""
    content: dict[str, Any] = {
        "closeout_id": sign_off.closeout_id,
        "closeout_revision": sign_off.revision,
        "period": sign_off.period,
        "windows": sign_off.evidence_rows,
        "evidence_root": sign_off.evidence_root,
        "seal_digest": sign_off.seal_digest,
        "prepared_by": sign_off.prepared_by,
        "approved_by": sign_off.approved_by,
    }
    event_type = types.PERIOD_COMPLETED
    if sign_off.amends is not None:
        event_type = types.PERIOD_AMENDED
        changes = [types.ChangedWindow(**change) for change in sign_off.content["changes"]]
        content |= {"amends": sign_off.amends, "reason": sign_off.reason, "changes": changes}
    return cloud_event(
        event_type,
        tenant=tenant,
        fact=[sign_off.closeout_id],
        subject=sign_off.closeout_id,
        run_id=None,
        actor=actor,
        at=at,
        data=types.DATA[event_type](**content).model_dump(),
    )


def _instant(value: datetime | str | None) -> str | None:
    """An instant of a published table (UTC without a zone), or text as it is."""
    if not isinstance(value, datetime):
        return value
    return instant_text(value.replace(tzinfo=UTC) if value.tzinfo is None else value)
