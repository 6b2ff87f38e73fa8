"""Any table as canonical settlement lines, by a declared column mapping (`tabular` of a provider's profile).

The reader guesses nothing: what a column means, how amounts and dates are written, and which rows are not data, the
mapping says. A file whose own totals do not add up is refused whole. Does not belong here: the form of the file
(tables), the form of the mapping (column_mapping).
"""

from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from zentra_pipeline import vocabulary
from zentra_pipeline.contracts import row_rules, settlement_lines
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import separators, table_totals, table_values
from zentra_pipeline.sources.column_mapping import (
    Amounts,
    ColumnMapping,
    ColumnName,
    ControlRow,
    Match,
    Meanings,
    Source,
)
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Cures, Expected, check_columns, refuse_other_headers
from zentra_pipeline.sources.table_totals import Stated, Totals
from zentra_pipeline.sources.tables import Asides, text_frames

_SHOWN: Final = 60
_NEGATIVE_BY_TYPE: Final = ("refund", "chargeback", "fee", "payout")
_AMOUNT_FAULT: Final = "is not an exact amount of its currency as the profile's mapping writes them"
_MONEY: Final = ("gross", "fee", "net")
_CURES: Final = Cures(
    separator="write delimiter: {key} in the profile's mapping (tabular)",
    lines_above="write skip_lines: {above} in the profile's mapping (tabular)",
    no_header="name its columns in order with column_names in the profile's mapping (tabular)",
)


def read_settlement(
    path: Path,
    name: str,
    mapping: ColumnMapping,
    notes: MutableMapping[str, int] | None = None,
    totals: Totals | None = None,
) -> Iterator[pl.DataFrame]:
    """Frames of canonical settlement columns, `raw`, `row_number`, `refusal`, `source_row`.

    `notes` counts rows that the mapping leaves out; `totals` is given what the file adds up to and states. At the end
    InputRejectedError, with the figures, where the two differ.
    """
    for _, _, lines in read_table(path, name, mapping, notes, Totals() if totals is None else totals):
        yield lines.select(*settlement_lines.CONTRACT.columns, "raw", "row_number", "refusal", "source_row")


def read_table(
    path: Path, name: str, mapping: ColumnMapping, notes: MutableMapping[str, int] | None, totals: Totals
) -> Iterator[tuple[Sequence[str], pl.DataFrame, pl.DataFrame]]:
    """The header, rows of data as they are, and the same rows as lines, with `gross`, `fee`, `net` as integers.

    Errors as read_settlement's.
    """
    asides: Asides = []
    header: list[str] = []
    _refuse_other_layouts(path, name, mapping)
    for frame in text_frames(path, name, mapping, asides):
        header = [column for column in frame.columns if column != "row_number"]
        _check_header(header, name, mapping)
        data = _without_rows_beside(frame, header, mapping, totals, notes)
        lines = _lines(data, header, mapping)
        totals.add(lines.select("currency", *_MONEY))
        if mapping.running_balance is not None:
            rule = mapping.running_balance
            column = name_of(header, rule.column)
            followed = _with_balances(header, data, lines, mapping)
            totals.follow(followed, column, newest_first=rule.order == "newest_first", name=name)
        yield header, data, lines
    _take_asides(asides, header, mapping, totals, name)
    table_totals.check(totals, mapping, name)


def _with_balances(
    header: Sequence[str], data: pl.DataFrame, lines: pl.DataFrame, mapping: ColumnMapping
) -> pl.DataFrame:
    """The lines as `Totals.follow` takes them, without those that are pending and have no balance."""
    assert mapping.running_balance is not None
    column = name_of(header, mapping.running_balance.column)
    accounts = () if mapping.account is None else mapping.account.columns
    amounts = (name_of(header, place) for _, place in _amount_columns(mapping.amounts))
    shown = [
        pl.format(f"{_escaped(name)} '{{}}'", _short(name).fill_null("")) for name in dict.fromkeys([*amounts, column])
    ]
    pending = pl.lit(False) if mapping.pending is None else matches(header, mapping.pending)
    beside = data.select(
        account=pl.concat_str([pl.col(name_of(header, each)) for each in accounts], separator=" ", ignore_nulls=True)
        if accounts
        else pl.lit(None, pl.String),
        balance=column,
        written=pl.concat_str(shown, separator=", "),
        is_left_out=pending & pl.col(column).is_null(),
    )
    balance = table_values.minor_units(pl.col("balance"), mapping, pl.col("currency"))
    kept = lines.select("currency", "net", "row_number").hstack(beside).filter(~pl.col("is_left_out"))
    return kept.with_columns(balance)


