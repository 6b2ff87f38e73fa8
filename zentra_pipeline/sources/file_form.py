"""Says what a file looks like that is no CSV report, in words of its sender; reading files does not belong here."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

_LOOKED_AT = 64 * 1024
_LINES_LOOKED_AT = 50
_BEGINNINGS = (
    (b"\xff\xfe", "it is UTF-16 text, not UTF-8; save it as CSV UTF-8"),
    (b"\xfe\xff", "it is UTF-16 text, not UTF-8; save it as CSV UTF-8"),
    (b"PK\x03\x04", "it is a workbook (.xlsx) or another zip archive, not CSV; save its sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook (.xls), not CSV; save its sheet as CSV UTF-8"),
    (b"%PDF", "it is a PDF, not CSV; export the report as CSV"),
    (b"\x1f\x8b", "it is compressed (gzip), not CSV; unpack it first"),
    (b"PAR1", "it is Parquet, not CSV; give it a name that ends in .parquet where that form is read"),
    (BYTE_ORDER_MARK * 2, "it begins with two byte order marks (U+FEFF, which shows nothing); remove one of them"),
)
_SEPARATORS = ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"))
_EVENT = re.compile(rb'"object"\s*:\s*"event"|"notificationItems"|"event_type"\s*:|"eventCode"\s*:')


def refuse_other_forms(path: Path, name: str, columns: Sequence[str]) -> None:
    """InputRejectedError that names the form of a file which is no CSV with these columns in its first line.

    Nothing is said of a file that merely lacks columns, or whose grammar is broken.
    """
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT)
    why = _other_form(start) or _other_lines(start) or _other_header(start, columns)
    if why is not None:
        raise InputRejectedError(f"{name}: {why}")


def _other_form(start: bytes) -> str | None:  # noqa: PLR0911
    for beginning, why in _BEGINNINGS:
        if start.startswith(beginning):
            return why
    if len(start) >= 4 and start[1::2].count(0) > len(start) // 4:
        return "it is UTF-16 text, not UTF-8; save it as CSV UTF-8"
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if re.match(rb"<(!doctype|html|head|body)", text, re.IGNORECASE):
        return "it is an HTML page (a sign-in or error page?), not a report; download the report again"
    if text.startswith(b"<"):
        return "it is XML or HTML, not CSV; choose the format that reads it, or export the report as CSV"
    if text[:1] in (b"{", b"["):
        if _EVENT.search(text):
            return "it is a webhook event (JSON), and this reads settlement reports; ingest events as callbacks"
        return "it is JSON, not CSV; export the report as CSV, or name a file of canonical JSON Lines .jsonl"
    return None


def _other_lines(start: bytes) -> str | None:
    if b"\n" not in start and b"\r" in start.rstrip(b"\r"):
        return "its lines end with CR alone, as on classic Mac systems; save it with LF or CR LF line ends"
    return None


def _other_header(start: bytes, columns: Sequence[str]) -> str | None:
    """Why the first line is not the header: other separators, or lines above it."""
    lines = start.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").split("\n")[:_LINES_LOOKED_AT]
    first = _fields(lines[0], ",")
    if not set(columns).isdisjoint(first):
        return None
    for mark, word in _SEPARATORS:
        if not set(columns).isdisjoint(_fields(lines[0], mark)) and mark in lines[0]:
            return f"its columns are separated by {word}, not by commas; export it with commas (RFC 4180)"
    for number, line in enumerate(lines[1:], start=2):
        if set(columns) <= set(_fields(line, ",")):
            shown = lines[0].rstrip("\r")[:60]
            return (
                f"line 1 ({shown!r}) is no header of this report: the header is in line {number}; "
                "delete the lines above it"
            )
    return None


def _fields(line: str, separator: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line.rstrip("\r")], delimiter=separator), [])]
    except csv.Error:
        return []
