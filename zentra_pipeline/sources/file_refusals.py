"""Says what a file looks like that is not in the form its reader reads, in words of its sender.

Does not belong here: reading files, and what is wrong with a header (header_refusals) or a record (record_refusals).
"""

import re
from pathlib import Path

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

LOOKED_AT = 64 * 1024
_UTF16 = "it is UTF-16 text, not UTF-8; save it as CSV UTF-8"
_PACKED = "unpack it first and send the file that is in it"
_BEGINNINGS = (
    (b"\xff\xfe\x00\x00", "it is UTF-32 text, not UTF-8; save it as CSV UTF-8"),
    (b"\x00\x00\xfe\xff", "it is UTF-32 text, not UTF-8; save it as CSV UTF-8"),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook (.xls), not CSV; save its sheet as CSV UTF-8"),
    (b"%PDF", "it is a PDF, not CSV; export the report as CSV"),
    (b"{\\rtf", "it is a text document (RTF), not CSV; export the report as CSV"),
    (b"\x1f\x8b", f"it is compressed (gzip), not CSV; {_PACKED}"),
    (b"BZh", f"it is compressed (bzip2), not CSV; {_PACKED}"),
    (b"\xfd7zXZ", f"it is compressed (xz), not CSV; {_PACKED}"),
    (b"\x28\xb5\x2f\xfd", f"it is compressed (Zstandard), not CSV; {_PACKED}"),
    (b"7z\xbc\xaf\x27\x1c", f"it is a 7-Zip archive, not CSV; {_PACKED}"),
    (b"Rar!", f"it is a RAR archive, not CSV; {_PACKED}"),
    (b"\x89PNG", "it is a picture (PNG), not CSV; export the report as CSV"),
    (b"\xff\xd8\xff", "it is a picture (JPEG), not CSV; export the report as CSV"),
    (b"SQLite format 3\x00", "it is an SQLite database, not CSV; export the table as CSV"),
    (b"bplist00", "it is a property list of macOS, not CSV; export the report as CSV"),
    (b"PAR1", "it is Parquet, not CSV; give it a name that ends in .parquet where that form is read"),
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file that it points to; fetch the file itself"),
    (b"OFXHEADER", "it is a bank statement (OFX), not CSV; choose the format that reads it, or export it as CSV"),
    (b"!Type:", "it is a bank statement (QIF), not CSV; choose the format that reads it, or export it as CSV"),
    (BYTE_ORDER_MARK * 2, "it begins with two byte order marks (U+FEFF, which shows nothing); remove one of them"),
)
_STATEMENTS = (
    (re.compile(rb"(?:\{1:|\s*:20:)(?:.|\s)*?\n:(?:25|28|60|61)"), "a bank statement (MT940)"),
    (re.compile(rb"01,[^,\r\n]*,[^,\r\n]*,[0-9]{6},[0-9]{4}"), "a bank statement (BAI2)"),
    (re.compile(rb"101 [0-9 ]{19}[0-9]{10}"), "an ACH file (NACHA)"),
)
_EVENT = re.compile(rb'"object"\s*:\s*"event"|"notificationItems"|"event_type"\s*:|"eventCode"\s*:')
_ISO_20022 = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:((?:camt|pain|pacs)\.[0-9]{3})")
_JSON_BEGINS = b'{["-0123456789tfn'


def start_of(path: Path) -> bytes:
    """The first 64 KiB of a file: enough to see its form."""
    with path.open("rb") as stream:
        return stream.read(LOOKED_AT)


def refuse_other_forms(start: bytes, name: str) -> None:
    """InputRejectedError that names the form of a file that is not CSV."""
    why = _other_form(start) or _other_markup(start) or _other_text(start) or _other_lines(start)
    if why is not None:
        raise InputRejectedError(f"{name}: {why}")


def refuse_other_json(start: bytes, name: str) -> None:
    """InputRejectedError that names the form of a file that is not JSON Lines of objects."""
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip(b" \t\r\n")
    why = _other_form(start)
    if why is None and text:
        if text[:1] == b"[":
            why = "it is one JSON array; write each of its objects on a line of its own, without the brackets"
        elif text[:1] not in _JSON_BEGINS:
            why = _other_markup(start) or (
                f"line 1 ({_shown(text)}) is not JSON: a JSON Lines file has one object a line; "
                "give a CSV file a name that ends in .csv"
            )
        elif text[:1] == b"{" and text[1:].lstrip(b" \t\r")[:1] == b"\n":
            why = "it is one JSON document over several lines"
            if _EVENT.search(text):
                why += ", a webhook event: it is read where the provider's callback format reads its events"
            else:
                why += "; write each object on one line of its own"
    if why is not None:
        raise InputRejectedError(f"{name}: {why.replace('not CSV', 'not JSON').replace('CSV UTF-8', 'UTF-8')}")


def refuse_other_xml(start: bytes, name: str) -> None:
    """InputRejectedError that says how a file begins that is not XML."""
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"<") or start.startswith((b"\xff\xfe<", b"\xfe\xff\x00<")):
        return
    why = _other_form(start) or next((f"it is {what}, not XML" for seen, what in _STATEMENTS if seen.match(text)), None)
    if why is None:
        why = f"it begins with {_shown(text)}, not as XML" if text else "the file is empty, which is not XML"
        why += "; is it a file of another kind?"
    raise InputRejectedError(f"{name}: {why.replace('not CSV', 'not XML').replace('CSV', 'XML')}")


