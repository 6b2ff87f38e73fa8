"""Pandera schemas built from a contract: one for rows as read, one for rows as staged; deciding about rows is the gate's."""

from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from zentra_pipeline import vocabulary
from zentra_pipeline.contracts.contract import TEXT_LIMIT, Contract, Field, FieldType

INTEGER_BOUND = 10**15
_INTEGER = r"\A-?0*[0-9]{1,15}\z"
_POSITIVE = r"\A0*[1-9][0-9]*\z"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY_OF_YEAR = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_INSTANT = (
    rf"\A(?:[0-9]{{4}}-{_DAY_OF_YEAR}|{_LEAP_YEAR}-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z\z"
)


@cache
def received(contract: Contract, typed: frozenset[str] = frozenset()) -> pa.DataFrameSchema:
    """The gate for rows as read: every field is text, except those in `typed`, which the source holds as staged."""
    columns = {
        field.name: pa.Column(
            field.type.staged if field.name in typed else pl.String(),
            nullable=field.may_be_blank,
            checks=_typed_checks(field) if field.name in typed else _text_checks(field),
        )
        for field in contract.fields
    }
    return pa.DataFrameSchema(columns, name=f"{contract.table} as received")


@cache
def staged(contract: Contract) -> pa.DataFrameSchema:
    """The guard of what is written: the staged columns and nothing else, in order, typed, values in their range.

    Text is the only type that passes the gate unconverted; its values are not judged twice.
    """
    fields = {field.name: field for field in contract.fields}
    columns = {
        name: pa.Column(
            dtype,
            nullable=name == "raw" or (name in fields and fields[name].may_be_blank and not fields[name].when_blank),
            checks=_typed_checks(fields[name]) if name in fields and fields[name].type is not FieldType.TEXT else None,
        )
        for name, dtype in contract.staged_types().items()
    }
    return pa.DataFrameSchema(columns, strict=True, ordered=True, name=contract.table)


def _text_checks(field: Field) -> list[pa.Check]:
    if field.vocabulary:
        return [_vocabulary_check(field.vocabulary)]
    if field.type is FieldType.INTEGER:
        form = pl.col(field.name).str.contains(_INTEGER)
        checks = [_check(form, "is not an integer below 10^15")]
        if field.is_positive:
            checks.append(_check(~form | pl.col(field.name).str.contains(_POSITIVE), "is not greater than zero"))
        return checks
    if field.type is FieldType.INSTANT:
        return [_check(_is_instant(pl.col(field.name)), "is not an instant of the form YYYY-MM-DDTHH:MM:SS[.ffffff]Z")]
    if field.type is FieldType.BOOLEAN:
        return [_check(pl.col(field.name).is_in(["true", "false"]), "is neither true nor false"), *_refused_text(field)]
    return [_length_check(field)]


def _typed_checks(field: Field) -> list[pa.Check]:
    column = pl.col(field.name)
    if field.vocabulary:
        return [_vocabulary_check(field.vocabulary)]
    if field.type is FieldType.INTEGER:
        in_bounds = column.is_between(-INTEGER_BOUND, INTEGER_BOUND, closed="none")
        checks = [_check(in_bounds, "is not an integer below 10^15")]
        return checks + ([_check(column > 0, "is not greater than zero")] if field.is_positive else [])
    if field.type is FieldType.INSTANT:
        return [_check(column.dt.year().is_between(1, 9999), "is not an instant of the years 0001 to 9999")]
    if field.type is FieldType.BOOLEAN:
        return _refused_boolean(field)
    return [_length_check(field)]


def _is_instant(column: pl.Expr) -> pl.Expr:
    """True where the text has the strict form and names a real day of the Gregorian calendar and time of day."""
    return column.str.contains(_INSTANT) & ~column.str.starts_with("0000")


def _vocabulary_check(name: str) -> pa.Check:
    words = list(vocabulary.currencies() if name == "currency" else vocabulary.values(name))
    what = "is not a known currency" if name == "currency" else f"is not one of {', '.join(words)}"
    return pa.Check.isin(words, error=what)


def _length_check(field: Field) -> pa.Check:
    """At most 4,096 characters; bytes are counted first because characters are never more than bytes."""
    column = pl.col(field.name)
    fits = (column.str.len_bytes() <= TEXT_LIMIT) | (column.str.len_chars() <= TEXT_LIMIT)
    return _check(fits, f"is longer than {TEXT_LIMIT:,} characters")


def _refused_text(field: Field) -> list[pa.Check]:
    if field.refused_value is None:
        return []
    value, why = field.refused_value
    return [_check(pl.col(field.name) != value, why)]


def _refused_boolean(field: Field) -> list[pa.Check]:
    if field.refused_value is None:
        return []
    value, why = field.refused_value
    return [_check(pl.col(field.name) != (value == "true"), why)]


def _check(holds: pl.Expr, otherwise: str) -> pa.Check:
    def select(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(holds)

    return pa.Check(select, name=otherwise, error=otherwise)
