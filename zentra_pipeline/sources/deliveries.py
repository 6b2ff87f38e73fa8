"""Recorded webhook deliveries of any provider as JSON: the file's shape and its envelopes, not what an event means.

Accepted shapes: one JSON event (pretty-printed or not), a JSON array of events, JSON Lines of events, and JSON Lines of
envelopes `{"received_at": <instant>, "headers": {…}, "body": <text as received>}` (or `"body_base64"`), the only shape
that keeps what a signature needs: the bytes and the headers.
"""

import base64
import binascii
import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK

EVENT_BYTES = 1024 * 1024
WINDOW_BYTES = 1024 * 1024

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
        """A header by its name in any case; blank when it is absent or there twice."""
        found = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        return found[0] if len(found) == 1 else ""


class Number(str):
    """A JSON number that is no 64-bit integer, as written: never an amount."""

    __repr__ = str.__str__


class UnreadableError(ValueError):
    """Why a text is not the JSON that was due; the caller decides whether that costs the row or the file."""


class _Decoder:
    """Strict JSON that keeps numbers exact and remembers a key that appears twice in one object."""

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
            raise UnreadableError("not JSON: nested too deeply") from cause

    def whole(self, text: str) -> Any:
        """The only value of a text."""
        value, end = self.decode(text)
        if _skip_blank(text, end) < len(text):
            raise UnreadableError("not JSON: text after the value")
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self.repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return found


class _Window:
    """A stretch of a JSON document that moves along the file, so that memory does not grow with it."""

    def __init__(self, stream: BinaryIO, decoder: _Decoder) -> None:
        self._stream = stream
        self._decoder = decoder
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._is_last = False

    def next_mark(self) -> str:
        """The next character that is not white space, left where it is; blank at the end."""
        while True:
            self._at = _skip_blank(self._text, self._at)
            if self._at < len(self._text) or self._is_last:
                return self._text[self._at : self._at + 1]
            self._move()

    def skip_mark(self) -> None:
        self._at += 1

    def value(self) -> tuple[str, Any]:
        """The next value and its text; ValueError when there is none, or when it is too long to be held."""
        while True:
            try:
                value, end = self._decoder.decode(self._text, self._at)
            except ValueError:
                if self._is_last or len(self._text) - self._at > EVENT_BYTES:
                    raise
            else:
                if end - self._at > EVENT_BYTES:
                    raise UnreadableError(f"longer than {EVENT_BYTES:,} characters")
                if end < len(self._text) or self._is_last:
                    text, self._at = self._text[self._at : end], end
                    return text, value
            self._move()

    def _move(self) -> None:
        content = self._stream.read(WINDOW_BYTES)
        self._is_last = len(content) < WINDOW_BYTES
        self._text = self._text[self._at :] + self._utf8.decode(content, final=self._is_last)
        self._at = 0


def read_deliveries(
    path: Path, name: str | None = None, event_of: Callable[[bytes], dict[str, Any]] | None = None
) -> Iterator[Delivery]:
    """Every delivery of a file in order; InputRejectedError when the file is no JSON of an accepted shape.

    `event_of` reads the body of an envelope where it is no JSON object itself, as a form; ValueError refuses the row.
    """
    name = name or path.name
    decoder = _Decoder()
    with path.open("rb") as stream:
        if stream.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            stream.seek(0)
        start = stream.tell()
        is_lines = _begins_with_object_line(stream, decoder)
        stream.seek(start)
        values = _lines(stream, name, decoder) if is_lines else _document(stream, name, decoder)
        for row_number, (text, value) in enumerate(values, start=1):
            yield _delivery(row_number, text, value, decoder, event_of)


def _begins_with_object_line(stream: BinaryIO, decoder: _Decoder) -> bool:
    while line := stream.readline(EVENT_BYTES + 1):
        if line.strip():
            if len(line) > EVENT_BYTES:
                return False
            try:
                return isinstance(decoder.whole(line.decode("utf-8")), dict)
            except ValueError:
                return False
    return False


def _lines(stream: BinaryIO, name: str, decoder: _Decoder) -> Iterator[tuple[str, Any]]:
    """The value of each line that is not blank, and its text."""
    number = 0
    while line := stream.readline(EVENT_BYTES + 1):
        number += 1
        try:
            if len(line) > EVENT_BYTES:
                raise UnreadableError(f"longer than {EVENT_BYTES:,} bytes")
            text = line.decode("utf-8").strip(" \t\r\n")
            if text:
                yield text, decoder.whole(text)
        except ValueError as cause:
            raise InputRejectedError(f"{name}: line {number}: {_reason(cause)}; correct the file") from cause


def _document(stream: BinaryIO, name: str, decoder: _Decoder) -> Iterator[tuple[str, Any]]:
    """The elements of one JSON array, or one JSON object, each with its text; nothing for a blank file."""
    window = _Window(stream, decoder)
    number = 1
    try:
        first = window.next_mark()
        if first == "[":
            for element in _array(window):
                yield element
                number += 1
        elif first:
            text, value = window.value()
            if not isinstance(value, dict):
                raise UnreadableError("the document is neither an object nor an array")
            yield text, value
        if window.next_mark():
            raise UnreadableError("text after the end of the document")
    except ValueError as cause:
        place = f"{name}: event {number}"
        raise InputRejectedError(f"{place}: {_reason(cause)}; send one event, an array, or one a line") from cause


def _array(window: _Window) -> Iterator[tuple[str, Any]]:
    window.skip_mark()
    if window.next_mark() != "]":
        yield window.value()
        while window.next_mark() == ",":
            window.skip_mark()
            window.next_mark()
            yield window.value()
    if window.next_mark() != "]":
        raise UnreadableError("not JSON: neither ',' nor ']' after an event")
    window.skip_mark()


def _reason(cause: ValueError) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(cause, json.JSONDecodeError):
        return f"not JSON: {cause.msg[:1].lower()}{cause.msg[1:]}"
    return str(cause)


def strict_object(text: str) -> dict[str, Any]:
    """The one JSON object of a text, numbers exact; ValueError with the reason, also where a key is there twice."""
    decoder = _Decoder()
    try:
        value = decoder.whole(text)
    except ValueError as cause:
        raise UnreadableError(_reason(cause)) from cause
    if decoder.repeated is not None:
        raise UnreadableError(f"key {decoder.repeated!r} appears twice in one object")
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    return value


def _delivery(
    row_number: int,
    text: str,
    value: object,
    decoder: _Decoder,
    event_of: Callable[[bytes], dict[str, Any]] | None,
) -> Delivery:
    if decoder.repeated is not None:
        return Delivery(row_number, text, refusal=f"key {decoder.repeated!r} appears twice in one object")
    if not isinstance(value, dict):
        return Delivery(row_number, text, refusal="not a JSON object")
    if "body" not in value and "body_base64" not in value:
        return Delivery(row_number, text, event=value)
    try:
        body = _body(value)
        event = decoder.whole(body.decode("utf-8")) if event_of is None else event_of(body)
    except ValueError as cause:
        return Delivery(row_number, text, refusal=f"body: {_reason(cause)}")
    headers, received_at = value.get("headers"), value.get("received_at")
    if decoder.repeated is not None:
        refusal = f"body: key {decoder.repeated!r} appears twice in one object"
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
    raise UnreadableError(f"not JSON: {text}")
