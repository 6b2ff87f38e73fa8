"""`zentra doctor`: prints what is out of step in a home and how to repair it; the checks do not belong here."""

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.upkeep.doctor import Diagnosis

_SHOWN = 5


@click.command("doctor")
@click.option(
    "--tenant", metavar="T", callback=options.checked(identifiers.tenant_id), help="Only this tenant.  [default: all]"
)
@options.home
@options.as_json
def command(tenant: str | None, home: Home, as_json: bool) -> int:
    """Check a home for damage and contradictions, and name the remedies.

    Nothing is changed, and the home may be in use. Exit code 5 when anything is wrong; harmless leftovers are
    shown as notes.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.upkeep.doctor import CHECKS, examine

    with progress() as show_progress:
        diagnoses = examine(home, tenant, show_progress)
    is_sound = all(diagnosis.is_sound for diagnosis in diagnoses)
    if as_json:
        tenants = [{**asdict(diagnosis), "is_sound": diagnosis.is_sound} for diagnosis in diagnoses]
        printing.print_json({"is_sound": is_sound, "checks": list(CHECKS), "diagnoses": tenants})
    else:
        for diagnosis in diagnoses:
            _print_result(diagnosis)
    return 0 if is_sound else VerificationError.exit_code


def _print_result(diagnosis: "Diagnosis") -> None:
    from zentra_pipeline.cli import printing

    name = f"tenant {diagnosis.tenant}" if diagnosis.tenant else "home"
    printing.say(f"{name}: {'sound' if diagnosis.is_sound else 'out of step'}")
    alike: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for finding in diagnosis.findings:
        alike[finding.severity, finding.check, finding.what, finding.remedy].append(finding.subject)
    for (severity, check, what, remedy), subjects in alike.items():
        printing.say(f"  {severity:<5}  {check}: {what}")
        for subject in subjects[:_SHOWN]:
            printing.say(f"           {subject}")
        if len(subjects) > _SHOWN:
            printing.say(f"           and {len(subjects) - _SHOWN:,} more (--json lists them all)")
        printing.say(f"         remedy: {remedy}")
    if diagnosis.skipped:
        printing.say(f"  not checked, because they need a sound store: {', '.join(diagnosis.skipped)}")
