"""`zentra reperform`: prints how a run made again compares with its seal; making it does not belong here."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError, VerificationError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.upkeep.reperform import Reperformed


@click.command("reperform")
@click.argument(
    "bundle",
    metavar="[BUNDLE]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--tenant", metavar="T", callback=options.checked(identifiers.tenant_id), help="Tenant of the run.")
@click.option("--run", "run_id", metavar="ID", callback=options.checked(options.record_id), help="The run.")
@click.option(
    "--revision",
    metavar="N",
    type=click.IntRange(min=1),
    help="A revision of the run.  [default: the sealed one, else the current one]",
)
@options.home
@options.as_json
def command(
    bundle: Path | None, tenant: str | None, run_id: str | None, revision: int | None, home: Home, as_json: bool
) -> int:
    """Make a run again from retained inputs and compare it with its seal.

    Name a run with --tenant and --run, or the folder of a BUNDLE. Inputs digest, every table and the evidence root are
    compared; a run that is not sealed is compared with what it published. Exit code 5 when anything differs.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.tenants.tenancy import require_tenant
    from zentra_pipeline.upkeep import reperform

    with progress() as show_progress:
        if bundle is not None and (tenant, run_id, revision) == (None, None, None):
            outcome = reperform.reperform_bundle(home, bundle, show_progress)
        elif bundle is None and tenant is not None and run_id is not None:
            outcome = reperform.reperform(require_tenant(home, tenant), run_id, revision, show_progress)
        else:
            raise UsageError("name either the folder of a bundle, or a run with --tenant and --run")
    if as_json:
        printing.print_json(_as_object(outcome))
    else:
        _print_result(outcome)
    return 0 if outcome.holds else VerificationError.exit_code


def _as_object(outcome: "Reperformed") -> dict[str, object]:
    claim = asdict(outcome.claim) | {"bundle": outcome.claim.bundle and str(outcome.claim.bundle)}
    compared = [asdict(item) | {"holds": item.holds} for item in outcome.comparisons]
    return {
        "claim": claim,
        "earlier": outcome.earlier,
        "comparisons": compared,
        "deleted": outcome.deleted,
        "holds": outcome.holds,
    }


def _print_result(outcome: "Reperformed") -> None:
    from zentra_pipeline.cli import printing

    claim = outcome.claim
    against = f"the seal of {claim.closeout_id}" if claim.closeout_id else "what it published (it is not sealed)"
    printing.say(f"run {claim.run_id}, revision {claim.revision}, against {against}")
    printing.say(f"staged again from landed bytes; {printing.counted(outcome.earlier, 'earlier run')} as published\n")
    printing.print_table(
        ("what", "claimed", "made now", ""),
        [(c.name, c.claimed[:16], c.found[:16], "equal" if c.holds else "differs") for c in outcome.comparisons],
    )
    for comparison in outcome.comparisons:
        for sign, row in comparison.rows:
            printing.say(f"{comparison.name} {sign} {row}")
    for what in outcome.deleted:
        printing.say(f"not made from bytes, its rows as staged: {what}")
    printing.say("\nit holds" if outcome.holds else "\nit does not hold")
