"""The job that sends notices, and its two schedules; what a notice says and who hears it does not belong here."""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.webhooks import notices


class NoticesConfig(dg.Config):
    """Which notices: `digest` or `escalation`."""

    kind: str = notices.DIGEST


@dg.op(description="Sends the notices of every tenant that has a notices.yml; fails where a receiver was not reached.")
def send_lane_notices(
    context: dg.OpExecutionContext, config: NoticesConfig, reconciler: dg.ResourceParam[Reconciler]
) -> None:
    """A receiver that fails, or a tenant whose file is wrong, stops no other."""
    now, failures = datetime.now(UTC), list[str]()
    for tenant in reconciler.tenants():
        sent, problem = notices.try_to_send(tenant, config.kind, now)
        failures += [f"{tenant.name}: {problem}"] if problem else []
        for each in sent:
            context.log.info(f"{tenant.name}, {each.notice.lane}: {each.receiver}{', failed' if each.failure else ''}")
            failures += [f"{tenant.name}: {each.receiver}: {each.failure}"] if each.failure else []
    if failures:
        raise dg.Failure("; ".join(failures))


@dg.job(description="Tells people what their lane has open, or overdue, by chat or mail; records and decides nothing.")
def send_notices() -> None:
    """One step, so that Dagster shows what was sent and what failed."""
    send_lane_notices()


def _config(kind: str) -> dict[str, object]:
    return {"ops": {send_lane_notices.name: {"config": {"kind": kind}}}}


daily_digest: Final = dg.ScheduleDefinition(
    name="daily_digest",
    job=send_notices,
    cron_schedule="0 7 * * 1-5",
    execution_timezone="UTC",
    run_config=_config(notices.DIGEST),
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Weekdays at 07:00 UTC: what each lane has open. Turn it on where cron does not send it.",
)
hourly_escalation: Final = dg.ScheduleDefinition(
    name="hourly_escalation",
    job=send_notices,
    cron_schedule="15 * * * *",
    execution_timezone="UTC",
    run_config=_config(notices.ESCALATION),
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour: what each lane has overdue. Turn it on where cron does not send it.",
)