def name_of(header: Sequence[str], column: ColumnName) -> str:
    """A column's name in the header, where a mapping names it by its place."""
    return header[column - 1] if isinstance(column, int) else column


def _expected(mapping: ColumnMapping) -> Expected:
    return Expected(
        "the table that the profile's mapping describes",
        tuple(column for column in mapping.columns if isinstance(column, str)),
        "correct the column names in the profile's mapping (tabular), or ask for the columns it had",
        separator=mapping.delimiter,
        width=max((column for column in mapping.columns if isinstance(column, int)), default=1),
        cures=_CURES,
    )


def _refuse_other_layouts(path: Path, name: str, mapping: ColumnMapping) -> None:
    """InputRejectedError that names the key of the mapping by which a CSV of another layout is read."""
    if mapping.form != "csv":
        return
    start = start_of(path)
    if mapping.encoding != "utf-16":
        refuse_other_forms(start, name)
    expected = _expected(mapping)
    lines = start.decode(mapping.encoding, "replace").split("\n")[mapping.skip_lines :]
    if mapping.column_names is None:
        refuse_other_headers("\n".join(lines).encode(), name, expected, mapping.skip_lines)
        return
    width, first = len(mapping.column_names), lines[0] if lines else ""
    found = separators.other_than(mapping.delimiter, first, lambda fields: len(fields) == width)
    if found is not None and len(separators.fields(first, mapping.delimiter)) != width:
        due, cure = separators.plural(mapping.delimiter), _CURES.separator.format(key=found.key)
        raise InputRejectedError(f"{name}: its columns are separated by {found.plural}, not by {due}; {cure}")


def _check_header(header: Sequence[str], name: str, mapping: ColumnMapping) -> None:
    beyond = [column for column in mapping.columns if isinstance(column, int) and column > len(header)]
    if beyond:
        raise InputRejectedError(
            f"{name}: the profile's mapping reads column {beyond[0]}, and the file has {len(header):,}; "
            "correct the mapping, or ask for the columns it had"
        )
    check_columns(header, name, _expected(mapping))


def _without_rows_beside(
    frame: pl.DataFrame,
    header: Sequence[str],
    mapping: ColumnMapping,
    totals: Totals,
    notes: MutableMapping[str, int] | None,
) -> pl.DataFrame:
    """The rows of data; control rows go to `totals`, rows that the mapping skips to `notes`."""
    for number, rule in enumerate(mapping.control_rows):
        if isinstance(rule.row.column, str) and rule.row.column not in header:
            continue
        is_control = matches(header, rule.row)
        found = frame.filter(is_control)
        for row in found.iter_rows(named=True):
            cells = [row[column] or "" for column in header]
            totals.stated.append(_stated(number, rule, cells, header, f"row {row['row_number']:,}"))
        frame = frame.filter(~is_control) if found.height else frame
    for match in mapping.skip_rows:
        is_skipped = matches(header, match)
        skipped = frame.filter(is_skipped).height
        if skipped:
            frame = frame.filter(~is_skipped)
            if notes is not None:
                what = f"rows that the mapping skips: {name_of(header, match.column)} {_words(match)}"
                notes[what] = notes.get(what, 0) + skipped
    return frame


def matches(header: Sequence[str], match: Match) -> pl.Expr:
    """Whether a row is one that a mapping's rule is about."""
    column = pl.col(name_of(header, match.column))
    if match.blank:
        return column.is_null() | (column.str.strip_chars() == "")
    if match.values is not None:
        return column.is_in(list(match.values)).fill_null(False)
    begins = [column.str.starts_with(beginning) for beginning in match.begins or ()]
    return pl.any_horizontal(*begins).fill_null(False)


def _words(match: Match) -> str:
    if match.blank:
        return "is blank"
    said = "is" if match.values else "begins with"
    return f"{said} {' or '.join(map(repr, match.values or match.begins or ()))}"


def _take_asides(asides: Asides, header: Sequence[str], mapping: ColumnMapping, totals: Totals, name: str) -> None:
    """Control rows among the lines above and below the table; their cells are in the places of its columns."""
    for line, cells in enumerate(asides, start=1):
        padded = [*cells, *[""] * (len(header) - len(cells))]
        for number, rule in enumerate(mapping.control_rows):
            place = header.index(rule.row.column) if rule.row.column in header else None
            place = rule.row.column - 1 if isinstance(rule.row.column, int) else place
            if place is None or place >= len(padded) or not cells:
                continue
            cell, match = padded[place], rule.row
            is_it = not cell if match.blank else cell in (match.values or ()) or cell.startswith(match.begins or "\x00")
            if is_it:
                where = f"line {line:,} beside the table ({' '.join(filter(None, cells))[:_SHOWN]!r})"
                totals.stated.append(_stated(number, rule, padded, header, where))


