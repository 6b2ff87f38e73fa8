"""The sensor that escalates what is overdue, also where no worker does; the steps themselves: review.escalation."""

from datetime import UTC, datetime

import dagster as dg

from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.review import escalation


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Hands on exceptions past their due date by the escalation rules of routing.yml; launches no run.",
)
def overdue_exceptions(reconciler: dg.ResourceParam[Reconciler]) -> dg.SkipReason:
    """Take the steps that are due in every tenant."""
    now = datetime.now(UTC)
    taken = sum(len(escalation.escalate(tenant, now, now=now)) for tenant in reconciler.tenants())
    return dg.SkipReason(f"{taken} escalations recorded")
