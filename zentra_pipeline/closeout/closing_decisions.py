"""Records what was decided about the closing of a run or of a month. Decisions about exceptions belong to `review`."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.instants import instant_text
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants.tenant import Tenant


def record_decision(
    connection: Connection,
    tenant: Tenant,
    subject: str,
    *,
    rule: str,
    action: str,
    actor: str,
    now: datetime,
    reason: str | None,
    result: str,
    details: Mapping[str, Any],
) -> Decision:
    """Record a decision with the policy's rule that it passed; its id counts those about `subject`, run or month."""
    number = sum(item.exception_id is None and item.run_id == subject for item in decision_store.listed(connection))
    canonical = json.dumps([tenant.name, subject, number + 1], ensure_ascii=False, separators=(",", ":"))
    decision = Decision(
        sequence=decision_store.next_sequence(connection),
        decision_id="dec_" + hashlib.sha256(canonical.encode()).hexdigest()[:24],
        exception_id=None,
        run_id=subject,
        action=action,
        actor=actor,
        decided_at=instant_text(now),
        reason=reason,
        policy={"rule": rule, "digest": load_policy(tenant.paths).digest(), "outcome": result},
        result=result,
        owner=None,
        resolution=None,
        details=dict(details),
    )
    decision_store.append(connection, decision)
    return decision