def _stated(number: int, rule: ControlRow, cells: Sequence[str], header: Sequence[str], place: str) -> Stated:
    """What a control row states, as written; InputRejectedError when it lacks a column."""

    def cell(column: ColumnName) -> str:
        at = column - 1 if isinstance(column, int) else (header.index(column) if column in header else len(cells))
        if at >= len(cells):
            raise InputRejectedError(f"{place}: no column {column!r}, which the mapping's control_rows name")
        return cells[at]

    currency = cell(rule.currency) if rule.currency is not None else None
    return Stated(number, place, currency, {figure: cell(column) for figure, column in rule.figures.items()})


def _lines(frame: pl.DataFrame, header: Sequence[str], mapping: ColumnMapping) -> pl.DataFrame:
    """Canonical columns of rows of data as text, and `gross`, `fee`, `net` as integers."""
    found = frame.select(
        _joined(header, mapping.line_id).alias("line_id"),
        _meaning(header, mapping.line_type).alias("line_type"),
        *(
            _first(header, source).alias(field)
            for field, source in (
                ("provider_reference", mapping.provider_reference),
                ("merchant_reference", mapping.merchant_reference),
                ("original_reference", mapping.original_reference),
                ("batch_id", mapping.batch_id),
                ("trace_id", mapping.trace_id),
                ("statement_text", mapping.statement_text),
            )
        ),
        (pl.lit(None, pl.String) if mapping.status is None else _meaning(header, mapping.status)).alias("status"),
        _first(header, mapping.currency).str.to_uppercase().alias("currency"),
        _settled_at(header, mapping).alias("settled_at"),
        *_presentment(header, mapping),
        _unmapped(header, mapping).alias("raw"),
        pl.col("row_number"),
        *(pl.col(name_of(header, column)).alias(f"given {key}") for key, column in _amount_columns(mapping.amounts)),
    )
    found = found.with_columns(_money(mapping))
    return found.with_columns(
        *(pl.col(name).cast(pl.String).alias(f"{name}_minor") for name in _MONEY),
        *_refusals(frame, found, header, mapping),
    )


def _joined(header: Sequence[str], source: Source) -> pl.Expr:
    """All of a source's columns, joined by a colon, blank ones as nothing; null where the first is blank."""
    columns = [pl.col(name_of(header, column)) for column in source.columns]
    if not columns:
        return pl.lit(source.constant)
    return pl.concat_str(columns[0], *(column.fill_null("") for column in columns[1:]), separator=":")


def _first(header: Sequence[str], source: Source | None) -> pl.Expr:
    """The first of a source's columns that is not blank."""
    if source is None:
        return pl.lit(None, pl.String)
    columns = [pl.col(name_of(header, column)) for column in source.columns]
    return pl.coalesce(columns) if columns else pl.lit(source.constant)


def _meaning(header: Sequence[str], words: Meanings) -> pl.Expr:
    if words.column is None:
        return pl.lit(words.default)
    value = pl.col(name_of(header, words.column))
    otherwise = pl.lit(words.default, pl.String)
    for beginning in sorted(words.begins, key=lambda each: (len(each), each)):
        is_it = value.str.starts_with(beginning)
        otherwise = pl.when(is_it).then(pl.lit(words.begins[beginning])).otherwise(otherwise)
    return pl.coalesce(value.replace_strict(words.values, default=None, return_dtype=pl.String), otherwise)


def _date_text(header: Sequence[str], mapping: ColumnMapping) -> pl.Expr:
    return pl.concat_str([pl.col(name_of(header, column)) for column in mapping.settled_at.column], separator=" ")


def _settled_at(header: Sequence[str], mapping: ColumnMapping) -> pl.Expr:
    is_typed = mapping.form in ("excel", "parquet")
    return table_values.instants(_date_text(header, mapping), mapping.settled_at, is_typed=is_typed)


def _presentment(header: Sequence[str], mapping: ColumnMapping) -> list[pl.Expr]:
    """What the customer paid, null where that is in the currency settled."""
    nothing = pl.lit(None, pl.String)
    if mapping.presentment is None:
        return [nothing.alias("presentment_minor"), nothing.alias("presentment_currency")]
    paid = pl.col(name_of(header, mapping.presentment.amount))
    currency = pl.col(name_of(header, mapping.presentment.currency)).str.to_uppercase()
    is_other = currency.ne(_first(header, mapping.currency).str.to_uppercase()) & paid.is_not_null()
    minor = table_values.minor_units(paid, mapping, currency).cast(pl.String)
    return [
        pl.when(is_other).then(pl.coalesce(minor, paid)).alias("presentment_minor"),
        pl.when(is_other).then(currency).alias("presentment_currency"),
    ]


