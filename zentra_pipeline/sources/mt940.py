"""SWIFT MT940 statements and MT942 reports as settlement lines, strictly: every `:61:` is read or the file is refused.

Streams field by field. A statement's balances, or the counts and sums of an MT942, are checked where it ends. Does not
belong here: what one entry says (mt940_entry), which line type a code means (seed `bank_transaction_codes`).
"""

import re
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.bank_statements import LineIds, Part
from zentra_pipeline.sources.file_refusals import refuse_other_swift, start_of
from zentra_pipeline.sources.mt940_statement import OpenStatement
from zentra_pipeline.sources.parts_reader import Notes, PartsReader

_LINE_LIMIT: Final = 64 * 1024
_FIELD_LIMIT: Final = 1024 * 1024
_TAG = re.compile(r":(20|21|25P?|28C?|34F|13D?|60[FM]|61|62[FM]|64|65|86|90[CD]|NS|94[02]):", re.ASCII)
_ALSO_TIMES: Final = frozenset(("13", "20", "21", "25", "28"))  # a wrapped 14:20:05 in a text looks like one of these
COLUMN_NAMES: Final = {
    "line_id": ":61: bank reference",
    "line_type": ":61: type",
    "provider_reference": ":61: references or :86:",
    "merchant_reference": ":86: EREF",
    "gross_minor": ":61: amount",
    "fee_minor": ":61: amount",
    "net_minor": ":61: amount",
    "currency": ":60F: currency",
    "settled_at": ":61: date",
    "batch_id": ":86: KREF",
}
"""Settlement field → the field it is read from."""


def parts(path: Path, name: str, notes: Notes, *, is_of_bank: bool = False) -> Iterator[Part]:
    """Entries and lines of them, and, after those of each, the statements, in the order of the file.

    InputRejectedError when the file is no MT940, or an entry or a balance of it cannot be read.
    """
    refuse_other_swift(start_of(path), name)
    ids = LineIds()
    statement: OpenStatement | None = None
    for tag, text in _fields(path, name):
        if statement is None or statement.begins_another(tag):
            if statement is not None:
                yield from statement.close()
            statement = OpenStatement(name, ids, notes, statement, is_of_bank=is_of_bank)
        yield from statement.take(tag, text)
    if statement is None:
        raise InputRejectedError(f"{name}: it has no field :20:, :25: or :60F:, as an MT940 has; is it another file?")
    yield from statement.close()


def _fields(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """Every field with its lines joined by newlines; envelopes and what is between messages are skipped."""
    tag: str | None = None
    held: list[str] = []
    size, is_bounded = 0, False
    for line in _lines(path, name):
        found = _TAG.match(line)
        if found and not (tag == "86" and is_bounded and found.group(1) in _ALSO_TIMES):
            if tag is not None:
                yield tag, "\n".join(held)
            tag, held = found.group(1), [line[found.end() :]]
            size = len(line)
            is_bounded = tag[:2] == "60" or (is_bounded and tag[:2] != "62")
        elif line.startswith("-}") or line == "-":
            if tag is not None:
                yield tag, "\n".join(held)
            tag = None
        elif tag is not None:
            held.append(line)
            size += len(line)
            if size > _FIELD_LIMIT:
                raise InputRejectedError(f"{name}: field :{tag}: is longer than 1 MiB; is it an MT940?")
    if tag is not None:
        yield tag, "\n".join(held)


def _lines(path: Path, name: str) -> Iterator[str]:
    """Lines without their ends; text is UTF-8 or, line by line, Windows-1252. A `{4:` before a field is cut off."""
    with path.open("rb") as octets, TextIOWrapper(octets, encoding="latin-1", newline=None) as text:
        while line := text.readline(_LINE_LIMIT):
            if len(line) == _LINE_LIMIT and not line.endswith("\n"):
                raise InputRejectedError(f"{name}: a line is longer than 64 KiB; is it an MT940?")
            said = _decoded(line.rstrip("\n"))
            block = said.rfind("{4:")
            if block >= 0 and not said.startswith(":"):
                yield from ("-", *([said[block + 3 :]] if said[block + 3 :] else []))
            else:
                yield said


def _decoded(line: str) -> str:
    octets = line.encode("latin-1")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


READER: Final = PartsReader(parts, COLUMN_NAMES, of_banks=partial(parts, is_of_bank=True))