def refuse_other_swift(start: bytes, name: str) -> None:
    """InputRejectedError that says what a file looks like that is no MT940 or MT942."""
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    why = _other_form(start) or _other_markup(start)
    if why is None and not text:
        why = "the file is empty, which is not MT940; ask the bank for it again"
    if why is not None:
        raise InputRejectedError(f"{name}: {why.replace('not CSV', 'not MT940').replace('CSV', 'MT940')}")


def refuse_other_ofx(start: bytes, name: str) -> None:
    """InputRejectedError that says what a file looks like that is no OFX, in SGML or XML."""
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text[:9].upper() == b"OFXHEADER" or b"<OFX>" in text.upper():
        return
    why = _other_form(start) or _other_markup(start) or ("the file is empty, which is not CSV" if not text else None)
    if why is not None:
        raise InputRejectedError(f"{name}: {why.replace('CSV UTF-8', 'UTF-8').replace('CSV', 'OFX')}")


def refuse_other_parquet(start: bytes, name: str) -> None:
    """InputRejectedError that says how a file begins that is not Parquet."""
    if not start:
        raise InputRejectedError(f"{name}: the file is empty, which is not Parquet; export it again")
    if not start.startswith(b"PAR1"):
        raise InputRejectedError(
            f"{name}: it is not Parquet: it begins with {_shown(start)}; give it a name that ends as its form says "
            "(.csv, .jsonl), or export it as Parquet"
        )


def _other_form(start: bytes) -> str | None:
    for beginning, why in _BEGINNINGS:
        if start.startswith(beginning):
            return why
    if start.startswith(b"PK\x03\x04"):
        if b"xl/" in start or b"opendocument.spreadsheet" in start or b"[Content_Types].xml" in start:
            return "it is a workbook (.xlsx or .ods), not CSV; save its sheet as CSV UTF-8"
        return f"it is a zip archive or a workbook (.xlsx), not CSV; {_PACKED}, or save the sheet as CSV UTF-8"
    if len(start) >= 4 and max(start[0::2].count(0), start[1::2].count(0)) > len(start) // 4:
        looks_like_text = min(start[0::2].count(0), start[1::2].count(0)) <= len(start) // 16
        return _UTF16 if looks_like_text else "it holds NUL bytes and is no text; export the report as CSV UTF-8"
    if b"\x00" in start.partition(b"\n")[0]:
        return "its first line holds a NUL byte (0x00), which no text has; export the report again as CSV UTF-8"
    return None


def _other_markup(start: bytes) -> str | None:
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if re.match(rb"<(!doctype|html|head|body)", text, re.IGNORECASE):
        return "it is an HTML page (a sign-in or error page?), not a report; download the report again"
    if re.match(rb"<(table|tr|meta|style)\b", text, re.IGNORECASE):
        return (
            "it is an HTML table, as some systems name .xls or .csv, not CSV; save it from a spreadsheet as CSV UTF-8"
        )
    found = _ISO_20022.search(text) if text.startswith(b"<") else None
    if found:
        return f"it is XML ({found.group(1).decode()}), not CSV; choose the format that reads it, or export it as CSV"
    if text.startswith(b"<") and re.search(rb"<Error>\s*<Code>", text):
        return "it is an error message (XML) of the place it was downloaded from; download the report again"
    if text.startswith(b"<") and re.match(rb"<[?!A-Za-z]", text):
        return "it is XML or HTML, not CSV; choose the format that reads it, or export the report as CSV"
    return None


def _other_text(start: bytes) -> str | None:
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    for pattern, what in _STATEMENTS:
        if pattern.match(text):
            return f"it is {what}, not CSV; choose the format that reads it, or export it as CSV"
    if not re.match(rb"[\[{]\s*[\[{}\]\"0-9]", text):
        return None
    if _EVENT.search(text):
        return "it is a webhook event (JSON), and this reads settlement reports; ingest events as callbacks"
    if re.match(rb'\{\s*"(?:error|errors|message)"', text):
        return "it is an error message (JSON), not a report; download the report again"
    return "it is JSON, not CSV; export the report as CSV, or name a file of canonical JSON Lines .jsonl"


def _other_lines(start: bytes) -> str | None:
    """Why its lines are none: ends that only other systems know."""
    text = start.rstrip(b"\r\n")
    if b"\n" not in text and b"\r" in text:
        return "its lines end with CR alone, as on classic Mac systems; save it with LF or CR LF line ends"
    if b"\r\r\n" in start.partition(b"\n")[0] + b"\n":
        return "its lines end with CR CR LF: it was converted twice; save it with LF or CR LF line ends"
    if b"\n\r" in start and b"\r\n" not in start:
        return "its lines end with LF CR; save it with LF or CR LF line ends"
    if b"\n" not in text and (b"\xc2\x85" in text or b"\xe2\x80\xa8" in text):
        return "its lines end with U+0085 or U+2028, which end no line of a CSV; save it with LF or CR LF line ends"
    return None


def _shown(text: bytes) -> str:
    line = text.partition(b"\n")[0].rstrip(b"\r")
    return repr(line[:40].decode("utf-8", "replace")) + ("…" if len(line) > 40 else "")
