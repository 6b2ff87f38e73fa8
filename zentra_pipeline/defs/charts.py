"""Small bar charts as images inside Markdown (SVG data URIs), for places that show Markdown and nothing else."""

import base64
from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH: Final = 640
_BAR_WIDTH: Final = 260
_ROW_HEIGHT: Final = 24


def share_bars(title: str, bars: Sequence[tuple[str, int, int]]) -> str:
    """A Markdown image with one bar for each (label, part, whole); 'none' where there is nothing to draw."""
    if not bars:
        return "none"
    height = _ROW_HEIGHT * (len(bars) + 1)
    rows = "".join(_row(number, *bar) for number, bar in enumerate(bars, start=1))
    image = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13"><rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
        f'<text x="4" y="16" font-weight="bold" fill="#1f2937">{escape(title)}</text>{rows}</svg>'
    )
    return f"![{plain(title)}](data:image/svg+xml;base64,{base64.b64encode(image.encode()).decode()})"


def _row(number: int, label: str, part: int, whole: int) -> str:
    top = _ROW_HEIGHT * number
    filled = part * _BAR_WIDTH // whole if whole else 0
    return (
        f'<rect x="4" y="{top + 4}" width="{_BAR_WIDTH}" height="14" fill="#e5e7eb"/>'
        f'<rect x="4" y="{top + 4}" width="{filled}" height="14" fill="#2563eb"/>'
        f'<text x="{_BAR_WIDTH + 14}" y="{top + 16}" fill="#1f2937">{escape(label)}</text>'
    )


def plain(value: object) -> str:
    """A value as text that means nothing to Markdown or HTML, whatever a provider wrote into it."""
    text = escape(" ".join(str(value).split()))
    return "".join(f"&#{ord(character)};" if character in "|*_`[]()!\\#~" else character for character in text)
