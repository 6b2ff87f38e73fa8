"""What an attempt makes of a delivery and its endpoint: pure, so that every path of it can be tried without a clock.

Sending and recording do not belong here (sending).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.store import webhooks as webhook_store
from zentra_pipeline.store.webhooks import Delivery, Endpoint
from zentra_pipeline.webhooks import schedule

UNREACHABLE_IN_A_ROW: Final = 3  # then the endpoint is left alone for a minute: each may have cost 15 s
HOLD: Final = timedelta(minutes=1)
_GONE: Final = 410
_ASKING_TO_WAIT: Final = (429, 503)


@dataclass(frozen=True)
class DeliveryProgress:
    """How an attempt ended; `error` is null when it was delivered, `status_code` when no answer came."""

    at: datetime
    latency_ms: int
    status_code: int | None = None
    error: str | None = None
    response: str | None = None
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        return self.error is None

    @property
    def hold(self) -> timedelta | None:
        """How long the receiver asks not to be sent anything."""
        return self.retry_after if self.status_code in _ASKING_TO_WAIT else None


def of_delivery(delivery: Delivery, outcome: DeliveryProgress) -> dict[str, Any]:
    """The columns of a delivery that an attempt changes."""
    attempts = delivery.attempts + 1
    if outcome.is_delivered:
        left = max(delivery.sends_due - 1, 0)
        return {
            "status": webhook_store.RETAINED if left else webhook_store.RESOLVED,
            "sends_due": left,
            "attempts": attempts,
            "failures": 0,
            "next_attempt_at": delivery.next_attempt_at if left else None,
            "resolved_at": instant_text(outcome.at),
        }
    failures = delivery.failures + 1
    wait = schedule.wait_after(failures, f"{delivery.delivery_id}:{attempts}")
    if wait is None:
        changes = {"status": webhook_store.DEAD, "sends_due": 0, "next_attempt_at": None}
    else:
        next_at = outcome.at + max(wait, outcome.hold or wait)
        changes = {"status": webhook_store.RETRYING, "next_attempt_at": instant_text(next_at)}
    return changes | {"attempts": attempts, "failures": failures}


def of_endpoint(endpoint: Endpoint, outcome: DeliveryProgress, unreachable_in_a_row: int) -> dict[str, Any]:
    """The columns of an endpoint that an attempt changes; empty when none does."""
    if outcome.is_delivered:
        return {"failing_since": None, "held_until": None} if endpoint.failing_since is not None else {}
    since = endpoint.failing_since or instant_text(outcome.at)
    changes: dict[str, Any] = {} if endpoint.failing_since is not None else {"failing_since": since}
    if outcome.status_code == _GONE:
        return changes | _disabled("the receiver answered 410 Gone")
    if outcome.at - instant_of(since) >= timedelta(days=endpoint.failure_days):
        return changes | _disabled(f"it has failed since {since}, last with: {outcome.error}")
    hold = outcome.hold
    if hold is None and unreachable_in_a_row >= UNREACHABLE_IN_A_ROW:
        hold = HOLD
    if hold:
        changes["held_until"] = instant_text(outcome.at + hold)
    return changes


def _disabled(reason: str) -> dict[str, Any]:
    return {"status": webhook_store.DISABLED, "status_reason": reason}
