"""Lines of JSON that differ in nothing but their values, cut into columns at the places of their quotes.

A chunk is read so when every line has the keys, the order and the spacing of its first one, and nothing in it has to be
unescaped; what is not exactly so is left to json_lines, which reads any line. Does not belong here: what values mean.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from zentra_pipeline.contracts.contract import Contract, FieldType
from zentra_pipeline.sources.json_object import INTEGER, shape_of

_QUOTE: Final = ord('"')
_NEWLINE: Final = ord("\n")
_SPACE: Final = 0x20
_TOKEN: Final = re.compile(r'"([^"]*)"|[^\s{}:,"]+')
_FORMS: Final = {FieldType.INTEGER: rf"\A{INTEGER}\z", FieldType.BOOLEAN: r"\A(?:true|false)\z"}


@dataclass(frozen=True)
class _Edge:
    """Where a value begins or ends: so many bytes behind a quote of its line, by number, or behind its end (None)."""

    quote: int | None
    behind: int


@dataclass(frozen=True)
class Form:
    """What lines of one form have in common: keys, the edges of the values, and the bytes between them.

    `keys` are those with values, `columns` also those that are null in every line. `first` leads up to the first value
    of the chunk; `literals` has for each value what follows it: the last one leads over to the next line's first value,
    and is `last` behind the last line. `bare`: the values without quotes, by number, with the pattern each matches.
    """

    columns: tuple[str, ...]
    keys: tuple[str, ...]
    quotes: int
    controls: int
    edges: tuple[tuple[_Edge, _Edge], ...]
    first: str
    literals: tuple[str, ...]
    last: str
    bare: tuple[tuple[int, str], ...]


def form_of(line: str, contract: Contract) -> Form | None:
    """The form of a line with its newline; null when it is not an ordinary one, or has an unknown column."""
    shape = shape_of(line, contract)
    if shape is None or not set(shape.keys) <= set(contract.columns):
        return None
    tokens = list(_TOKEN.finditer(line))
    members = [member for member in zip(tokens[::2], tokens[1::2], strict=True) if member[1][0] != "null"]
    quotes = [place for place, character in enumerate(line) if character == '"']
    places = {place: number for number, place in enumerate(quotes)}
    types = {field.name: field.type for field in contract.fields}
    edges, spans, bare = [], [], []
    for number, (key, value) in enumerate(members):
        start, end = value.span()
        if value[1] is not None:
            opens = places[start]
            edges.append((_Edge(opens, 1), _Edge(opens + 1, 0)))
            spans.append((start + 1, end - 1))
            continue
        pattern = _FORMS.get(types[key[1]])
        if pattern is None or not re.search(pattern.replace(r"\z", r"\Z"), value[0]):
            return None
        bare.append((number, pattern))
        closes = places[key.end() - 1]
        is_last = closes + 1 == len(quotes)
        until = _Edge(None, end - len(line)) if is_last else _Edge(closes + 1, end - quotes[closes + 1])
        edges.append((_Edge(closes, start - quotes[closes]), until))
        spans.append((start, end))
    if not spans:
        return None
    first, last = line[: spans[0][0]], line[spans[-1][1] :]
    between = [line[end:start] for (_, end), (start, _) in pairwise(spans)]
    return Form(
        columns=shape.keys,
        keys=tuple(key[1] for key, _ in members),
        quotes=len(quotes),
        controls=sum(ord(character) < _SPACE for character in line),
        edges=tuple(edges),
        first=first,
        literals=(*between, last + first),
        last=last,
        bare=tuple(bare),
    )


def read(data: bytes, form: Form, first_row: int, contract: Contract) -> pl.DataFrame | None:
    """The rows of whole lines of plain text, as the gate judges them; null unless every line has the form."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets == _NEWLINE).astype(np.int64) + 1
    quotes = np.flatnonzero(octets == _QUOTE).astype(np.int64)
    controls = np.count_nonzero(octets < _SPACE)
    if len(quotes) != len(ends) * form.quotes or controls != len(ends) * form.controls:
        return None
    edges = _edges(form, quotes.reshape(len(ends), form.quotes), ends)
    places = edges.reshape(-1)
    if places[0] < 0 or places[-1] > len(data) or np.any(places[1:] < places[:-1]):
        return None
    if (data[: places[0]], data[places[-1] :]) != (form.first.encode(), form.last.encode()):
        return None
    pieces = pl.Series(
        pa.Array.from_buffers(pa.large_string(), len(places) - 1, [None, pa.py_buffer(places), pa.py_buffer(data)])
    )
    each = 2 * len(form.keys)
    for number, literal in enumerate(form.literals):
        if not (pieces.gather_every(each, 2 * number + 1) == literal).all():
            return None
    values = [pieces.gather_every(each, 2 * number) for number in range(len(form.keys))]
    if not all(values[number].str.contains(pattern).all() for number, pattern in form.bare):
        return None
    return pl.DataFrame(list(_columns(form, values, edges, contract))).select(
        *contract.columns,
        pl.lit(None, pl.String).alias("raw"),
        pl.int_range(first_row, first_row + len(ends), dtype=pl.Int64).alias("row_number"),
        pl.lit(None, pl.String).alias("refusal"),
        pl.lit(None, pl.String).alias("source_row"),
    )


def lines_in(data: bytes) -> int:
    """How many lines a chunk has."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))


def is_plain(data: bytes) -> bool:
    """Whether nothing in a chunk has to be unescaped or decoded."""
    return data.isascii() and b"\\" not in data


def _edges(form: Form, quotes: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each value of each line begins and ends."""
    found = np.empty((len(ends), 2 * len(form.keys)), np.int64)
    for place, edge in enumerate(edge for both in form.edges for edge in both):
        found[:, place] = (ends if edge.quote is None else quotes[:, edge.quote]) + edge.behind
    return found


def _columns(
    form: Form, values: Sequence[pl.Series], edges: NDArray[np.int64], contract: Contract
) -> Iterator[pl.Series]:
    """The contract's columns; a blank text is nothing, and so is a column that the lines do not have."""
    for number, (key, value) in enumerate(zip(form.keys, values, strict=True)):
        is_blank = edges[:, 2 * number] == edges[:, 2 * number + 1]
        yield (value.set(pl.Series(is_blank), None) if is_blank.any() else value).alias(key)
    for column in contract.columns:
        if column not in form.keys:
            yield pl.Series(column, [None], pl.String).new_from_index(0, len(edges))