def _unmapped(header: Sequence[str], mapping: ColumnMapping) -> pl.Expr:
    """Columns that the mapping neither uses nor lists among the others, as a JSON object: drift."""
    known = {name_of(header, column) for column in mapping.columns} | set(mapping.other_columns)
    for rule in mapping.control_rows:
        known |= {name_of(header, column) for column in (rule.row.column, *rule.figures.values()) if column in header}
    unknown = [column for column in header if column not in known]
    return pl.struct(unknown).struct.json_encode() if unknown else pl.lit(None, pl.String)


def _amount_columns(amounts: Amounts) -> list[tuple[str, ColumnName]]:
    """Every column that holds money or its sign, by the name it has while amounts are worked out."""
    singles = {key: getattr(amounts, key) for key in ("gross", "net", "debit", "credit")}
    found = [(key, column) for key, column in singles.items() if column is not None]
    found += [(f"fee {place}", column) for place, column in enumerate(amounts.fee or ())]
    return found + ([("sign", amounts.sign.column)] if amounts.sign is not None else [])


def _money(mapping: ColumnMapping) -> list[pl.Expr]:
    """`gross`, `fee` and `net`, signed as canonical lines are: null where one cannot be worked out."""
    amounts, currency = mapping.amounts, pl.col("currency")

    def read(key: str) -> pl.Expr:
        return table_values.minor_units(pl.col(f"given {key}"), mapping, currency)

    def blank_is_zero(key: str) -> pl.Expr:
        return pl.when(pl.col(f"given {key}").is_null()).then(0).otherwise(read(key))

    fees = [blank_is_zero(f"fee {place}") for place in range(len(amounts.fee or ()))]
    fee = sum(fees[1:], fees[0]) if fees else None
    fee = -fee if fee is not None and amounts.fee_sign == "negative" else fee
    gross = net = None
    if amounts.debit is not None:
        debit = blank_is_zero("debit")
        pair = blank_is_zero("credit") + (debit if amounts.debit_sign == "negative" else -debit)
        gross, net = (pair, None) if amounts.pair == "gross" else (None, pair)
    if amounts.gross is not None:
        gross = _signed(read("gross"), amounts)
    if amounts.net is not None:
        net = _signed(read("net"), amounts)
    if net is None:
        assert gross is not None
        fee = pl.lit(0, pl.Int64) if fee is None else fee
        net = gross - fee
    elif gross is None:
        fee = pl.lit(0, pl.Int64) if fee is None else fee
        gross = net + fee
    elif fee is None:
        fee = gross - net
    return [gross.alias("gross"), fee.alias("fee"), net.alias("net")]


def _signed(amount: pl.Expr, amounts: Amounts) -> pl.Expr:
    if amounts.sign is not None:
        sign = pl.col("given sign")
        is_debit, is_credit = sign.is_in(list(amounts.sign.debit)), sign.is_in(list(amounts.sign.credit))
        return pl.when(amount < 0).then(None).when(is_credit).then(amount).when(is_debit).then(-amount)
    if amounts.signs == "opposite":
        return -amount
    if amounts.signs == "by_type":
        is_negative = pl.col("line_type").is_in(_NEGATIVE_BY_TYPE)
        is_free = pl.col("line_type").is_in(("adjustment", "reserve"))
        return (
            pl.when(is_free).then(amount).when(amount < 0).then(None).when(is_negative).then(-amount).otherwise(amount)
        )
    return amount


def _refusals(
    frame: pl.DataFrame, lines: pl.DataFrame, header: Sequence[str], mapping: ColumnMapping
) -> list[pl.Series]:
    """`refusal`: what is wrong with a row, in the words of the file's columns; `source_row`: that row as received."""
    faults = list(_faults(frame, lines, header, mapping))
    said = [
        (
            pl.format(f"{_escaped(column)}: {words}", _short(column))
            if "{}" in words
            else pl.lit(f"{column}: {words}"),
            is_so,
        )
        for column, words, is_so in faults
        if is_so.any()
    ]
    nothing = pl.Series("refusal", [None], dtype=pl.String).new_from_index(0, frame.height)
    if not said:
        return [nothing, nothing.alias("source_row")]
    joined = pl.concat_str([pl.when(is_so).then(text) for text, is_so in said], separator="; ", ignore_nulls=True)
    refusal = frame.select(pl.when(joined != "").then(joined)).to_series()
    received = frame.select(pl.struct(header).struct.json_encode()).to_series()
    source_row = pl.select(pl.when(refusal.is_not_null()).then(received)).to_series()
    return [refusal.alias("refusal"), source_row.alias("source_row")]


