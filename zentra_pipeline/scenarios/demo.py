"""Plays the shipped stories in a home: files arrive, windows run, operators decide and close, seals are checked.

It takes the same way as `zentra ingest` and `zentra run`. Doing it again finds nothing new. Does not belong here: the
stories themselves (data/scenarios), or any data of its own.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from zentra_pipeline.defs.launch import RunOutcome, reconcile
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile.run_requests import RunRequest, run_id_of
from zentra_pipeline.scenarios import operator_steps
from zentra_pipeline.scenarios.scenario import SCENARIOS, Close, Decide, Ingest, Run, Scenario, load_scenario
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

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
        "late_callback_after_the_close",
        "A callback that comes after the close",
        "instant_rail settles 2,400.00 USD on 29 April without a callback. Finance accepts the delay and closes the\n"
        "window. The callback comes the next morning: the closeout is amended, what was sealed stays as it was.",
    ),
    Chapter(
        "normal_week",
        "A normal week",
        "card_processor settles in four currencies, a day or two after the ledger posts, with fees, a refund, a\n"
        "chargeback and a batch. One line and one posting come twice.",
    ),
)


def run_demo(home: Home, echo: Echo) -> dict[str, Any]:
    """Play the chapters into `home`, which is made where it is missing; `echo` receives what there is to read.

    Returns where it all lies, which stories were played, whether anything was new, and how many seals and checks hold.
    """
    tenancy.init_home(home)
    is_anything_new = False
    for number, chapter in enumerate(CHAPTERS, start=1):
        scenario = load_scenario(SCENARIOS / chapter.scenario)
        tenant = tenancy.add_tenant(home, scenario.tenant, datetime.now(UTC))
        _write_profile(tenant.paths, scenario)
        echo(f"\n{number}. {chapter.title}\n\n{chapter.story}\n")
        is_anything_new = _play(tenant, scenario, echo) or is_anything_new
    echo("\nWhat was sealed, checked offline\n")
    seals, checks = _verify(home, echo)
    _close(home, echo, is_anything_new)
    return {
        "home": str(home.root),
        "stories": [{"scenario": chapter.scenario, "title": chapter.title} for chapter in CHAPTERS],
        "is_anything_new": is_anything_new,
        "seals": seals,
        "checks_that_hold": checks,
    }


def _play(tenant: Tenant, scenario: Scenario, echo: Echo) -> bool:
    """Let the files in and run the windows, in the story's order; whether anything was new."""
    is_anything_new = False
    for step in scenario.steps:
        if step.ingest is not None:
            is_anything_new = _ingest(tenant, scenario, step.ingest, echo) or is_anything_new
        elif step.run is not None:
            outcome = reconcile(tenant, _request(tenant, scenario, step.run))
            _print_run(step.run, outcome, echo)
            is_anything_new = outcome.is_new_revision or is_anything_new
        elif step.decide is not None:
            is_anything_new = _decide(tenant, scenario, step.decide, echo) or is_anything_new
        elif step.close is not None:
            is_anything_new = _close_window(tenant, scenario, step.close, echo) or is_anything_new
    return is_anything_new


def _decide(tenant: Tenant, scenario: Scenario, step: Decide, echo: Echo) -> bool:
    recorded = operator_steps.decide(tenant, scenario, step, datetime.now(UTC))
    if recorded is None:
        echo(f"   decide  {step.exception_type} of {step.subject_id}  decided before")
        return False
    echo(f"   decide  {step.actor}: {step.action} {step.exception_type} of {step.subject_id} as {step.resolution}")
    echo(f"           “{step.reason}”")
    return recorded.is_new


def _close_window(tenant: Tenant, scenario: Scenario, step: Close, echo: Echo) -> bool:
    outcome = operator_steps.close(tenant, scenario, step, datetime.now(UTC))
    closeout = outcome.closeout
    assert closeout is not None
    if not outcome.is_new:
        echo(f"   close   {step.ledger_window}  sealed before, revision {closeout.revision}")
        return False
    echo(
        f"   close   {step.ledger_window}  prepared by {closeout.prepared_by}, approved by {closeout.approved_by}: "
        f"sealed, {_counted(closeout.evidence_rows, 'evidence row')}"
    )
    echo(f"           root {closeout.evidence_root}")
    if closeout.amends:
        echo(f"           amends revision {closeout.revision - 1}: {closeout.reason}")
    return True


def _verify(home: Home, echo: Echo) -> tuple[int, int]:
    """Check every bundle the stories sealed, as somebody without this home would: with the pinned keys alone.

    Returns how many seals there are and how many checks hold, which is all of them.
    """
    from zentra_pipeline.closeout import verify

    seals = checks = 0
    for tenant in tenancy.tenants(home):
        folder = tenant.paths.closeouts
        if not folder.exists():
            continue
        report = verify.verify(folder, home.trust)
        held = sum(finding.holds for finding in report.findings)
        echo(
            f"   verify  {_counted(len(report.seals), 'seal')} of {tenant.name}: "
            f"{held} of {len(report.findings)} checks hold"
        )
        if not report.holds:
            raise VerificationError(f"a bundle of {tenant} does not hold: zentra verify {folder}")
        seals, checks = seals + len(report.seals), checks + held
    return seals, checks


def _ingest(tenant: Tenant, scenario: Scenario, step: Ingest, echo: Echo) -> bool:
    outcome = scenario.ingest(tenant, step, datetime.now(UTC))
    for file in outcome.files:
        came = "already here" if file.unchanged else f"{_counted(file.staged, 'row')} in"
        echo(f"   ingest  {outcome.kind:<16} {file.file_id:<28} {came}")
    return any(not file.unchanged for file in outcome.files)


def _request(tenant: Tenant, scenario: Scenario, run: Run) -> RunRequest:
    """The story's request; a run that was judged by this moment or a later one keeps its own: nothing is new then."""
    request = scenario.request(run)
    run_id = run_id_of(tenant.name, request)
    with tenant.reading() as connection:
        judged = {known.run_id: known.as_of for known in run_store.list_runs(connection) if known.is_published}
    if run_id in judged and instant_of(judged[run_id]) >= run.as_of:
        return replace(request, as_of=None)
    return request


def _print_run(run: Run, outcome: RunOutcome, echo: Echo) -> None:
    if not outcome.is_new_revision:
        echo(f"   run     {run.ledger_window}  no change: revision {outcome.revision} is current")
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
    at = f"--home {shlex.quote(str(home.root))} --tenant {tenant}"
    echo(
        f"""
Where to look next

   zentra exceptions list {at}
   zentra closeouts list {at}
   zentra story pay_9XKD {at}
   zentra query {at} "select * from three_way"
   zentra query {at} "select * from rollforward order by run_id, currency"
   make ui        the same windows as assets with their checks, at http://127.0.0.1:3000"""
    )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
