"""`zentra backfill`: chooses the windows of a range and runs them in order; reconciling does not belong here."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.settings import DEFAULT_OWNER

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant

CUTOFF: Final = "cutoff"


def _as_of(value: str) -> datetime | str:
    return CUTOFF if value == CUTOFF else options.instant(value)


@click.command("backfill")
@options.run_scope
@options.tenant
@click.option(
    "--from",
    "first",
    metavar="D",
    required=True,
    callback=options.checked(identifiers.ledger_window),
    help="First ledger window, YYYY-MM-DD.",
)
@click.option(
    "--to",
    "last",
    metavar="D",
    required=True,
    callback=options.checked(identifiers.ledger_window),
    help="Last ledger window, inclusive.",
)
@click.option(
    "--owner",
    metavar="O",
    callback=options.checked(options.name_of_person),
    help=f"Default owner of exceptions.  [default: a run's recorded owner, else {DEFAULT_OWNER}]",
)
@click.option(
    "--as-of",
    metavar="TS|cutoff",
    callback=options.checked(_as_of),
    help="Judge callbacks as known at this instant, YYYY-MM-DDTHH:MM:SSZ, or each window's as known at its own review "
    "cut-off.  [default: a run's recorded one, else when it is created]",
)
@options.target
@options.acting
@options.confirmed
@options.home
@options.as_json
def command(
    *,
    tenant: "Tenant",
    scope: str,
    first: date,
    last: date,
    owner: str | None,
    as_of: datetime | str | None,
    actor: str,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Reconcile every window of a range of days, in order.

    Of a bank account every day is run, with a statement or without. The provider's profile says which settlement file a
    window expects (settlement_file_name). Windows whose file was never ingested are named and skipped. When a run
    fails, those before it stay published.
    """
    from zentra_pipeline.cli import printing, run_output
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.config.profile import load_profile
    from zentra_pipeline.defs.launch import RunRequest, reconcile
    from zentra_pipeline.errors import UsageError, ZentraError
    from zentra_pipeline.ledger_windows import review_cutoff

    if first > last:
        raise UsageError(f"--from {first} is after --to {last}: name the earlier day first")
    windows, skipped = _windows(tenant, scope, first, last)
    for passed_over in skipped:
        printing.note("{ledger_window}: skipped, {settlement_file} was never ingested".format(**passed_over))
    runs: list[dict[str, object]] = []
    profile = load_profile(tenant.paths, scope)
    for window, settlement_file in windows:
        grace = profile.callback_grace_minutes
        cutoff = review_cutoff(window, profile.timezone, profile.window_cutoff, grace)
        known_at = as_of if isinstance(as_of, datetime) else cutoff if as_of == CUTOFF else None
        request = RunRequest(scope, settlement_file, window, owner, known_at, actor, is_confirmed)
        try:
            with progress(f"{window}: ") as show_progress:
                outcome = reconcile(tenant, request, show_progress, is_alone=False)
        except ZentraError:
            done = printing.counted(len(runs), "window")
            printing.note(f"{window}: failed; {done} before it done, those after it not begun")
            raise
        runs.append(run_output.as_object(request, outcome))
        if not as_json:
            run_output.print_run(request, outcome)
    if as_json:
        printing.print_json({"runs": runs, "skipped": skipped})
    else:
        printing.say(f"{printing.counted(len(runs), 'window')} reconciled, {len(skipped):,} skipped")


def _windows(
    tenant: "Tenant", scope: str, first: date, last: date
) -> tuple[list[tuple[date, str]], list[dict[str, str]]]:
    """The windows of the range with their settlement files, and those whose file was never ingested, both in order."""
    from zentra_pipeline.config.profile import load_profile
    from zentra_pipeline.store.files import staged_files

    profile = load_profile(tenant.paths, scope)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    expected = [(day, profile.settlement_file(day)) for day in days]
    if identifiers.account_of(scope) is not None:
        return expected, []
    with tenant.reading() as connection:
        ingested = {file.file_id for file in staged_files(connection, "settlement") if file.provider == scope}
    skipped = [
        {"ledger_window": day.isoformat(), "settlement_file": file} for day, file in expected if file not in ingested
    ]
    return [(day, file) for day, file in expected if file in ingested], skipped
