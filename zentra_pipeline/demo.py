"""Tells the shipped stories in a home: files come in, windows run, and what stands out is explained.

It takes the same way as `zentra ingest` and `zentra run`. Doing it again finds nothing new. Does not belong here: the
stories themselves (data/scenarios), or any data of its own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from zentra_pipeline import tenancy
from zentra_pipeline.reconcile import RunOutcome, reconcile
from zentra_pipeline.scenario import SCENARIOS, Ingest, Run, Scenario, load_scenario
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.window_run import RunRequest, run_id_of

Echo = Callable[[str], None]


@dataclass(frozen=True)
class Chapter:
    """A shipped scenario and what to say about it."""

    scenario: str
    title: str
    story: str


CHAPTERS = (
    Chapter(
        "unmatched_provider_row",
        "A row that the ledger does not know",
        "rail_primary settles two payments of 26 April. The ledger moved one of them, 1,250.00 USD from the customer\n"
        "through the reserve to settlement. The other, 482.00 USD, it never posted.",
    ),
    Chapter(
        "late_callback",
        "A callback that comes a day late",
        "On 27 April a transfer of 1,250.00 USD is posted and settled, but its callback is missing when finance\n"
        "reviews the window. It arrives the next morning.",
    ),
    Chapter(
        "normal_week",
        "A normal week",
        "card_processor settles in four currencies, a day or two after the ledger posts, with fees, a refund, a\n"
        "chargeback and a batch. One line and one posting come twice.",
    ),
)


def run_demo(home: Home, echo: Echo) -> None:
    """Play the chapters into `home`, which is made where it is missing; `echo` receives what there is to read."""
    tenancy.init_home(home)
    is_anything_new = False
    for number, chapter in enumerate(CHAPTERS, start=1):
        scenario = load_scenario(SCENARIOS / chapter.scenario)
        paths = tenancy.add_tenant(home, scenario.tenant, datetime.now(UTC))
        _write_profile(paths, scenario)
        echo(f"\n{number}. {chapter.title}\n\n{chapter.story}\n")
        is_anything_new = _play(home, paths, scenario, echo) or is_anything_new
    _close(home, echo, is_anything_new)


def _play(home: Home, paths: TenantPaths, scenario: Scenario, echo: Echo) -> bool:
    """Let the files in and run the windows, in the story's order; whether anything was new."""
    is_anything_new = False
    for step in scenario.steps:
        if step.ingest is not None:
            is_anything_new = _ingest(paths, scenario, step.ingest, echo) or is_anything_new
        elif step.run is not None:
            outcome = reconcile(home, scenario.tenant, _request(paths, scenario, step.run))
            _tell(step.run, outcome, echo)
            is_anything_new = outcome.is_new_revision or is_anything_new
    return is_anything_new


def _ingest(paths: TenantPaths, scenario: Scenario, step: Ingest, echo: Echo) -> bool:
    outcome = scenario.ingest(paths, step, datetime.now(UTC))
    for file in outcome.files:
        came = "already here" if file.unchanged else f"{_counted(file.staged, 'row')} in"
        echo(f"   ingest  {outcome.kind:<16} {file.file_id:<28} {came}")
    return any(not file.unchanged for file in outcome.files)


def _request(paths: TenantPaths, scenario: Scenario, run: Run) -> RunRequest:
    """The story's request; a run that has published keeps the moment it was judged by, so that nothing is new."""
    request = scenario.request(run)
    run_id = run_id_of(scenario.tenant, request)
    with reading(operational_store(paths)) as connection:
        published = {known.run_id for known in run_store.list_runs(connection) if known.revision > 0}
    if run_id not in published:
        return request
    return replace(request, as_of=None)


def _tell(run: Run, outcome: RunOutcome, echo: Echo) -> None:
    if not outcome.is_new_revision:
        echo(f"   run     {run.ledger_window}  nothing new: revision {outcome.revision} stands")
        return
    summary = outcome.summary
    figures = [
        _counted(summary.matches, "match", "matches"),
        _counted(summary.open_items, "open item"),
        f"{_counted(sum(summary.opened.values()), 'exception')} opened",
    ]
    if summary.resolved:
        figures.append(f"{sum(summary.resolved.values())} resolved: {', '.join(summary.resolved)}")
    echo(f"   run     {run.ledger_window}  {', '.join(figures)}")
    for exception in summary.exceptions:
        where = f"{exception['severity']}, {exception['lane']}, {exception['owner']}"
        echo(f"           {exception['exception_type']} ({where})")
        echo(f"           {exception['explanation']}")


def _write_profile(paths: TenantPaths, scenario: Scenario) -> None:
    """The profile the story is judged by, unless the provider has one."""
    path = paths.providers / f"{scenario.provider}.yml"
    if path.exists():
        return
    lines = [f"# {scenario.provider} in the shipped story {scenario.name}; every other key has its default."]
    lines += [f"{key}: {json.dumps(value)}" for key, value in scenario.profile.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _close(home: Home, echo: Echo, is_anything_new: bool) -> None:
    if not is_anything_new:
        echo("\nNothing is new: every file and every window was here already.")
    tenant = load_scenario(SCENARIOS / CHAPTERS[0].scenario).tenant
    at = f"--home {home.root} --tenant {tenant}"
    echo(
        f"""
Where to look next

   zentra exceptions list {at}
   zentra query {at} "select * from three_way"
   zentra query {at} "select * from rollforward order by run_id, currency"
   make ui        the same windows as assets with their checks, at http://127.0.0.1:3000"""
    )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
