"""`zentra verify`: checks sealed bundles against pinned keys; the checks themselves do not belong here."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError, VerificationError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.closeout.verify import Report

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("verify")
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@click.option("--trust", metavar="FILE", type=_FILE, help="The pinned keys.  [default: trust.json of the home, if any]")
@click.option("--head", metavar="FILE", type=_FILE, help="Seals as published elsewhere, to find what was sealed again.")
@options.home
@options.as_json
def command(bundle: Path, trust: Path | None, head: Path | None, home: Home, as_json: bool) -> None:
    """Check sealed bundles offline, against pinned keys.

    BUNDLE is one bundle, the folder of a run's bundles, or the folder of all closeouts. Needs no home and no network
    once the keys are handed out. Exits 0 only if every check holds, else 5; 2 when a package that checking needs is not
    installed: then nothing was checked.
    """
    from zentra_pipeline.closeout import verify

    is_own = trust is None and home.trust.is_file()
    try:
        report = verify.verify(bundle, home.trust if is_own else trust, head)
    except verify.MissingPackageError as missing:
        raise UsageError(str(missing)) from missing
    _print_json(report) if as_json else _print_result(report, home.trust if is_own else None)
    if not report.holds:
        raise click.exceptions.Exit(VerificationError.exit_code)


def _print_json(report: "Report") -> None:
    from zentra_pipeline.cli import printing

    seals = [{"bundle": seal.bundle, "seal_digest": seal.seal_digest, **seal.payload} for seal in report.seals]
    findings = [asdict(finding) for finding in report.findings]
    content = {"holds": report.holds, "findings": findings, "warnings": list(report.warnings), "seals": seals}
    printing.print_json(content | {"limits": list(report.limits)})


def _print_result(report: "Report", own_trust: Path | None) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.closeout import verify

    for line in verify.lines_of(report):
        printing.say(line)
    if own_trust is not None:
        printing.note(f"The keys are those of {own_trust}: an auditor pins a copy of their own with --trust.")
