"""`zentra close`: prepares and approves the closeout of a run, and prints what blocks it; closing is elsewhere."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline import identifiers, remedies
from zentra_pipeline.cli import options
from zentra_pipeline.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from zentra_pipeline.closeout.blockers import Blocker
    from zentra_pipeline.closeout.closing import CloseoutResult
    from zentra_pipeline.tenants.tenant import Tenant

_SHOWN_BLOCKERS = 20


@click.command("close")
@options.tenant
@click.option("--run", "run_id", metavar="ID", callback=options.checked(options.record_id), help="The run to close.")
@click.option(
    "--provider",
    metavar="P",
    callback=options.checked(identifiers.scope_id),
    help="With --no-activity: provider of the window, or bank:A for an account.",
)
@click.option(
    "--ledger-window",
    metavar="D",
    callback=options.checked(identifiers.ledger_window),
    help="With --no-activity: the window's day, YYYY-MM-DD.",
)
@click.option("--no-activity", is_flag=True, help="Close a window in which nothing happened and that has no run.")
@click.option("--approve", is_flag=True, help="Approve and seal what somebody else prepared.")
@click.option("--reason", metavar="TEXT", help="Why an earlier seal is amended.  [default: the files that came since]")
@click.option("--accept-quarantine", metavar="REASON", help="Reason for closing with quarantined rows.")
@options.acting
@options.home
@options.as_json
def command(
    *,
    tenant: "Tenant",
    run_id: str | None,
    provider: str | None,
    ledger_window: date | None,
    no_activity: bool,
    approve: bool,
    reason: str | None,
    accept_quarantine: str | None,
    actor: str,
    as_json: bool,
) -> int:
    """Close a run: prepare, approve and seal its evidence.

    A fact that comes later makes a new revision of the run; closing that one amends the first seal, which stays.
    """
    from zentra_pipeline.actors import command_line
    from zentra_pipeline.closeout import candidate as candidates
    from zentra_pipeline.closeout import closing

    now = datetime.now(UTC)
    if approve and (reason is not None or accept_quarantine is not None):
        raise UsageError("--reason and --accept-quarantine belong to preparing; leave them out with --approve")
    if no_activity:
        if run_id is not None or provider is None or ledger_window is None:
            raise UsageError("--no-activity goes with --provider and --ledger-window, and without --run")
        again = _make_again(tenant, provider)
        opened = candidates.of_idle_window(tenant, provider, ledger_window, actor, now)
    elif run_id is None or provider is not None or ledger_window is not None:
        raise UsageError("name the run with --run; `zentra runs list` shows them")
    else:
        again = _make_again(tenant, _provider_of(tenant, run_id))
        opened = candidates.of_run(tenant, run_id)
    with opened as candidate:
        if approve:
            outcome = closing.approve(candidate, actor, now, command_line())
        else:
            outcome = closing.prepare(candidate, actor, now, reason, accept_quarantine, command_line())
    _print_result(outcome, tenant.name, run_id, again, as_json)
    return RefusedError.exit_code if outcome.status == "blocked" else 0


def _provider_of(tenant: "Tenant", run_id: str) -> str:
    from zentra_pipeline.store import runs

    with tenant.reading() as connection:
        return runs.get(connection, run_id).provider


def _make_again(tenant: "Tenant", provider: str) -> list[str]:
    """Make what is queued of the provider first: a closeout is of runs that have seen what came before them.

    What cannot be made is among the blockers, with its reason.
    """
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.defs.launch import run_queued

    with progress() as show_progress:
        followed = run_queued(tenant, provider, show_progress)
    return [f"{each.run.settlement_file} {each.run.ledger_window}" for each in followed.results]


def _print_result(outcome: "CloseoutResult", tenant: str, run_id: str | None, again: list[str], as_json: bool) -> None:
    from zentra_pipeline.cli import printing

    if not as_json:
        for name in again:
            printing.note(f"made again first: {name}")
    if as_json:
        printing.print_json(_as_object(outcome, tenant, run_id) | {"rerun": again})
    elif outcome.closeout is None:
        _print_blockers(outcome, tenant)
    else:
        _print_closeout(outcome, tenant, is_idle=run_id is None)


def _as_object(outcome: "CloseoutResult", tenant: str, run_id: str | None) -> dict[str, Any]:
    closeout = outcome.closeout
    return {
        "status": outcome.status,
        "closeout_id": closeout.closeout_id if closeout else None,
        "run_id": closeout.run_id if closeout else run_id,
        "revision": closeout.revision if closeout else None,
        "bundle": str(outcome.bundle) if outcome.bundle else None,
        "evidence_root": closeout.evidence_root if closeout else None,
        "evidence_rows": closeout.evidence_rows if closeout else None,
        "evidence_status": closeout.evidence_status if closeout else None,
        "seal_digest": closeout.seal_digest if closeout else None,
        "previous_seal": closeout.previous_seal if closeout else None,
        "amends": closeout.amends if closeout else None,
        "reason": closeout.reason if closeout else None,
        "prepared_by": closeout.prepared_by if closeout else None,
        "approved_by": closeout.approved_by if closeout else None,
        "is_new": outcome.is_new,
        "pending_approval": outcome.approval,
        "blockers": [
            {name: getattr(blocker, name) for name in ("kind", "subject", "explanation")}
            | {"remedy": _remedy(blocker, tenant)}
            for blocker in outcome.blockers
        ],
    }


def _remedy(blocker: "Blocker", tenant: str) -> str:
    """What to do, with the command that does it."""
    return f"{blocker.remedy.words}: {remedies.command(blocker.remedy, tenant)}"


def _print_blockers(outcome: "CloseoutResult", tenant: str) -> None:
    from zentra_pipeline.cli import printing

    printing.note(f"Not closed: {printing.counted(len(outcome.blockers), 'blocker')}:")
    for blocker in outcome.blockers[:_SHOWN_BLOCKERS]:
        printing.note(f"\n  {blocker.kind.replace('_', ' ')} {blocker.subject}")
        printing.note(f"    {blocker.explanation}")
        printing.note(f"    → {_remedy(blocker, tenant)}")
    if len(outcome.blockers) > _SHOWN_BLOCKERS:
        printing.note(f"\n  and {len(outcome.blockers) - _SHOWN_BLOCKERS:,} more: --json lists them all")


def _print_closeout(outcome: "CloseoutResult", tenant: str, *, is_idle: bool) -> None:
    from zentra_pipeline.cli import approval_text, printing

    closeout = outcome.closeout
    assert closeout is not None
    was = "" if outcome.is_new else " already"
    facts = [
        ("closeout", f"{closeout.closeout_id}, revision {closeout.revision} of run {closeout.run_id}"),
        ("status", f"{outcome.status}{was}"),
        (
            "evidence",
            f"{printing.counted(closeout.evidence_rows, 'row')}, {closeout.evidence_status.replace('_', ' ')}",
        ),
        ("root", closeout.evidence_root),
        ("prepared", f"{closeout.prepared_by}, {closeout.prepared_at}"),
    ]
    if closeout.approved_by:
        facts.append(("approved", f"{closeout.approved_by}, {closeout.sealed_at}"))
    if closeout.seal_digest:
        facts.append(("seal", f"{closeout.seal_digest}, number {closeout.chain_sequence} of {closeout.provider}"))
    if closeout.amends:
        facts.append(("amends", f"{closeout.amends}: {closeout.reason}"))
    if outcome.bundle:
        facts.append(("bundle", str(outcome.bundle)))
    for label, value in facts:
        printing.say(f"{label:<10}{value}")
    if outcome.approval is not None:
        printing.say("\nWhat there is to approve:")
        for line in approval_text.of_closeout(outcome.approval):
            printing.say(f"  {line}")
    if outcome.status == "prepared":
        window = f"--provider {closeout.provider} --ledger-window {closeout.ledger_window} --no-activity"
        which = window if is_idle else f"--run {closeout.run_id}"
        printing.next_step(f"zentra close --tenant {tenant} {which} --approve", "by somebody else")
    elif outcome.bundle:
        printing.next_step(f"zentra verify {outcome.bundle}")
