"""`zentra closeouts`: lists closeouts, shows which windows are closed, prints a head to publish; closing is `close`."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zentra_pipeline.store.closeouts import Closeout
    from zentra_pipeline.store.decisions import Decision
    from zentra_pipeline.tenants.tenant import Tenant


_MOST_DAYS = 3_660  # ten years: a table of millennia takes minutes, and somebody mistyped a year

_scope = click.option(
    "--provider",
    metavar="P",
    required=True,
    callback=options.checked(identifiers.scope_id),
    help="Provider, or bank:A for an account.",
)


@click.group("closeouts")
def command() -> None:
    """List closeouts and see which windows are closed."""


@command.command("list")
@options.tenant
@click.option("--provider", metavar="P", callback=options.checked(identifiers.scope_id), help="Only its closeouts.")
@click.option("--pending", "only_pending", is_flag=True, help="Only those that wait for approval.")
@options.home
@options.as_json
def list_closeouts(tenant: "Tenant", provider: str | None, only_pending: bool, as_json: bool) -> None:
    """List a tenant's closeouts, sealed, amended and prepared, by window."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.store import closeouts, decisions

    with tenant.reading() as connection:
        found = [
            closeout
            for closeout in closeouts.listed(connection, provider)
            if not only_pending or closeout.chain_sequence is None
        ]
        log = decisions.listed(connection)
    if as_json:
        printing.print_json({"items": [asdict(item) | {"pending_approval": _pending(log, item)} for item in found]})
        return
    headings = ("closeout", "provider", "window", "run", "revision", "status", "prepared by", "approved by", "amends")
    printing.print_table(
        headings,
        [
            (
                item.closeout_id,
                item.provider,
                item.ledger_window,
                item.run_id,
                item.revision,
                item.status,
                item.prepared_by,
                item.approved_by or "",
                f"{item.amends}: {item.reason}" if item.amends else "",
            )
            for item in found
        ],
    )


@command.command("show")
@click.argument("closeout_id", metavar="ID", callback=options.checked(options.record_id))
@options.tenant
@options.home
@options.as_json
def show(closeout_id: str, tenant: "Tenant", as_json: bool) -> None:
    """Show one closeout: what it seals, or is to seal, and what was decided about it."""
    from zentra_pipeline.cli import approval_text, printing
    from zentra_pipeline.errors import NotFoundError
    from zentra_pipeline.store import closeouts, decisions

    with tenant.reading() as connection:
        found = [item for item in closeouts.listed(connection) if item.closeout_id == closeout_id]
        log = [item for item in decisions.listed(connection) if item.details.get("closeout_id") == closeout_id]
    if not found:
        raise NotFoundError(f"there is no closeout {closeout_id!r} of {tenant.name}")
    (closeout,) = found
    history = [
        {name: getattr(item, name) for name in ("decision_id", "action", "actor", "decided_at", "reason", "result")}
        | {"policy": dict(item.policy), "approval": item.details.get("approval"), "origin": item.details.get("origin")}
        for item in log
    ]
    if as_json:
        printing.print_json(asdict(closeout) | {"pending_approval": _pending(log, closeout), "decisions": history})
        return
    printing.say(f"{closeout.closeout_id}  revision {closeout.revision} of run {closeout.run_id}  {closeout.status}")
    content = next((item["approval"] for item in reversed(history) if item["approval"] is not None), None)
    if content is not None:
        printing.say("\nWhat there is to approve:" if closeout.chain_sequence is None else "\nWhat was approved:")
        for line in approval_text.of_closeout(content):
            printing.say(f"  {line}")
    printing.say("\nWhat was decided:")
    for item in history:
        why = f" ({item['reason']})" if item["reason"] else ""
        printing.say(f"  - {item['decided_at']} {item['actor']}: {item['action'].replace('_', ' ')}{why}")


def _pending(log: "Sequence[Decision]", closeout: "Closeout") -> dict[str, Any] | None:
    """What there is to approve of a closeout that is prepared; null of one that is sealed."""
    from zentra_pipeline.closeout import approval

    return approval.kept(log, closeout.closeout_id) if closeout.chain_sequence is None else None


@command.command("calendar")
@options.tenant
@_scope
@click.option(
    "--from",
    "first",
    metavar="D",
    callback=options.checked(identifiers.ledger_window),
    help="First ledger window, YYYY-MM-DD.  [default: the provider's first with a run or closeout]",
)
@click.option(
    "--to",
    "last",
    metavar="D",
    callback=options.checked(identifiers.ledger_window),
    help="Last ledger window, inclusive.  [default: the last such]",
)
@options.home
@options.as_json
def calendar(*, tenant: "Tenant", provider: str, first: date | None, last: date | None, as_json: bool) -> None:
    """Show every expected window of a provider as sealed, open or missing.

    Expected are business days, and other days that have a run or a closeout.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout import calendar as closed
    from zentra_pipeline.errors import UsageError

    if first is None or last is None:
        known = closed.span(tenant, provider)
        if known is None:
            raise UsageError(f"{provider} has neither runs nor closeouts yet: name the days with --from and --to")
        first, last = first or known[0], last or known[1]
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}: name the earlier day first")
    if (last - first).days >= _MOST_DAYS:
        raise UsageError(f"{first} to {last} is more than {_MOST_DAYS:,} days: name fewer with --from and --to")
    found = closed.windows(tenant, provider, first, last)
    if as_json:
        printing.print_json({"items": [state.as_object() for state in found]})
        return
    printing.print_table(
        ("window", "closeout", "settlement file", "run", "sealed at", ""),
        [
            (
                state.ledger_window,
                state.state,
                state.settlement_file,
                state.run_id or "",
                state.sealed_at or "",
                "" if state.has_activity or state.state == "missing" else "no activity",
            )
            for state in found
        ],
    )
    sealed = sum(state.state == "sealed" for state in found)
    printing.note(f"{sealed:,} of {printing.counted(len(found), 'window')} sealed")


@command.command("head")
@options.tenant
@_scope
@click.option(
    "--out", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: stdout]"
)
@options.home
def head(tenant: "Tenant", provider: str, out: Path | None) -> None:
    """Print the chain of a provider's seals, to be published where a holder of the keys cannot change it."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout import chain_heads
    from zentra_pipeline.errors import UsageError

    content = chain_heads.write_head(tenant, provider).read_bytes()
    if out is None:
        printing.write_bytes(content + b"\n")
        return
    try:
        out.write_bytes(content)
    except OSError as cause:
        raise UsageError(
            f"{out} cannot be written ({cause.strerror}): name a file in a folder you may write"
        ) from cause
    printing.note(f"{printing.counted(len(json.loads(content)['seals']), 'seal')} in {out}")
