"""`zentra rebuild`: prints how remade tables compare with the published ones; remaking does not belong here."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import VerificationError

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant
    from zentra_pipeline.upkeep.rebuild import Rebuilt

_SHOWN = 20


@click.command("rebuild")
@options.tenant
@click.option(
    "--readers-only", is_flag=True, help="Only rewrite pointers, catalog.duckdb and lists of seals; remake no table."
)
@options.home
@options.as_json
def command(tenant: "Tenant", readers_only: bool, as_json: bool) -> int:
    """Remake staged files, lake and catalog from landed bytes and ops.db.

    Every published revision and seal is made again and compared with its recorded digest; files that are missing or
    damaged are replaced. Runs and ingests of the tenant wait meanwhile.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.upkeep import rebuild

    if readers_only:
        rebuild.refresh_readers(tenant)
        if as_json:
            printing.print_json({"tenant": tenant.name, "readers_only": True, "holds": True})
        else:
            printing.say("pointers, catalog.duckdb and lists of seals say what ops.db says")
        return 0
    with progress() as show_progress:
        outcome = rebuild.rebuild(tenant, show_progress)
    if as_json:
        printing.print_json({"tenant": tenant.name, **asdict(outcome), "holds": outcome.holds})
    else:
        _print_result(outcome)
    return 0 if outcome.holds else VerificationError.exit_code


def _print_result(outcome: "Rebuilt") -> None:
    from zentra_pipeline.cli import printing

    printing.print_table(
        ("run", "revision", "window", "made again", "which", "why"),
        [
            (item.run_id, item.revision, item.ledger_window, item.verdict, ", ".join(item.differs), item.detail)
            for item in outcome.revisions
        ],
    )
    for item in outcome.seals:
        printing.say(f"seal {item.closeout_id} of {item.run_id}: {item.verdict}{item.detail and ', '}{item.detail}")
    printing.say()
    for path in outcome.restored[:_SHOWN]:
        printing.say(f"put in place: {path}")
    if len(outcome.restored) > _SHOWN:
        printing.say(f"put in place: {len(outcome.restored) - _SHOWN:,} more files")
    for path in outcome.lost:
        printing.say(f"lost: {path} (today's rules make other bytes; `zentra run` publishes a new revision)")
    for what in outcome.deleted:
        printing.say(f"not made from bytes, its rows as staged: {what}")
    files = printing.counted(outcome.files, "file")
    if outcome.refused:
        printing.note(f"Error: {outcome.refused}")
    elif outcome.holds:
        revisions = printing.counted(len(outcome.revisions), "revision")
        seals = printing.counted(len(outcome.seals), "seal")
        printing.say(f"{files} staged, {revisions} and {seals} made again: everything is as recorded")
