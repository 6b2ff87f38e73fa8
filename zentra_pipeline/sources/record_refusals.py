"""Says what a record of a CSV looks like that is no row of data: a header again, a total, a comment, a blank row.

Does not belong here: the grammar, and what a row of data must hold.
"""

import re
from collections.abc import Sequence

import polars as pl

from zentra_pipeline.sources.separators import plural

_SHOWN = 60
_TOTAL_WORDS = (
    r"(?:grand |sub[- ]?|running )?totals?|(?:zwischen|gesamt)?summen?|gesamt|insgesamt|sums?|somme|totaux|totale?|"
    r"totaal|suma|summary|(?:opening |closing )?balance|saldo|solde|合計|小計|总计|合计"
)
_TOTAL = rf"(?i)^[\s*=-]*(?:{_TOTAL_WORDS})\b[\s:*=-]*(?:\(?[\w ,.-]{{0,24}}\)?)?$"
_COMMENT = re.compile(r"\s*(?:#|//|--|;|\*|=)")
_COUNT = re.compile(r"\(?\s*[0-9.,' ]+\s+(?:rows?|records?|lines?|entries)\b", re.IGNORECASE)
BLANK_ROW = "a row of nothing but separators: it holds no value; delete it from the file"
_HEADER_AGAIN = "the header is repeated here, as where two exports are joined; delete this line"
_RULE_LINE = "a line of dashes, not a row of data; delete it from the file"


def why_not_fields(fields: int, text: str, header: Sequence[str], is_last: bool, separator: str) -> str:
    """Why a record has another number of fields than the header: what its text looks like, and what to do."""
    if not any(column.strip() for column in header):
        return "line 1, where the header is due, is blank; delete the blank lines above the header"
    counts = f"{fields:,} field{'s' if fields != 1 else ''} where the header has {len(header):,}"
    shown = repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
    if set(text) <= {"\x00", "\x1a"}:
        shown = repr(text[0])
    cells, mark = [cell.strip(' "') for cell in text.split(separator)], plural(separator).removesuffix("s")
    hints = (
        (set(text) <= {"\x00", "\x1a"}, " is an old end-of-file mark or padding; delete it"),
        (any(re.search(_TOTAL, cell) for cell in cells), " looks like a total row; delete it"),
        (text.startswith(("<<<<<<<", "=======", ">>>>>>>")), " is the mark of a merge conflict; resolve it"),
        (
            fields == 1 and bool(_COMMENT.match(text) or _COUNT.match(text)),
            " looks like a comment or closing line; delete it",
        ),
        (
            fields == len(header) + 1 and not cells[-1],
            f" ends with a {mark} too many, or the header lacks the name of its last column",
        ),
        (fields == len(header) - 1 and not header[-1], f"; the header ends with a {mark} too many"),
        (fields > len(header), f"; put a value that holds a {mark} in quotes (RFC 4180)"),
        (is_last, " is the file's last line: was the file cut here, or is it a closing line?"),
    )
    return f"{counts}: {shown}{next((hint for holds, hint in hints if holds), '')}"


def after_blank_line(following: str | None, header: Sequence[str], separator: str) -> str:
    """What to say of a blank line, given the first line after it that is not blank."""
    if following is None:
        return "a line of blanks at the end; delete it"
    cells = [cell.strip(' "') for cell in following.split(separator)]
    if cells == list(header):
        return "a blank line, and the header again below it: two exports are joined; send each as a file of its own"
    shown = repr(following[:_SHOWN])
    if len(cells) != len(header):
        return f"a blank line, and below it {shown}: another table or a closing line; leave the first table alone here"
    return "a blank line between the rows; delete it"


def rows_of_no_data(frame: pl.DataFrame, required: Sequence[str], amounts: Sequence[str]) -> pl.Series | None:
    """Why each row of a CSV is no row of data, null where it is one; None where all are.

    `frame`: the file's columns as text, null where blank. `required`: columns that a row may not leave blank, `amounts`
    among them; a word such as "Total" says nothing of a row that has all of those.
    """
    first = pl.col(required[0])
    lacks = pl.any_horizontal(pl.col(column).is_null() for column in required)
    candidates = frame.select(lacks | (first == required[0]) | first.str.contains(r"\A[-=_*.]")).to_series()
    if not candidates.any():
        return None
    places = candidates.arg_true()
    rows = frame.filter(candidates)
    is_blank = rows.select(pl.all_horizontal(pl.all().is_null())).to_series()
    others = rows.filter(~is_blank).select(_why_no_data(frame.columns, required, amounts)).to_series()
    if others.null_count() == len(others) and not is_blank.any():
        return None
    reasons = pl.Series("why", [None], dtype=pl.String).new_from_index(0, frame.height)
    return reasons.scatter(places.filter(is_blank), BLANK_ROW).scatter(places.filter(~is_blank), others)


def source_rows(frame: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """The rows that are wanted as JSON objects, null for the others."""
    found = frame.filter(wanted).select(pl.struct(pl.all()).struct.json_encode()).to_series()
    nothing = pl.Series("source_row", [None], dtype=pl.String).new_from_index(0, frame.height)
    return nothing.scatter(wanted.arg_true(), found)


def _why_no_data(columns: Sequence[str], required: Sequence[str], amounts: Sequence[str]) -> pl.Expr:
    texts = [pl.col(column) for column in columns]
    others = [pl.col(column) for column in columns if column not in amounts]
    is_header = pl.all_horizontal(pl.col(column).eq_missing(pl.lit(column or None)) for column in columns)
    is_line = pl.all_horizontal(text.is_null() | text.str.contains(r"\A[-=_*.]+\z") for text in texts)
    has_only_amounts = pl.all_horizontal(text.is_null() for text in others)
    word = pl.coalesce(pl.when(text.str.contains(_TOTAL)).then(text.str.head(_SHOWN)) for text in texts)
    blanks = pl.concat_str(
        [pl.when(pl.col(column).is_null()).then(pl.lit(column)) for column in required],
        separator=", ",
        ignore_nulls=True,
    )
    total = pl.format("looks like a total row ('{}'; {} blank), not a row of data; delete it", word, blanks)
    return (
        pl.when(is_header)
        .then(pl.lit(_HEADER_AGAIN))
        .when(is_line)
        .then(pl.lit(_RULE_LINE))
        .when((blanks != "") & word.is_not_null())
        .then(total)
        .when(has_only_amounts)
        .then(pl.lit("looks like a total row (it holds amounts and nothing else), not a row of data; delete it"))
    )
