"""The console in Chromium: two people write off and close, without JavaScript; every page fits, wide and narrow.

It needs Debian's package `chromium` (`apt-get install chromium`), or CHROMIUM to name another; Playwright brings no
browser of its own.
"""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.api.conftest import NOW, ingest_story, run_story
from zentra_pipeline.console.app import create_app
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="install playwright (it is in the group dev)")
IS_REQUIRED = os.environ.get("ZENTRA_REQUIRE_CHROMIUM") == "1"  # in CI it is never skipped
pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(
        CHROMIUM is None and not IS_REQUIRED, reason="no chromium: apt-get install chromium, or set CHROMIUM"
    ),
]
# Landmarks, one h1, no two levels of headings skipped, and nothing that takes the focus out of the order of reading.
STRUCTURE = """() => {
  const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1]);
  return {
    h1: levels.filter(level => level === 1).length,
    main: document.querySelectorAll('main').length,
    lang: document.documentElement.lang,
    skipped: levels.filter((level, i) => i && level > levels[i - 1] + 2),
    jumps: document.querySelectorAll('[tabindex]:not([tabindex="0"])').length,
  };
}"""
# Texts whose contrast with what is behind them is below what WCAG 2.2 asks for (1.4.3): 4.5, of large text 3.
PALE = """() => {
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = color => color.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const text = walker.currentNode.textContent.trim();
    if (!text || !box.width || box.right < 0 || style.visibility === 'hidden') continue;
    const [one, other] = [light(parts(style.color)), light(behind(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < (isLarge ? 3 : 4.5)) pale.push(`${contrast.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return pale;
}"""
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
    """The console as `zentra serve` has it, at a free port."""
    app = create_app(Home.at(tokens["home"]))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless=new"])
        yield found
        found.close()


def signed_in(browser: Any, url: str, token: str, **options: Any) -> Any:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(150_000)  # a decision that makes a run again answers when it is made
    page.goto(f"{url}/console/")
    page.fill("input[name=token]", token)
    page.click("main button")
    return page


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
    exception = page.get_attribute(".queue tbody a", "href")
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
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], path
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]),select,textarea,button,a')]"
            ".filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.title)).map(e => e.outerHTML)"
        )
        assert unnamed == [], path
        assert page.evaluate(STRUCTURE) == {"h1": 1, "main": 1, "lang": "en", "skipped": [], "jumps": 0}, path
        assert page.evaluate(PALE) == [], path
    assert not [message for message in said if "Content Security Policy" in message]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
