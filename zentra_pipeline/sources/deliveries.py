"""Recorded webhook deliveries of any provider as JSON: the file's shape, its envelopes, and nothing about what events mean.

Accepted shapes: one JSON event (pretty-printed or not), a JSON array of events, JSON Lines of events, and JSON Lines of
envelopes `{"received_at": <instant>, "headers": {…}, "body": <text as received>}` (or `"body_base64"`), the only shape
that keeps what a signature needs: the bytes and the headers.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK, RECORD_BYTES

DOCUMENT_BYTES = 64 * 1024 * 1024

_BLANK = re.compile(r"[ \t\n\r]*")
_LONGEST_INTEGER = 19


@dataclass(frozen=True)
class Delivery:
    """One delivery: its event, or why it cannot be read; `body`, `headers` and `received_at` only from an envelope."""

    row_number: int
    text: str
    event: dict[str, Any] | None = None
    refusal: str | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    received_at: str | None = None

    def header(self, name: str) -> str:
        """A header by its name in any case; blank when it is absent or stands there twice."""
        found = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        return found[0] if len(found) == 1 else ""


class Number(str):
    """A JSON number that is no 64-bit integer, as written: never an amount."""

    __repr__ = str.__str__


class UnreadableError(ValueError):
    """Why a text is not the JSON that was due; the caller decides whether that costs the row or the file."""


class _Decoder:
    """Strict JSON that keeps numbers exact and remembers a key that stands twice in one object."""

    def __init__(self) -> None:
        self.repeated: str | None = None
        self._json = json.JSONDecoder(
            object_pairs_hook=self._object, parse_float=Number, parse_int=_integer, parse_constant=_no_constant
        )

    def decode(self, text: str, start: int = 0) -> tuple[Any, int]:
        """The value that begins at `start`, white space skipped, and where it ends; ValueError when there is none."""
        self.repeated = None
        try:
            return self._json.raw_decode(text, _skip_blank(text, start))
        except RecursionError as cause:
            raise UnreadableError("nested too deeply") from cause

    def whole(self, text: str) -> Any:
        """The only value of a text."""
        value, end = self.decode(text)
        if _skip_blank(text, end) < len(text):
            raise json.JSONDecodeError("text after the value", text, end)
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated = next(key for key in keys if keys.count(key) > 1)
        return found


def read_deliveries(path: Path, name: str | None = None) -> Iterator[Delivery]:
    """Every delivery of a file in order; InputRejectedError when the file as a whole is no JSON of an accepted shape."""
    name = name or path.name
    decoder = _Decoder()
    with path.open("rb") as stream:
        if stream.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            stream.seek(0)
        start = stream.tell()
        is_lines = _begins_with_object_line(stream, decoder)
        stream.seek(start)
        texts = _lines(stream, name) if is_lines else _elements(stream, name, decoder)
        for row_number, (text, place) in enumerate(texts, start=1):
            try:
                value = decoder.whole(text)
            except ValueError as cause:
                raise InputRejectedError(f"{name}: {place}: not JSON ({cause}); correct the file") from cause
            yield _delivery(row_number, text, value, decoder)


def _begins_with_object_line(stream: BinaryIO, decoder: _Decoder) -> bool:
    while line := stream.readline(RECORD_BYTES + 1):
        if line.strip():
            try:
                return isinstance(decoder.whole(line.decode("utf-8")), dict)
            except ValueError:
                return False
    return False


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    number = 0
    while line := stream.readline(RECORD_BYTES + 1):
        number += 1
        if len(line) > RECORD_BYTES:
            raise InputRejectedError(f"{name}: line {number}: longer than {RECORD_BYTES:,} bytes; correct the file")
        try:
            text = line.decode("utf-8").strip(" \t\r\n")
        except UnicodeDecodeError as cause:
            place = f"line {number}, byte {cause.start + 1}"
            raise InputRejectedError(f"{name}: {place}: not UTF-8; save the file as UTF-8") from cause
        if text:
            yield text, f"line {number}"


def _elements(stream: BinaryIO, name: str, decoder: _Decoder) -> Iterator[tuple[str, str]]:
    """The text of each element of an array, or of the only object, of one JSON document."""
    content = stream.read(DOCUMENT_BYTES + 1)
    if len(content) > DOCUMENT_BYTES:
        raise InputRejectedError(
            f"{name}: one JSON document of more than {DOCUMENT_BYTES:,} bytes; send JSON Lines, one event a line"
        )
    try:
        text = content.decode("utf-8")
        begin = _skip_blank(text, 0)
        if begin == len(text):
            return
        spans = _array(text, begin, decoder) if text[begin] == "[" else _single(text, begin, decoder)
        for number, (start, end) in enumerate(spans, start=1):
            yield text[start:end], f"event {number}"
    except UnicodeDecodeError as cause:
        raise InputRejectedError(f"{name}: byte {cause.start + 1}: not UTF-8; save the file as UTF-8") from cause
    except ValueError as cause:
        raise InputRejectedError(f"{name}: not a JSON event, array or JSON Lines of events: {cause}") from cause


def _single(text: str, begin: int, decoder: _Decoder) -> Iterator[tuple[int, int]]:
    value, end = decoder.decode(text, begin)
    if not isinstance(value, dict):
        raise UnreadableError("the document is neither an object nor an array")
    if _skip_blank(text, end) < len(text):
        raise json.JSONDecodeError("text after the first object", text, end)
    yield begin, end


def _array(text: str, begin: int, decoder: _Decoder) -> Iterator[tuple[int, int]]:
    at = _skip_blank(text, begin + 1)
    is_first = True
    while text[at : at + 1] != "]" or not is_first:
        _, end = decoder.decode(text, at)
        yield at, end
        is_first = False
        at = _skip_blank(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("expecting ',' or ']'", text, at)
        at = _skip_blank(text, at + 1)
    if _skip_blank(text, at + 1) < len(text):
        raise json.JSONDecodeError("text after the array", text, at + 1)


def _delivery(row_number: int, text: str, value: object, decoder: _Decoder) -> Delivery:
    if decoder.repeated is not None:
        return Delivery(row_number, text, refusal=f"key {decoder.repeated!r} stands twice in one object")
    if not isinstance(value, dict):
        return Delivery(row_number, text, refusal="not a JSON object")
    if "body" not in value and "body_base64" not in value:
        return Delivery(row_number, text, event=value)
    try:
        body = _body(value)
        event = decoder.whole(body.decode("utf-8"))
    except ValueError as cause:
        return Delivery(row_number, text, refusal=f"body: {cause}")
    headers, received_at = value.get("headers"), value.get("received_at")
    if decoder.repeated is not None:
        refusal = f"body: key {decoder.repeated!r} stands twice in one object"
    elif not isinstance(event, dict):
        refusal = "body: not a JSON object"
    elif not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
        refusal = "headers: not an object of texts"
    elif not isinstance(received_at, str):
        refusal = "received_at: not an instant"
    else:
        return Delivery(row_number, text, event=event, body=body, headers=headers, received_at=received_at)
    return Delivery(row_number, text, refusal=refusal)


def _body(envelope: Mapping[str, object]) -> bytes:
    if "body" in envelope and "body_base64" in envelope:
        raise UnreadableError("given twice, as body and as body_base64")
    content = envelope.get("body", envelope.get("body_base64"))
    if not isinstance(content, str):
        raise UnreadableError("not a text")
    if "body" in envelope:
        return content.encode("utf-8")
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as cause:
        raise UnreadableError(f"not base64 ({cause})") from cause


def _skip_blank(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= _LONGEST_INTEGER else Number(text)


def _no_constant(text: str) -> object:
    raise UnreadableError(f"{text} is not JSON")
