"""How values look on a page, and the pages' frame; every value from outside is escaped. No page's content is here."""

import functools
import importlib.util
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from zentra_pipeline import money, vocabulary
from zentra_pipeline.closeout import report_text
from zentra_pipeline.desk import sides

PREFIX: Final = "/console"
NOTHING: Final = report_text.NOTHING
_HERE: Final = Path(__file__).resolve().parent
STATIC: Final = _HERE / "static"
_CELL: Final = 120
# The package that ships htmx; it is looked up and never imported, for it would want Django.
_HTMX_PACKAGE: Final = "django_htmx"
HTMX_FILES: Final = "/static/htmx"
# No inline style, no code from attributes, no page kept by the browser's storage; an answer that refuses is shown too.
_HTMX_CONFIG: Final = {
    "includeIndicatorStyles": False,
    "allowEval": False,
    "allowScriptTags": False,
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "reportValidityOfForms": True,
    "responseHandling": [{"code": "204", "swap": False}, {"code": "...", "swap": True}],
}
# What a page says of the form that led to it, by the word in its URL.
SAID: Final[Mapping[str, str]] = {
    "approved": "Approved.",
    "rejected": "Rejected: it is open again.",
    "decided": "Recorded.",
    "pending": "Recorded. A second person has to approve it.",
    "prepared": "Prepared. A second person has to approve it.",
    "sealed": "Approved and sealed.",
    "queued": "Asked for. The run is made as soon as the worker gets to it.",
    "saved": "The view is saved.",
    "removed": "The view is removed.",
}


@functools.cache
def htmx_folder() -> Path | None:
    """The folder of the files that htmx comes with; null where its package is not installed, and pages do without."""
    found = importlib.util.find_spec(_HTMX_PACKAGE)
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        folder = Path(place) / "static" / _HTMX_PACKAGE
        if (folder / "htmx-2.min.js").is_file():
            return folder
    return None


def page(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **content: Any) -> Response:
    """A template filled in; a page without `who` is of nobody signed in."""
    shown = {"who": None, "said": None, "here": "", **content}
    return HTMLResponse(_environment().get_template(template).render(shown), status, dict(headers or {}))


@functools.cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"prefix": PREFIX, "link": link, "signed": sides.signed, "type_title": type_title}
    script = None if htmx_folder() is None else f"{PREFIX}{HTMX_FILES}/htmx-2.min.js"
    found.globals |= {"htmx": script, "htmx_config": json.dumps(_HTMX_CONFIG)}
    found.filters |= {
        "amount": amount,
        "cell": cell,
        "count": report_text.count,
        "counted": counted,
        "day": day,
        "percent": percent,
        "said": report_text.text,
        "when": when,
        "words": report_text.words,
    }
    return found


def amount(minor: int | None, currency: str | None) -> Markup:
    """An amount in major units with its currency, a real minus in front: `−1,250.00 USD`."""
    if minor is None:
        return escape(NOTHING)
    shown = money.amount_text(int(minor), currency) if currency else f"{int(minor):,}"
    return Markup('<span class="amount">{}</span>').format(shown.replace("-", "−"))


def cell(value: object, most: int = _CELL) -> Markup:
    """Somebody's text in a table: cut where it is long, as text whatever is in it."""
    return report_text.text(value, most=most)


def day(value: str | date | datetime | None) -> str:
    """The day of an instant or window: `2026-04-26`."""
    return NOTHING if value is None else str(value)[:10]


def when(value: str | datetime | None) -> Markup:
    """An instant to the minute in UTC."""
    if value is None:
        return escape(NOTHING)
    if isinstance(value, datetime):
        value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(value, value[:16].replace("T", " "))


def counted(number: int, noun: str) -> str:
    """A count with its noun: `1 row`, `1,204 rows`."""
    return f"{report_text.count(number)} {noun}{'' if number == 1 else 's'}"


def percent(bps: int | None) -> str:
    """Hundredths of a percent: `98.75 %`."""
    return NOTHING if bps is None else f"{bps // 100}.{bps % 100:02} %"


def type_title(exception_type: str) -> str:
    """What an exception of this type is, in a few words."""
    return vocabulary.exception_type(exception_type).title


def link(*parts: str, **query: Any) -> str:
    """A path of the console, whatever is in its parts."""
    path = "/".join([PREFIX, *(quote(part, safe="") for part in parts)])
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path
