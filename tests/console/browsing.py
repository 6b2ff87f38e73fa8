"""A browser and a server for it, as tests share them: Debian's Chromium, driven by Playwright. No claim is here."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from zentra_pipeline.console.app import create_app
from zentra_pipeline.settings import Home

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
IS_REQUIRED = os.environ.get("ZENTRA_REQUIRE_CHROMIUM") == "1"  # in CI it is never skipped
IN_A_BROWSER = [
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
SERIOUS = ("serious", "critical")


@contextmanager
def served(home: Home) -> Iterator[str]:
    """The address of the console as `zentra serve` has it, at a free port."""
    app = create_app(home)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium without a screen."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="install playwright (it is in the group dev)")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless=new"])
        yield found
        found.close()


def signed_in(browser: Any, url: str, token: str, **options: Any) -> Any:
    """A page of somebody who has signed in with this token."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(150_000)  # a decision that makes a run again answers when it is made
    page.goto(f"{url}/console/")
    page.fill("input[name=token]", token)
    page.click("main button")
    return page


def axe_findings(page: Any) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds that is serious or critical: the rule, its impact, the elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="install axe-playwright-python (dev)")
    found = axe.Axe().run(page).response["violations"]
    return [
        (rule["id"], rule["impact"], [node["html"][:200] for node in rule["nodes"][:3]])
        for rule in found
        if rule["impact"] in SERIOUS
    ]


def look_over(page: Any, where: str) -> None:
    """A page fits its width, has names and landmarks in order, and nothing serious is found by axe-core."""
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], where
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]),select,textarea,button,a')]"
        ".filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.title)).map(e => e.outerHTML)"
    )
    assert unnamed == [], where
    assert page.evaluate(STRUCTURE) == {"h1": 1, "main": 1, "lang": "en", "skipped": [], "jumps": 0}, where
    assert axe_findings(page) == [], where
