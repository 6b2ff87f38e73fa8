"""What must hold of a contract's columns, as read and as staged, as polars expressions; deciding is for the gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

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
_DATE = rf"(?:[0-9]{{4}}-{_DAY_OF_YEAR}|{_LEAP_YEAR}-02-29)"
DAY = rf"\A{_DATE}\z"
INSTANT = (
    rf"\A{_DATE}"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6}0{0,3})?Z\z"
)
CONTROL = r"[\x00-\x1f\x7f-\x9f\x{2028}\x{2029}]"
# White space, and characters that show nothing.
BLANK = "[\\s\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]"
NO_INTEGER = "is not an integer below 10^15"
UNKNOWN_CURRENCY = "is not a known currency"
HAS_CONTROL = "has a control character"
HAS_BLANK_EDGE = "begins or ends with white space"


@dataclass(frozen=True)
class Rule:
    """What must hold of a column's values that are not blank, what to say of one otherwise, and the words allowed."""

    holds: pl.Expr
    otherwise: str
    words: tuple[str, ...] | None = None


@cache
def received_whole(
    contract: Contract, typed: frozenset[str] = frozenset(), plain: frozenset[str] = frozenset()
) -> tuple[pl.Expr, ...]:
    """The rules of rows as read in one query, true throughout when no row breaks any.

    `plain` names text columns of nothing but ASCII that shows: what holds of every character there is not asked.
    Pandera asks some fifty queries of a frame to find nothing; this one spares them where there is nothing to name.
    """
    rules = [
        rule
        for field in contract.fields
        for rule in rules_of(field, is_typed=field.name in typed)
        if not (field.name in plain and rule.otherwise in (HAS_CONTROL, HAS_BLANK_EDGE))
    ]
    return _throughout([field.name for field in contract.fields if not field.may_be_blank], rules)


@cache
def staged_whole(contract: Contract) -> tuple[pl.Expr, ...]:
    """The rules of rows as staged in one query, as `received_whole` does it."""
    rules = [rule for field in contract.fields if field.type is not FieldType.TEXT for rule in typed_rules(field)]
    return _throughout([name for name in contract.staged_columns if not may_be_null(contract, name)], rules)


def _throughout(filled: Sequence[str], rules: Sequence[Rule]) -> tuple[pl.Expr, ...]:
    outcomes = [*(pl.col(name).is_not_null() for name in filled), *(rule.holds for rule in rules)]
    return tuple(outcome.all().alias(str(position)) for position, outcome in enumerate(outcomes))


def may_be_null(contract: Contract, column: str) -> bool:
    """Whether a staged column may hold nulls: `raw`, and fields that may be blank and stay so."""
    fields = {field.name: field for field in contract.fields}
    if column not in fields:
        return column == "raw"
    return fields[column].may_be_blank and fields[column].when_blank is None


def rules_of(field: Field, *, is_typed: bool) -> list[Rule]:
    """The rules of a field as read: of its text, or of its staged type where the source is typed."""
    rules = typed_rules(field) if is_typed else _text_rules(field)
    if field.reserved_end is not None:
        free = ~pl.col(field.name).str.ends_with(field.reserved_end)
        rules = [*rules, Rule(free, f"ends with {field.reserved_end}, as only Zentra's own ids do")]
    if field.goes_with is None:
        return rules
    together = pl.when(pl.col(field.name).is_not_null()).then(pl.col(field.goes_with).is_not_null())
    return [*rules, Rule(together, f"has no {field.goes_with} beside it")]


def _text_rules(field: Field) -> list[Rule]:
    column = pl.col(field.name)
    if field.vocabulary:
        return [_vocabulary_rule(column, field.vocabulary)]
    if field.type is FieldType.INTEGER:
        form = column.str.contains(_INTEGER)
        rules = [Rule(form, NO_INTEGER)]
        positive = Rule(~form | column.str.contains(_POSITIVE), "is not greater than zero")
        return [*rules, positive] if field.is_positive else rules
    if field.type is FieldType.INSTANT:
        real = column.str.contains(INSTANT) & ~column.str.starts_with("0000")
        return [Rule(real, "is not an instant of the form YYYY-MM-DDTHH:MM:SS[.ffffff]Z")]
    if field.type is FieldType.DAY:
        real = column.str.contains(DAY) & ~column.str.starts_with("0000")
        return [Rule(real, "is not a day of the form YYYY-MM-DD")]
    if field.type is FieldType.BOOLEAN:
        rules = [Rule(column.is_in(["true", "false"]), "is neither true nor false")]
        return rules + [Rule(column != value, why) for value, why in _refused(field)]
    return [_length_rule(column), *_visible_rules(column)]


def _visible_rules(column: pl.Expr) -> list[Rule]:
    """No control character anywhere, nothing blank to the eye at either end: two ids that look alike are one."""
    return [
        Rule(~column.str.contains(CONTROL), HAS_CONTROL),
        Rule(~column.str.contains(rf"\A{BLANK}|{BLANK}\z"), HAS_BLANK_EDGE),
    ]


def typed_rules(field: Field) -> list[Rule]:
    """The rules of a field in its staged type."""
    column = pl.col(field.name)
    if field.type is FieldType.INTEGER:
        in_bounds = column.is_between(-INTEGER_BOUND, INTEGER_BOUND, closed="none")
        rules = [Rule(in_bounds, NO_INTEGER)]
        return [*rules, Rule(column > 0, "is not greater than zero")] if field.is_positive else rules
    if field.type is FieldType.INSTANT:
        return [Rule(column.dt.year().is_between(1, 9999), "is not an instant of the years 0001 to 9999")]
    if field.type is FieldType.DAY:
        return [Rule(column.dt.year().is_between(1, 9999), "is not a day of the years 0001 to 9999")]
    if field.type is FieldType.BOOLEAN:
        return [Rule(column != (value == "true"), why) for value, why in _refused(field)]
    return [_length_rule(column)]


def _vocabulary_rule(column: pl.Expr, name: str) -> Rule:
    words = tuple(vocabulary.currencies() if name == "currency" else vocabulary.values(name))
    otherwise = UNKNOWN_CURRENCY if name == "currency" else f"is not one of {', '.join(words)}"
    return Rule(column.is_in(words), otherwise, words)


def _length_rule(column: pl.Expr) -> Rule:
    """At most 4,096 characters; bytes are counted first because characters are never more than bytes."""
    fits = (column.str.len_bytes() <= TEXT_LIMIT) | (column.str.len_chars() <= TEXT_LIMIT)
    return Rule(fits, f"is longer than {TEXT_LIMIT:,} characters")


def _refused(field: Field) -> list[tuple[str, str]]:
    return [] if field.refused_value is None else [field.refused_value]
