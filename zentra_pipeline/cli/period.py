"""`zentra period`: a month over all providers, its windows closed together, its sign-off; one window is `close`."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline import identifiers, remedies
from zentra_pipeline.cli import options
from zentra_pipeline.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zentra_pipeline.closeout.blockers import Blocker
    from zentra_pipeline.closeout.period import Month
    from zentra_pipeline.closeout.period_closing import PeriodResult
    from zentra_pipeline.desk.closing_windows import WindowOutcome
    from zentra_pipeline.tenants.tenant import Tenant

_SHOWN = 50


@click.group("period")
def command() -> None:
    """See a month, close its windows together, sign it off by two people."""


_month = click.argument("period", metavar="MONTH", callback=options.checked(identifiers.period))
_windows = click.option("--windows", "of_windows", is_flag=True, help="Its windows, instead of the month itself.")
_provider = click.option(
    "--provider",
    metavar="P",
    callback=options.checked(identifiers.scope_id),
    help="With --windows: only of this one.",
)
_day = click.option(
    "--ledger-window",
    metavar="D",
    callback=options.checked(identifiers.ledger_window),
    help="With --windows: only of this day, YYYY-MM-DD.",
)


@command.command("list")
@options.tenant
@options.home
@options.as_json
def list_months(tenant: "Tenant", as_json: bool) -> None:
    """List the months that have a run or a closeout, the newest first."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout import period as months

    now = datetime.now(UTC)
    found = [months.seen(tenant, name, now) for name in months.months(tenant)]
    if as_json:
        printing.print_json({"items": [_brief(month) for month in found]})
        return
    rows = [(m.period, m.state, _counted(m), m.signed.closeout_id if m.signed else "") for m in found]
    printing.print_table(("month", "state", "windows", "sign-off"), rows)


