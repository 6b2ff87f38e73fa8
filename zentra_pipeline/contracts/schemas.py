"""Pandera schemas built from a contract: rows as read, rows as staged. Deciding about rows does not belong here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import polars as pl

from zentra_pipeline.contracts.contract import Contract, FieldType
from zentra_pipeline.contracts.row_rules import Rule, may_be_null, rules_of, typed_rules


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Have a module that nobody has imported yet look as if it were not installed."""
    if module in sys.modules:
        yield
        return
    modules = cast(dict[str, Any], sys.modules)
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]


# Where pyspark is installed (ADR 0078) Pandera imports all of it, which takes a tenth of a second and changes pandas;
# nobody else imports Pandera.
with _without("pyspark"):
    import pandera.polars as pa
    from pandera import errors
    from pandera.api.polars.types import PolarsData

# What a frame that breaks rules raises, with every place.
BrokenRulesError = errors.SchemaErrors


@cache
def received(contract: Contract, typed: frozenset[str] = frozenset()) -> pa.DataFrameSchema:
    """The gate for rows as read: every field is text, except those in `typed`, which the source holds as staged."""
    columns = {
        field.name: pa.Column(
            field.type.staged if field.name in typed else pl.String(),
            nullable=field.may_be_blank,
            checks=[_check(rule) for rule in rules_of(field, is_typed=field.name in typed)],
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
    converted = {field.name for field in contract.fields if field.type is not FieldType.TEXT}
    columns = {
        name: pa.Column(
            dtype,
            nullable=may_be_null(contract, name),
            checks=[_check(rule) for rule in typed_rules(fields[name])] if name in converted else None,
        )
        for name, dtype in contract.staged_types().items()
    }
    return pa.DataFrameSchema(columns, strict=True, ordered=True, name=contract.table)


def _check(rule: Rule) -> pa.Check:
    if rule.words is not None:
        return pa.Check.isin(list(rule.words), error=rule.otherwise)

    def select(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(rule.holds)

    return pa.Check(select, name=rule.otherwise, error=rule.otherwise)
