"""The console in Chromium: two people write off and close, without JavaScript; every page fits, wide and narrow.

It needs Debian's package `chromium` (`apt-get install chromium`), or CHROMIUM to name another; Playwright brings no
browser of its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import NOW, ingest_story, run_story
from tests.console.browsing import IN_A_BROWSER, launched, look_over, served, signed_in
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = IN_A_BROWSER
PAGES = ("approvals", "exceptions?status=any", "runs", "payments?reference=pay_9XKD", "payments?reference=none")
MONTHS = ("periods", "periods/2026-04", "periods/2026-04/journal", "periods/2031-01")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tokens by role at globex, whose one line nobody posted; under `home` the home's path."""
    home = Home.at(tmp_path_factory.mktemp("browser") / "home")
    tenancy.init_home(home)
    tenancy.add_tenant(home, "globex", NOW)
    tenant = Tenant.of(home, "globex")
    ingest_story(tenant)
    run_story(tenant)
    made = {
        role: access.create_token(home, tenant="globex", actor=f"{role} of globex", role=role, now=NOW)[0]
        for role in ("operator", "approver")
    }
    return {**made, "home": str(home.root)}


@pytest.fixture(scope="module")
def url(tokens: dict[str, str]) -> Iterator[str]:
    with served(Home.at(tokens["home"])) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


def test_two_people_write_off_close_a_window_and_sign_off_its_month_without_javascript(
    browser: Any, url: str, tokens: dict[str, str], tmp_path: Path
) -> None:
    operator = signed_in(browser, url, tokens["operator"], java_script_enabled=False)
    approver = signed_in(browser, url, tokens["approver"], java_script_enabled=False)
    operator.click("text=pay_9XKD")
    operator.fill(".actions textarea[name=reason] >> nth=0", "not worth the chase")
    operator.click("button:has-text('Write off')")
    assert operator.locator("text=Waits for approval: written off").count() == 1
    approver.goto(f"{url}/console/approvals")
    assert approver.locator("text=not worth the chase").count() == 1
    assert approver.locator(".figure:has-text('482.00 USD')").count() == 2
    approver.click("button:has-text('Approve')")
    assert approver.locator(".notice.good").inner_text() == "Approved."
    operator.click("nav >> text=Runs")
    operator.click(".calendar a")
    operator.click("text=The closeout")
    operator.click("button:has-text('Prepare')")
    approver.goto(f"{url}/console/approvals")
    approver.click("button:has-text('Approve and seal')")
    assert approver.locator(".notice.good").inner_text() == "Approved and sealed."
    approver.click("text=Check the seal now")
    assert approver.locator("text=Every check holds.").count() == 1
    with approver.expect_download() as download:
        approver.click("text=Bundle as zip")
    assert download.value.suggested_filename == "rail_primary-2026-04-26-r1.zip"
    _sign_off_the_month(operator, approver, f"{url}/console/periods/2026-04")
    approver.click("text=Sign out")
    assert approver.url.startswith(f"{url}/console/sign-in")


def _sign_off_the_month(operator: Any, approver: Any, month: str) -> None:
    """Its days without a run are closed by two people, then the month; nobody does both steps."""
    operator.goto(month)
    assert operator.locator("td:has-text('has no run and is not closed')").count() == 4
    operator.check("input[name=no_activity]")
    operator.click("button:has-text('Prepare the ticked')")
    assert operator.locator("button:has-text('Approve and seal the ticked')").count() == 0
    approver.goto(month)
    approver.click("button:has-text('Approve and seal the ticked')")
    operator.goto(month)
    operator.click("button:has-text('Prepare the sign-off')")
    assert operator.locator("button:has-text('Approve and sign off')").count() == 0
    approver.goto(month.replace("periods/2026-04", "approvals"))
    assert approver.locator("text=over 5 sealed windows").count() == 1
    approver.click("button:has-text('Approve and sign off')")
    approver.goto(month)
    assert approver.locator("text=Nothing has changed since.").count() == 1
    approver.click("text=Check the seal now")
    assert approver.locator("text=Every check holds.").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_fits_and_breaks_no_policy(
    browser: Any, url: str, tokens: dict[str, str], width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = signed_in(browser, url, tokens["operator"], **options)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{url}/console/exceptions?status=any")
    exception = page.get_attribute(".exceptions tbody a", "href")
    page.goto(f"{url}/console/runs")
    run = page.get_attribute(".calendar a", "href")
    for path in (
        *(f"/console/{each}" for each in (*PAGES, *MONTHS)),
        exception,
        run,
        f"{run}/closeout?check=yes",
        "/docs",
    ):
        status = page.goto(url + path).status
        assert status == (404 if path.endswith("=none") else 200), path
        look_over(page, path)
    assert not [message for message in said if "Content Security Policy" in message]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
