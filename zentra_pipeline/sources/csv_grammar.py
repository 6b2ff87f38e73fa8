"""CSV by RFC 4180 and nothing else: the grammar is proved for every byte before a fast reader may split a record.

Does not belong here: what columns mean. Fast readers alone misread torn files silently (a lost comma before a quoted
field, a bare quote), so a chunk's marks (separators, line ends, quotes) are checked as arrays first.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.sources import record_refusals
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK, CHUNK_BYTES, COLUMN_LIMIT, FRAME_VALUES, RECORD_BYTES

_LEAST_ROWS = 512
_SHOWN, _NAMED = 60, 20
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'


@dataclass(frozen=True)
class TextFrame:
    """Data rows as columns of text, null where empty; `first_row` is the 1-based number of the first of them."""

    first_row: int
    columns: pl.DataFrame


def csv_frames(path: Path, name: str | None = None) -> Iterator[pl.DataFrame]:
    """Frames of a CSV file as `csv_text` gives them, with the column `row_number` added."""
    for text in csv_text(path, name):
        if "row_number" in text.columns.columns:
            raise InputRejectedError(f"{name or path.name}: header: a column named row_number; rename it")
        numbers = pl.int_range(text.first_row, text.first_row + text.columns.height, dtype=pl.Int64)
        yield text.columns.with_columns(numbers.alias("row_number"))


def csv_text(path: Path, name: str | None = None, separator: str = ",") -> Iterator[TextFrame]:
    """Data rows of a UTF-8 CSV file with a header, in order, in frames of some megabytes; at least one frame.

    Every field is text exactly as written between its separators or quotes; an empty field, quoted or not, is null.
    A byte order mark, CRLF line ends and blank lines at the end are accepted. Messages have `name` instead of the
    path's name; `separator` (one ASCII character) is between fields instead of the comma. InputRejectedError when any
    byte departs from RFC 4180 or a record from the header.
    """
    name = name or path.name
    header: list[str] | None = None
    row = 0
    for data in _chunks(path, name):
        records = _records(data, _Place(name, row), ord(separator))
        if header is None:
            header, records = _header(records, name, separator)
            row = 1
        _check_records(records, header, _Place(name, row), separator)
        step = max(_LEAST_ROWS, FRAME_VALUES // len(header))
        frame = _split(records, header, separator)
        for start in range(0, max(frame.height, 1), step):  # one frame also where there are no rows: it has the columns
            yield TextFrame(row + start, frame.slice(start, step))
        row += records.count
    if header is None:
        raise InputRejectedError(f"{name}: the file is empty; a header line with the column names is required")


@dataclass(frozen=True)
class _Place:
    """The file a chunk is of and the data row number of its first record, 0 when that is the header."""

    name: str
    row: int

    def refusal(self, records_before: int, why: str) -> InputRejectedError:
        row = self.row + records_before
        where = f"data row {row:,}" if row else "header"
        return InputRejectedError(f"{self.name}: {where}: {why}; correct the file and ingest it again")


@dataclass(frozen=True)
class _Records:
    """Whole records with LF line ends whose quoting is proved, and where and what the marks between fields are."""

    data: bytes
    marks: NDArray[np.intp]
    kinds: NDArray[np.uint8]
    is_quoted: bool

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.kinds == _NEWLINE))


def _chunks(path: Path, name: str) -> Iterator[bytes]:
    """The file in pieces of whole records; blank lines at the end of the file are dropped."""
    with path.open("rb") as stream:
        data, offset = stream.read(CHUNK_BYTES).removeprefix(BYTE_ORDER_MARK), 0
        while following := stream.read(CHUNK_BYTES):
            cut = _last_record_end(data)
            if len(data) - cut > RECORD_BYTES and not data[cut:].strip(b"\r\n"):
                offset, data = offset + len(data) - cut - 1, data[:cut] + b"\n"  # blank lines, however many, are one
            if len(data) - cut > RECORD_BYTES:
                why = f"a record is longer than {RECORD_BYTES:,} bytes, or its quote never closes; correct the file"
                raise InputRejectedError(f"{name}: after byte {offset + cut:,}: {why}")
            if cut:
                yield data[:cut]
            data, offset = data[cut:] + following, offset + cut
        if rest := data.rstrip(b"\r\n"):
            yield rest + b"\n"


def _last_record_end(data: bytes) -> int:
    """Where the last whole record ends, blank lines after it left out; 0 when there is none."""
    if b'"' in data:
        octets = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero((octets == _NEWLINE) & _outside_quotes(octets))
        cut = int(ends[-1]) + 1 if ends.size else 0
    else:
        cut = data.rfind(b"\n") + 1
    written = len(data[:cut].rstrip(b"\r\n"))
    return data.find(b"\n", written) + 1 if written else 0


def _outside_quotes(octets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """True where a byte lies outside quotes: an even number of quotes up to and including it."""
    quotes_so_far: NDArray[np.uint8] = np.cumsum(octets == _QUOTE, dtype=np.uint8)
    is_even: NDArray[np.bool_] = quotes_so_far & 1 == 0
    return is_even


def _records(data: bytes, place: _Place, separator: int) -> _Records:
    """Prove encoding, quoting and line ends of a chunk of whole records, and find its marks."""
    octets = np.frombuffer(data, np.uint8)
    is_quoted = b'"' in data
    outside = _outside_quotes(octets) if is_quoted else np.ones(1, np.bool_)
    _check_encoding(data, outside, place)
    if is_quoted:
        _check_quotes(octets, outside, place, separator)
    if b"\r" in data:
        returns = (octets == _RETURN) & outside
        lone = np.flatnonzero(returns[:-1] & (octets[1:] != _NEWLINE))
        if lone.size:
            raise place.refusal(
                _records_before(octets, outside, lone[0]),
                "a carriage return without a line feed: end lines with LF or CR LF",
            )
        octets = octets[~returns]
        outside = outside[~returns] if is_quoted else outside
        data = octets.tobytes()
    marks = np.flatnonzero(((octets == separator) | (octets == _NEWLINE)) & outside)
    return _Records(data, marks, octets[marks], is_quoted)


def _check_encoding(data: bytes, outside: NDArray[np.bool_], place: _Place) -> None:
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as cause:
        before = _records_before(np.frombuffer(data, np.uint8), outside, cause.start)
        begins = data.rfind(b"\n", 0, cause.start) + 1
        shown = data[max(begins, cause.start - 20) : cause.start + 20].partition(b"\n")[0].decode("cp1252", "replace")
        why = f"byte 0x{data[cause.start]:02x} is not UTF-8 (as Windows-1252 the place reads {shown.rstrip()!r})"
        raise place.refusal(before, f"{why}: save it as CSV UTF-8") from cause


def _check_quotes(octets: NDArray[np.uint8], outside: NDArray[np.bool_], place: _Place, separator: int) -> None:
    """A quote opens at a field's start and closes at its end, or is one of a pair within a quoted field."""
    quotes = np.flatnonzero(octets == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before = octets[opening - 1]
    bare = opening[~np.isin(before, (separator, _NEWLINE, _QUOTE)) & (opening > 0)]
    after = octets[closing + 1]
    trailed = closing[~np.isin(after, (separator, _NEWLINE, _RETURN, _QUOTE))]
    if bare.size and (not trailed.size or bare[0] < trailed[0]):
        raise place.refusal(
            _records_before(octets, outside, bare[0]), f"a quote within an unquoted field{_near(octets, bare[0])}"
        )
    if trailed.size:
        raise place.refusal(
            _records_before(octets, outside, trailed[0]), f"text after a closing quote{_near(octets, trailed[0])}"
        )
    if opening.size > closing.size:
        raise place.refusal(
            _records_before(octets, outside, opening[-1]), f"a quote that never closes{_near(octets, opening[-1])}"
        )


def _near(octets: NDArray[np.uint8], position: int) -> str:
    """The text around a quote, as it is shown in a message."""
    before = octets[max(int(position) - 20, 0) : int(position)].tobytes().rpartition(b"\n")[2]
    after = octets[int(position) : int(position) + 20].tobytes().partition(b"\n")[0]
    around = (before + after).decode("utf-8", "ignore")
    return f" near {around!r}; put the whole field in quotes, and write a quote within it twice"


def _records_before(octets: NDArray[np.uint8], outside: NDArray[np.bool_], position: int) -> int:
    until = outside[:position] if outside.size > 1 else outside
    return int(np.count_nonzero((octets[:position] == _NEWLINE) & until))


def _header(records: _Records, name: str, separator: str) -> tuple[list[str], _Records]:
    """The column names, and the records that follow them."""
    width = int(np.argmax(records.kinds == _NEWLINE)) + 1
    if width > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: header: {width:,} columns; at most {COLUMN_LIMIT:,} are allowed")
    end = int(records.marks[width - 1]) + 1
    line = records.data[: end - 1].decode("utf-8")
    try:
        header = next(csv.reader(io.StringIO(line, newline=""), delimiter=separator, strict=True), [""])
    except csv.Error as cause:
        raise InputRejectedError(f"{name}: header: {cause}; correct the column names") from cause
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        nameless = [str(place) for place, column in enumerate(header, start=1) if not column]
        if len(nameless) > 1:
            raise InputRejectedError(
                f"{name}: header: columns {', '.join(nameless)} have no name; name each column, or delete those"
            )
        named = [column if len(column) <= _SHOWN else f"{column[:_SHOWN]}…" for column in twice[:_NAMED]]
        more = f" and {len(twice) - _NAMED:,} more" if len(twice) > _NAMED else ""
        raise InputRejectedError(f"{name}: header: column {', '.join(named)}{more} appears twice; name each once")
    rest = _Records(records.data[end:], records.marks[width:] - end, records.kinds[width:], records.is_quoted)
    return header, rest


def _check_records(records: _Records, header: list[str], place: _Place, separator: str) -> None:
    """Every record has as many fields as the header and is not longer than allowed."""
    kinds, width = records.kinds, len(header)
    if kinds.size % width or not (kinds[width - 1 :: width] == _NEWLINE).all() or records.count * width != kinds.size:
        ends = np.flatnonzero(kinds == _NEWLINE)
        fields = np.diff(ends, prepend=-1)
        wrong = int(np.argmax(fields != width))
        begins = int(records.marks[ends[wrong - 1]]) + 1 if wrong else 0
        ends_at = int(records.marks[ends[wrong]])
        text = _text(records.data[begins:ends_at])
        if not text.strip():
            following = records.data[ends_at:].lstrip().partition(b"\n")[0]
            raise place.refusal(wrong, record_refusals.after_blank_line(_text(following) or None, header, separator))
        is_last = ends_at + 1 == len(records.data)
        raise place.refusal(wrong, record_refusals.why_not_fields(int(fields[wrong]), text, header, is_last, separator))
    lengths = np.diff(records.marks[width - 1 :: width], prepend=-1)
    if lengths.size and lengths.max() > RECORD_BYTES:
        raise place.refusal(int(np.argmax(lengths > RECORD_BYTES)), f"longer than {RECORD_BYTES:,} bytes")


def _text(record: bytes) -> str:
    return record[:1024].decode("utf-8", "replace")


def _split(records: _Records, header: list[str], separator: str) -> pl.DataFrame:
    """The records' fields by column.

    A header of our own goes first, so that no text of the file is taken for names or for the mark of a compression.
    """
    stand_in = separator.join(f"c{position}" for position in range(len(header))).encode() + b"\n"
    frame = pl.read_csv(
        stand_in + records.data,
        separator=separator,
        infer_schema=False,
        quote_char='"' if records.is_quoted else None,
    )
    if frame.height != records.count:
        raise ZentraError(f"the CSV reader found {frame.height:,} records where the grammar proves {records.count:,}")
    frame.columns = header
    if records.is_quoted:
        frame = frame.select(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))
    return frame