@command.command("show")
@_month
@options.tenant
@options.home
@options.as_json
def show(period: str, tenant: "Tenant", as_json: bool) -> None:
    """Show a month: windows, totals, what blocks its sign-off, what changed since one."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout import period as months

    month = months.seen(tenant, period, datetime.now(UTC))
    if as_json:
        printing.print_json(month_object(month, tenant.name))
        return
    printing.say(f"{month.period}  {month.state.replace('_', ' ')}  {_counted(month)}")
    for sign_off in month.sign_offs:
        by = f"prepared by {sign_off.prepared_by}" + (
            f", approved by {sign_off.approved_by}, {sign_off.sealed_at}" if sign_off.is_sealed else ""
        )
        printing.say(f"  revision {sign_off.revision}  {sign_off.status}  {sign_off.closeout_id}  {by}")
        if sign_off.reason:
            printing.say(f"    amends {sign_off.amends}: {sign_off.reason}")
    _print_totals(month.totals)
    if month.changes:
        printing.say("\nChanged since it was signed off:")
        for change in month.changes:
            closeouts = f"{change.before or '–'} → {change.after or '–'}"
            printing.say(f"  {change.provider} {change.ledger_window}  {change.what}  {closeouts}")
    _print_blockers(month.left(), tenant.name, month.period, is_signed=month.state == "signed_off")


@command.command("prepare")
@_month
@options.tenant
@_windows
@_provider
@_day
@click.option(
    "--no-activity", is_flag=True, help="With --windows: days without a run too, as windows without activity."
)
@click.option(
    "--reason", metavar="TEXT", help="Why an earlier sign-off is amended.  [default: the windows that changed]"
)
@options.acting
@options.home
@options.as_json
def prepare(
    *,
    period: str,
    tenant: "Tenant",
    of_windows: bool,
    provider: str | None,
    ledger_window: date | None,
    no_activity: bool,
    reason: str | None,
    actor: str,
    as_json: bool,
) -> int:
    """Prepare the sign-off of a month, or with --windows every window of it that can be."""
    from zentra_pipeline.actors import command_line
    from zentra_pipeline.closeout import period_closing
    from zentra_pipeline.desk import closing_windows

    now = datetime.now(UTC)
    if not of_windows:
        if provider is not None or ledger_window is not None or no_activity:
            raise UsageError("--provider, --ledger-window and --no-activity go with --windows")
        result = period_closing.prepare(tenant, period, actor, now, reason, command_line())
        return _print_result(result, tenant.name, period, as_json)
    if reason is not None:
        raise UsageError("--reason is of the month's sign-off: leave it out with --windows")
    wanted = closing_windows.Wanted(provider, None if ledger_window is None else ledger_window.isoformat())
    done = closing_windows.prepare(tenant, period, actor, now, command_line(), wanted, no_activity=no_activity)
    return _print_windows(done, tenant.name, period, as_json, "prepare")


@command.command("approve")
@_month
@options.tenant
@_windows
@_provider
@_day
@options.acting
@options.home
@options.as_json
def approve(
    *,
    period: str,
    tenant: "Tenant",
    of_windows: bool,
    provider: str | None,
    ledger_window: date | None,
    actor: str,
    as_json: bool,
) -> int:
    """Approve and seal the sign-off that somebody else prepared, or with --windows the windows."""
    from zentra_pipeline.actors import command_line
    from zentra_pipeline.closeout import period_closing
    from zentra_pipeline.desk import closing_windows

    now = datetime.now(UTC)
    if not of_windows:
        if provider is not None or ledger_window is not None:
            raise UsageError("--provider and --ledger-window go with --windows")
        result = period_closing.approve(tenant, period, actor, now, command_line())
        return _print_result(result, tenant.name, period, as_json)
    wanted = closing_windows.Wanted(provider, None if ledger_window is None else ledger_window.isoformat())
    done = closing_windows.approve(tenant, period, actor, now, command_line(), wanted)
    return _print_windows(done, tenant.name, period, as_json, "approve")


def _brief(month: "Month") -> dict[str, Any]:
    return {
        "period": month.period,
        "state": month.state,
        "windows": month.counts,
        "sign_off": month.signed.as_object() if month.signed else None,
    }


def month_object(month: "Month", tenant: str) -> dict[str, Any]:
    """A month as JSON has it."""
    return _brief(month) | {
        "calendar": {name: [each.as_object() for each in states] for name, states in month.windows.items()},
        "totals": month.totals,
        "sign_offs": [each.as_object() for each in month.sign_offs],
        "pending_approval": None if month.prepared is None else month.prepared.content,
        "changes": [change.as_object() for change in month.changes],
        "blockers": [_blocker(each, tenant) for each in month.left()],
    }


def _blocker(blocker: "Blocker", tenant: str) -> dict[str, str]:
    return {name: getattr(blocker, name) for name in ("kind", "subject", "explanation")} | {
        "remedy": f"{blocker.remedy.words}: {remedies.command(blocker.remedy, tenant)}"
    }


def _counted(month: "Month") -> str:
    return ", ".join(f"{count:,} {state}" for state, count in sorted(month.counts.items())) or "no window"


def _print_totals(totals: dict[str, Any]) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout.period import AMOUNTS
    from zentra_pipeline.money import amount_text

    if not totals["currencies"]:
        return
    printing.say("\nOf the sealed windows:")
    rows = [
        (row.get("provider", "all"), row["windows"], *(amount_text(row[name], row["currency"]) for name in AMOUNTS))
        for row in (*totals["providers"], *totals["currencies"])
    ]
    names = [name.removesuffix("_minor").replace("_", " ") for name in AMOUNTS]
    printing.print_table(("provider", "windows", *names), rows)


def _print_blockers(blockers: "Sequence[Blocker]", tenant: str, period: str, *, is_signed: bool = False) -> None:
    from zentra_pipeline.cli import printing

    if not blockers:
        return
    said = "Signed off, and facts of it came that are in no window" if is_signed else "Not ready to be signed off"
    printing.note(f"{said}: {printing.counted(len(blockers), 'blocker')}:")
    for blocker in blockers[:_SHOWN]:
        printing.note(f"\n  {blocker.kind.replace('_', ' ')} {blocker.subject}")
        printing.note(f"    {blocker.explanation}")
        printing.note(f"    → {blocker.remedy.words}: {remedies.command(blocker.remedy, tenant)}")
    if len(blockers) > _SHOWN:
        printing.note(f"\n  and {len(blockers) - _SHOWN:,} more: --json lists them all")
    kinds = [blocker.kind for blocker in blockers]
    if kinds.count("open_window") + kinds.count("missing_window") > 1:
        empty = " --no-activity" if "missing_window" in kinds else ""
        printing.note(
            f"\n  its windows together: zentra period prepare {period} --tenant {tenant} --windows{empty} --actor ACTOR"
        )


def _print_result(result: "PeriodResult", tenant: str, period: str, as_json: bool) -> int:
    from zentra_pipeline.cli import printing

    sign_off = result.sign_off
    if as_json:
        content = {
            "status": result.status,
            "bundle": str(result.bundle) if result.bundle else None,
            "is_new": result.is_new,
            "sign_off": sign_off.as_object() if sign_off else None,
            "pending_approval": sign_off.content if sign_off and not sign_off.is_sealed else None,
            "blockers": [_blocker(each, tenant) for each in result.blockers],
        }
        printing.print_json(content)
    elif sign_off is None:
        _print_blockers(result.blockers, tenant, period)
    else:
        was = "" if result.is_new else " already"
        facts = [
            ("sign-off", f"{sign_off.closeout_id}, revision {sign_off.revision} of {period}"),
            ("status", f"{result.status}{was}"),
            ("windows", f"{sign_off.evidence_rows:,}"),
            ("root", sign_off.evidence_root),
            ("prepared", f"{sign_off.prepared_by}, {sign_off.prepared_at}"),
        ]
        if sign_off.is_sealed:
            facts.append(("approved", f"{sign_off.approved_by}, {sign_off.sealed_at}"))
            facts.append(("seal", f"{sign_off.seal_digest}, number {sign_off.chain_sequence} of the sign-offs"))
        if sign_off.amends:
            facts.append(("amends", f"{sign_off.amends}: {sign_off.reason}"))
        if result.bundle:
            facts.append(("bundle", str(result.bundle)))
        for label, value in facts:
            printing.say(f"{label:<10}{value}")
        if not sign_off.is_sealed:
            _print_totals(sign_off.content["totals"])
            printing.next_step(f"zentra period approve {period} --tenant {tenant}", "by somebody else")
        elif result.bundle:
            printing.next_step(f"zentra verify {result.bundle}")
    return 0 if sign_off is not None else RefusedError.exit_code


def _print_windows(done: "Sequence[WindowOutcome]", tenant: str, period: str, as_json: bool, action: str) -> int:
    from zentra_pipeline.cli import printing

    left = [each for each in done if not each.is_done]
    if as_json:
        printing.print_json({"items": [each.as_object() for each in done]})
    else:
        printing.print_table(
            ("provider", "window", "run", "outcome", "why"),
            [(o.provider, o.ledger_window, o.run_id or "", o.status, o.detail or "") for o in done],
        )
        taken = len(done) - len(left)
        printing.note(
            f"{taken:,} of {printing.counted(len(done), 'window')} {'prepared' if action == 'prepare' else 'sealed'}"
        )
        if action == "prepare" and taken:
            printing.next_step(f"zentra period approve {period} --windows --tenant {tenant}", "by somebody else")
    return RefusedError.exit_code if left else 0
