"""Chromium with htmx: a late callback is followed, forty breaks are cleared by keyboard, ten thousand rows fit.

Everything is asked for through pages; files arrive and windows are run beside the browser, as they do in a team.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import NOW
from tests.console.browsing import IN_A_BROWSER, launched, look_over, served, signed_in
from zentra_pipeline.console import rendering
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.scenarios.scenario import SCENARIOS, load_scenario
from zentra_pipeline.settings import Home
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = IN_A_BROWSER
with_htmx = pytest.mark.skipif(rendering.htmx_folder() is None, reason="install django-htmx (it is in the lock)")

HEADER = (
    "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,"
    "currency,settled_at,batch_id"
)
# What a page with a script would do, had it not taken this for text.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "<b hx-get='/console/sign-out' hx-trigger='load'>",
    "' hx-on:click='alert(3)",
)
LONG_NAME = "Maximiliane-Theodora von und zu Hohenlohe-Waldenburg-Schillingsfürst of the night desk " * 2
LONG_PROVIDER = "the_provider_with_the_longest_name_that_a_profile_may_be_called"
STORY = load_scenario(SCENARIOS / "late_callback")


@dataclass
class Team:
    """A home with three tenants, and who works there: tokens by tenant and role."""

    home: Home
    url: str
    tokens: dict[tuple[str, str], str]

    def sign_in(self, browser: Any, role: str, tenant: str = "acme", **options: Any) -> Any:
        return signed_in(browser, self.url, self.tokens[tenant, role], **options)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """acme with the first day of its story and forty lines, large with ten thousand and long names, empty with none."""
    folder = tmp_path_factory.mktemp("team")
    home = Home.at(folder / "home")
    tenancy.init_home(home)
    tokens = {}
    for tenant in ("acme", "large", "empty"):
        tenancy.add_tenant(home, tenant, NOW)
        for role in ("operator", "approver"):
            actor = LONG_NAME.strip() if (tenant, role) == ("large", "operator") else f"{role} of {tenant}"
            tokens[tenant, role] = access.create_token(home, tenant=tenant, actor=actor, role=role, now=NOW)[0]
    acme = Tenant.of(home, "acme")
    (acme.paths.providers / f"{STORY.provider}.yml").write_text(json.dumps(STORY.profile), encoding="utf-8")
    play(acme, 0, 3)
    unposted(acme, folder, "many", 40)
    unposted(Tenant.of(home, "large"), folder, LONG_PROVIDER, 10_000)
    with served(home) as url:
        yield Team(home, url, tokens)


def play(tenant: Tenant, first: int, last: int) -> None:
    """Steps of the shipped story of a late callback."""
    for step in STORY.steps[first:last]:
        if step.ingest is not None:
            STORY.ingest(tenant, step.ingest, NOW)
        if step.run is not None:
            run_window(tenant, STORY.request(step.run))


def unposted(tenant: Tenant, folder: Path, provider: str, lines: int) -> None:
    """Have a provider settle lines that nobody posted, the first under the longest reference there may be."""
    (tenant.paths.providers / f"{provider}.yml").write_text("expects_callbacks: false\n", encoding="utf-8")
    references = ["r" * 4_096, *(f"ref_{number:05}" for number in range(1, lines))]
    if lines > len(HOSTILE) * 2:
        references[1 : 1 + len(HOSTILE)] = HOSTILE
    amounts = [1_000_000 + number for number in range(lines)]
    file = folder / f"set_{tenant.name}.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER.split(","))
        for number, (reference, minor) in enumerate(zip(references, amounts, strict=True)):
            line = (f"line_{number:05}", "payment", reference, "", minor, 0, minor, "EUR", "2026-04-27T10:00:00Z", "")
            writer.writerow(line)
    ingest_files(tenant, provider=provider, kind="settlement", files=[file], file_id=None, format="canonical", now=NOW)
    run_window(tenant, RunRequest(provider, file.stem, date(2026, 4, 27), LONG_NAME.strip(), as_of=NOW, actor="ops"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


def mark(page: Any) -> None:
    """Leave something that a loaded page would not have."""
    page.evaluate("window.isSamePage = true")


def is_same_page(page: Any) -> bool:
    return page.evaluate("window.isSamePage === true") is True


def test_a_late_callback_is_seen_missing_then_late_and_its_history_says_so(browser: Any, team: Team) -> None:
    operator = team.sign_in(browser, "operator")
    operator.goto(f"{team.url}/console/exceptions?provider={STORY.provider}")
    assert operator.locator(".exceptions td:has-text('missing callback')").count() == 1
    play(Tenant.of(team.home, "acme"), 4, 8)
    operator.reload()
    assert operator.locator(".exceptions td:has-text('missing callback')").count() == 0
    operator.click("tr:has(td:has-text('late callback')) >> a")
    assert operator.locator("section.side:has(h4:text-is('Callbacks say')) .figure").inner_text() == "succeeded"
    operator.click("text=Its whole history")
    assert operator.locator("li:has-text('Late callback opened'):has-text('after the review cut-off')").count() == 1
    operator.go_back()
    form = operator.locator("form:has(button:text-is('Resolve'))")
    form.locator("select[name=resolution]").select_option("accepted_timing")
    form.locator("input[name=reason]").fill("it came the next morning")
    form.locator("button").click()
    assert operator.locator(".notice.good").inner_text() == "Recorded."
    assert operator.locator(".badge:has-text('accepted timing')").count() == 1


@with_htmx
def test_the_list_is_filtered_and_sorted_without_loading_the_page(browser: Any, team: Team) -> None:
    page = team.sign_in(browser, "operator")
    page.goto(f"{team.url}/console/exceptions")
    mark(page)
    page.select_option("select[name=provider]", "many")
    page.wait_for_url("**provider=many**")
    page.wait_for_selector("#list b:has-text('40 exceptions')")
    page.focus("#by-amount")
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=amount**")
    page.wait_for_selector("th[aria-sort] #by-amount")
    assert page.evaluate("document.activeElement.id") == "by-amount", "the focus is where it was"
    assert page.locator(".exceptions tbody tr >> nth=0").locator("td.n >> nth=0").inner_text() == "10,000.00 EUR"
    page.fill(".filters input[name=reference]", "ref_00039")
    page.press(".filters input[name=reference]", "Enter")
    page.wait_for_selector("#list b:text-is('1 exception')")
    assert page.locator("#sort").get_attribute("value") == "amount"
    assert is_same_page(page)
    page.fill("input[name=name]", "the last of many")
    page.click("text=Save the view")
    href = page.get_attribute("nav[aria-label='Saved views'] a", "href")
    assert all(part in href for part in ("provider=many", "reference=ref_00039", "sort=amount"))
    page.goto(f"{team.url}/console/exceptions")
    page.select_option("select[name=provider]", "many")
    page.wait_for_url("**provider=many**")
    page.go_back()
    page.wait_for_selector("select[name=provider] option[value='']:checked", state="attached")


def test_forty_breaks_are_cleared_by_keyboard(browser: Any, team: Team) -> None:
    page = team.sign_in(browser, "operator")
    page.goto(f"{team.url}/console/exceptions?provider=many&sort=reference")
    mark(page)
    page.focus(".exceptions tbody input >> nth=0")
    for _ in range(40):
        page.keyboard.press("Space")
        page.keyboard.press("Tab")  # the reference
        page.keyboard.press("Tab")  # the next row, and after the last what is decided about them
    assert page.locator(".exceptions input:checked").count() == 40
    assert page.evaluate("document.activeElement.name") == "action"
    page.keyboard.type("resolve")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.type("provider error confirmed")
    page.keyboard.press("Tab")
    page.keyboard.type("they settled another shop's payments")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good, .notice.bad")
    assert page.locator(".notice.good").inner_text() == "Recorded."
    assert page.locator("text=No exception is like this.").count() == 1
    assert is_same_page(page) or rendering.htmx_folder() is None
    page.goto(f"{team.url}/console/exceptions?provider=many&status=any")
    assert page.locator("td:has-text('provider error confirmed')").count() == 40


@with_htmx
def test_a_run_that_is_awaited_shows_itself_when_it_is_made_and_an_ended_session_signs_in(
    browser: Any, team: Team
) -> None:
    page = team.sign_in(browser, "operator")
    page.goto(f"{team.url}/console/runs?month=2026-04")
    page.click(".calendar a >> nth=0")
    page.click("text=Run it again")
    page.wait_for_selector("#progress")
    run_id = page.url.rsplit("/", 1)[1].partition("?")[0]
    acme = Tenant.of(team.home, "acme")
    page.wait_for_selector("#progress:has-text('waits for its turn')")
    with acme.writing() as connection:
        request_store.finish(connection, run_id, datetime.now(UTC))
    page.wait_for_selector("#progress", state="detached")
    page.goto(f"{team.url}/console/exceptions")
    page.context.clear_cookies()
    page.select_option("select[name=status]", "any")
    page.wait_for_url("**/console/sign-in**")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_ten_thousand_rows_long_names_and_no_rows_fit(browser: Any, team: Team, width: int, scheme: str) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    large = team.sign_in(browser, "operator", "large", **options)
    said: list[str] = []
    large.on("dialog", lambda dialog: said.append(dialog.message))
    large.on("console", lambda message: said.append(message.text))
    large.goto(f"{team.url}/console/exceptions?sort=reference&page=100")
    assert large.locator("#list b").inner_text() == "10,000 exceptions"
    assert large.locator(".exceptions tbody tr").count() == 100
    large.goto(f"{team.url}/console/exceptions?sort=reference")
    shown = large.locator(".exceptions td.reference").all_inner_texts()
    assert set(HOSTILE) <= set(shown), "text is shown as text"
    large.set_default_timeout(30_000)
    large.locator(".exceptions a", has_text="onerror").click()
    large.click("text=Its whole history")
    assert HOSTILE[1] in large.inner_text("h1")
    large.goto(f"{team.url}/console/exceptions?sort=reference&page=100")
    exception = large.get_attribute(".exceptions tbody tr:last-child a", "href")
    large.goto(f"{team.url}/console/runs")
    run = large.get_attribute(".calendar a", "href")
    for path in (
        "/console/exceptions?sort=reference&page=100",
        exception,
        run,
        f"{run}/closeout",
        "/console/runs",
        "/console/periods/2026-04",
    ):
        assert large.goto(team.url + path).status == 200, path
        look_over(large, f"large: {path}")
    assert said == []
    empty = team.sign_in(browser, "approver", "empty", **options)
    for path, said in (
        ("approvals", "Nothing waits for a second person."),
        ("exceptions", "No exception is open."),
        ("runs", "No run in this month."),
        ("periods", "No window was run yet."),
        ("periods/2026-04", "No window of this month was run or closed."),
        ("periods/2026-04/journal", "No accounts are mapped"),
    ):
        assert empty.goto(f"{team.url}/console/{path}").status == 200, path
        assert empty.locator(f"text={said}").count() == 1, path
        look_over(empty, f"empty: {path}")
