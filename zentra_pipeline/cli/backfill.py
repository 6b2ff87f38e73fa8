"""`zentra backfill`: chooses the windows of a range and runs them in order; reconciling does not belong here."""

from collections.abc import Iterator
from datetime import date, timedelta

import click

from zentra_pipeline import identifiers
from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home, TenantPaths


@click.command("backfill")
@options.tenant
@options.provider
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
@options.owner
@options.acting
@options.home
@options.as_json
def command(
    *, tenant: str, provider: str, first: date, last: date, owner: str, actor: str, home: Home, as_json: bool
) -> None:
    """Reconcile every window of a range of days, in order.

    The provider's profile says which settlement file a window expects (settlement_file_name). Windows whose file was
    never ingested are named and passed over. When a run fails, those before it stay published.
    """
    from zentra_pipeline import tenancy
    from zentra_pipeline.cli import closing_words, printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.errors import UsageError, ZentraError
    from zentra_pipeline.profile import load_profile
    from zentra_pipeline.reconcile import RunRequest, reconcile

    if first > last:
        raise UsageError(f"--from {first} is after --to {last}: name the earlier day first")
    paths = tenancy.require_tenant(home, tenant)
    profile = load_profile(paths, provider)
    ingested = _ingested_files(paths, provider)
    runs: list[dict[str, object]] = []
    skipped: list[dict[str, str]] = []
    for window in _days(first, last):
        settlement_file = profile.settlement_file(window)
        if settlement_file not in ingested:
            skipped.append({"ledger_window": window.isoformat(), "settlement_file": settlement_file})
            printing.note(f"{window}: passed over, no settlement file {settlement_file} was ingested")
            continue
        request = RunRequest(
            provider=provider,
            settlement_file=settlement_file,
            ledger_window=window,
            owner=owner,
            as_of=None,
            actor=actor,
        )
        try:
            with progress(f"{window}: ") as tell:
                outcome = reconcile(home, tenant, request, tell)
        except ZentraError:
            printing.note(f"{window}: failed; {len(runs):,} windows before it stay published, no later one was run")
            raise
        runs.append(closing_words.as_object(request, outcome))
        if not as_json:
            closing_words.tell(request, outcome)
    if as_json:
        printing.print_json({"runs": runs, "skipped": skipped})
    else:
        printing.say(
            f"{len(runs):,} windows reconciled, {len(skipped):,} passed over for want of their settlement file"
        )


def _days(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _ingested_files(paths: TenantPaths, provider: str) -> set[str]:
    """Ids of the provider's settlement files that were let in."""
    from zentra_pipeline.store.engine import operational_store, reading
    from zentra_pipeline.store.files import staged_files

    with reading(operational_store(paths)) as connection:
        return {file.file_id for file in staged_files(connection, "settlement") if file.provider == provider}