def _faults(
    frame: pl.DataFrame, lines: pl.DataFrame, header: Sequence[str], mapping: ColumnMapping
) -> Iterator[tuple[str, str, pl.Series]]:
    """Column of the file, what is wrong with it ({}: its value), and in which rows."""
    for column in mapping.line_id.columns[:1]:
        yield name_of(header, column), "blank", frame[name_of(header, column)].is_null()
    for field, words in (("line_type", mapping.line_type), ("status", mapping.status)):
        if words is not None and words.column is not None:
            column = name_of(header, words.column)
            is_wrong = lines[field].is_null()
            yield column, "blank", is_wrong & frame[column].is_null()
            missing = f"'{{}}' is not known; name it under {field} of the profile's mapping"
            yield column, missing, is_wrong & frame[column].is_not_null()
    is_known = lines["currency"].is_in(list(vocabulary.currencies())).fill_null(False)
    if mapping.currency.columns:
        column = name_of(header, mapping.currency.columns[0])
        yield column, "blank", lines["currency"].is_null()
        yield column, "'{}' is not an ISO 4217 currency", lines["currency"].is_not_null() & ~is_known
    yield from _amount_faults(lines, header, mapping, is_known)
    for place in mapping.settled_at.column:
        yield name_of(header, place), "blank", frame[name_of(header, place)].is_null()
    column = name_of(header, mapping.settled_at.column[0])
    whole = frame.select(_date_text(header, mapping)).to_series()
    zone = "" if mapping.settled_at.timezone == "UTC" else f" on the clock of {mapping.settled_at.timezone}"
    like = (
        "an ISO 8601 date" if mapping.settled_at.format == "iso" else f"a date of the form {mapping.settled_at.format}"
    )
    yield column, f"'{{}}' is not {like}{zone}", whole.is_not_null() & lines["settled_at"].is_null()


def _amount_faults(
    lines: pl.DataFrame, header: Sequence[str], mapping: ColumnMapping, is_known: pl.Series
) -> Iterator[tuple[str, str, pl.Series]]:
    amounts = mapping.amounts
    for key, place in _amount_columns(amounts):
        given, column = lines[f"given {key}"], name_of(header, place)
        if key == "sign":
            assert amounts.sign is not None
            words = [*amounts.sign.debit, *amounts.sign.credit]
            yield column, "blank", given.is_null()
            yield column, "'{}' is neither a word for debit nor for credit", ~given.is_in(words).fill_null(True)
            continue
        amount = lines.select(table_values.minor_units(pl.col(f"given {key}"), mapping, pl.col("currency"))).to_series()
        yield column, f"'{{}}' {_AMOUNT_FAULT}", given.is_not_null() & amount.is_null() & is_known
        if key in ("gross", "net"):
            yield column, "blank", given.is_null()
            if amounts.sign is not None or amounts.signs == "by_type":
                is_free = lines["line_type"].is_in(["adjustment", "reserve"]).fill_null(False)
                is_signed = (amount < 0).fill_null(False) & (~is_free if amounts.sign is None else True)
                yield column, "'{}' has a sign of its own, where the mapping takes it from another column", is_signed
        if key in ("debit", "credit") and amounts.debit_sign != "signed":
            is_negative = key == "debit" and amounts.debit_sign == "negative"
            is_wrong = (amount > 0 if is_negative else amount < 0).fill_null(False)
            yield column, "'{}' has another sign than the mapping says (debit_sign)", is_wrong
    if amounts.debit is not None:
        debit, credit = lines["given debit"], lines["given credit"]
        named = f"{name_of(header, amounts.debit)} and {name_of(header, amounts.credit or 1)}"
        yield named, "both blank", debit.is_null() & credit.is_null()


def _escaped(column: str) -> str:
    return column.replace("{", "(").replace("}", ")")


def _short(column: str) -> pl.Expr:
    """A value as messages show it: its first 60 characters, none of which controls a terminal."""
    text = pl.col(column).str.replace_all(row_rules.CONTROL, "\ufffd")
    return pl.when(text.str.len_chars() <= _SHOWN).then(text).otherwise(text.str.head(_SHOWN) + "…")
