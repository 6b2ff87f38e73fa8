"""What values look like in a closeout's report: amounts, counts, instants, outsiders' text; no layout belongs here.

Text comes from outsiders. It is escaped, kept apart from the direction of the text around it, and characters that would
not show are shown as escapes, so that nothing in the report looks like what it is not.
"""

import re
from typing import Final

from markupsafe import Markup, escape

from zentra_pipeline import money

NOTHING: Final = "–"
_MOST_CHARACTERS: Final = 1_000
_NO_CSS_WORD: Final = re.compile(r"[^A-Za-z0-9_. -]")


def amount(minor: str | int | None, currency: str | None) -> str:
    """Minor units with the currency's decimals, thousands apart, a real minus: `−1,250.00`; the currency is beside it.

    Rows without a currency (quarantined ones) have no amount that can be read, and show a dash.
    """
    if minor is None or not currency:
        return NOTHING
    return money.amount_text(int(minor), currency).removesuffix(f" {currency}").replace("-", "−")


def count(number: int) -> str:
    """A count, thousands apart by a comma."""
    return f"{number:,}"


def instant(value: str | None) -> Markup:
    """An instant to the second; the element's attribute has the exact one."""
    if value is None:
        return escape(NOTHING)
    shown = value.removesuffix("Z").partition(".")[0].replace("T", " ")
    return Markup('<time datetime="{}">{} UTC</time>').format(value, shown)


def words(value: str | None) -> str:
    """A vocabulary's word as a reader expects it: `matched late`."""
    return NOTHING if value is None else value.replace("_", " ")


def text(value: object, most: int = _MOST_CHARACTERS) -> Markup:
    """Somebody's text, whatever is in it, shown as text; one longer than `most` is cut and says so."""
    if value is None:
        return escape(NOTHING)
    whole = str(value)
    shown = "".join(_visible(character) for character in whole[:most])
    marked = Markup('<bdi class="said">{}</bdi>').format(shown)
    if len(whole) > most:
        marked += Markup('<span class="cut"> … cut, {} characters in all</span>').format(count(len(whole)))
    return marked


def css_word(value: str) -> str:
    """A value for a CSS string: anything that could end the string or begin an escape becomes `?`."""
    return _NO_CSS_WORD.sub("?", value)


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return character.encode("unicode_escape").decode()
