"""Values of a declared table as canonical text: amounts to minor units, dates to instants. Pure polars expressions.

Does not belong here: which column holds what (tabular).
"""

import re
from typing import Final

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.contracts import row_rules
from zentra_pipeline.sources.column_mapping import ISO, UNIX, ColumnMapping, Instant

_MINUS: Final = "\\A\\x{2212}"  # the sign that some banks write for a minus
_BLANKS: Final = "[ \\x{a0}\\x{202f}]"
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_PARTS: Final = {
    "Y": ("year", "([0-9]{4})"),
    "y": ("short_year", "([0-9]{2})"),
    "m": ("month", "([0-9]{1,2})"),
    "b": ("named_month", "([A-Za-z]{3,9})\\.?"),
    "B": ("named_month", "([A-Za-z]{3,9})"),
    "d": ("day", "([0-9]{1,2})"),
    "H": ("hour", "([0-9]{1,2})"),
    "I": ("hour", "([0-9]{1,2})"),
    "M": ("minute", "([0-9]{2})"),
    "S": ("second", "([0-9]{2})"),
    "f": ("fraction", "([0-9]{1,9})"),
    "p": ("half", "([AaPp][Mm])"),
    "z": ("offset", "(Z|[+-][0-9]{2}:?[0-9]{2})"),
}
_ISO: Final = (
    r"\A([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)? ?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?\z"
)
_ISO_PARTS: Final = ("year", "month", "day", "hour", "minute", "second", "fraction", "offset")


def minor_units(text: pl.Expr, mapping: ColumnMapping, currency: pl.Expr) -> pl.Expr:
    """An amount as written → minor units; null where it is blank or not exactly an amount of its currency."""
    standard = currency.replace_strict(vocabulary.currencies(), default=None, return_dtype=pl.Int64)
    decimal = _decimal(text, mapping)
    if mapping.amounts_in == "major":
        return money.minor_units_column(decimal, standard).cast(pl.Int64)
    count = pl.when(decimal.str.contains(r"\A-?[0-9]{1,17}\z")).then(decimal.cast(pl.Int64, strict=False))
    if not mapping.exponents:
        return pl.when(standard.is_not_null()).then(count)
    given = currency.replace_strict(mapping.exponents, default=None, return_dtype=pl.Int64).fill_null(standard)
    up = pl.lit(10, dtype=pl.Int64).pow((standard - given).clip(0, 6).cast(pl.UInt32))
    down = pl.lit(10, dtype=pl.Int64).pow((given - standard).clip(0, 6).cast(pl.UInt32))
    is_exact = (count % down == 0) & (count.abs() < 10**11)
    return pl.when(is_exact | ((up == 1) & (down == 1))).then(count * up // down)


def _decimal(text: pl.Expr, mapping: ColumnMapping) -> pl.Expr:
    """An amount as a plain decimal with a point; text of another form than declared is left as it cannot be read."""
    if mapping.negative == "parentheses":
        text = text.str.replace(r"\A\(([^-()]+)\)\z", "-$1")
    elif mapping.negative == "trailing_minus":
        text = text.str.replace(r"\A([^-]+)-\z", "-$1")
    text = text.str.replace(r"\A\+", "").str.replace(_MINUS, "-")
    point = re.escape(mapping.decimal_mark)
    if mapping.thousands_mark != "none":
        mark = _BLANKS if mapping.thousands_mark == " " else re.escape(mapping.thousands_mark)
        grouped = text.str.contains(rf"\A-?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]+)?\z")
        text = pl.when(grouped).then(text.str.replace_all(mark, "")).otherwise(text)
    is_declared = text.str.contains(rf"\A-?[0-9]+(?:{point}[0-9]+)?\z")
    return pl.when(is_declared).then(text.str.replace(mapping.decimal_mark, ".", literal=True))


def instants(text: pl.Expr, rule: Instant, *, is_typed: bool) -> pl.Expr:
    """Dates as written → ISO 8601 with Z; null where it is not of the declared format, or not on that zone's clock.

    A time that a zone's clock shows twice is the first of the two. `is_typed`: the table's form has dates of its own,
    which are ISO 8601 whatever the format says.
    """
    found = _instant(text, _ISO, _ISO_PARTS, rule)
    if rule.format == UNIX:
        seconds = pl.when(text.str.contains(r"\A[0-9]{1,11}\z")).then(text.cast(pl.Int64, strict=False))
        since = pl.from_epoch(seconds, time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        found = pl.coalesce(since, found) if is_typed else since
    elif rule.format != ISO:
        pattern, parts = _compiled(rule.format)
        declared = _instant(text, pattern, parts, rule)
        found = pl.coalesce(declared, found) if is_typed else declared
    return found


def _compiled(pattern: str) -> tuple[str, tuple[str, ...]]:
    """A format of directives as an expression with a group for each."""
    parts: list[str] = []
    found = ""
    pieces = re.split(r"%(.)", pattern)
    for place, piece in enumerate(pieces):
        if place % 2:
            name, group = _PARTS[piece]
            parts.append(name)
            found += group
        else:
            found += re.escape(piece).replace(r"\/", "/")
    return rf"\A{found}\z", tuple(parts)


def _instant(text: pl.Expr, pattern: str, parts: tuple[str, ...], rule: Instant) -> pl.Expr:
    def part(name: str) -> pl.Expr | None:
        return text.str.extract(pattern, parts.index(name) + 1) if name in parts else None

    def digits(name: str, otherwise: str) -> pl.Expr:
        found = part(name)
        return pl.lit(otherwise) if found is None else found.str.zfill(2).fill_null(otherwise)

    year, short = part("year"), part("short_year")
    if year is None:
        assert short is not None
        year = pl.when(short < "70").then(pl.lit("20") + short).otherwise(pl.lit("19") + short)
    named = part("named_month")
    month = digits("month", "01") if named is None else _month(named)
    fraction = part("fraction")
    hour = _hour(digits("hour", "00"), part("half"))
    day_of_year = pl.concat_str(year, month, digits("day", "01"), separator="-")
    local = day_of_year + "T" + pl.concat_str(hour, digits("minute", "00"), digits("second", "00"), separator=":")
    micros = pl.lit("") if fraction is None else (pl.lit(".") + fraction).fill_null("")
    return _utc(local, micros, part("offset"), rule.timezone)


def _month(named: pl.Expr) -> pl.Expr:
    words = {name: f"{number:02d}" for number, name in enumerate(_MONTHS, start=1)}
    words |= {name[:3]: number for name, number in words.items()}
    words["sept"] = "09"
    return named.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.String)


def _hour(hour: pl.Expr, half: pl.Expr | None) -> pl.Expr:
    if half is None:
        return hour
    is_noon, is_late = hour == "12", half.str.to_lowercase() == "pm"
    late = pl.when(is_noon).then(pl.lit("12")).otherwise((hour.cast(pl.Int64, strict=False) + 12).cast(pl.String))
    early = pl.when(is_noon).then(pl.lit("00")).otherwise(hour)
    return pl.when((hour >= "01") & (hour <= "12")).then(pl.when(is_late).then(late).otherwise(early))


def _utc(local: pl.Expr, fraction: pl.Expr, offset: pl.Expr | None, zone: str) -> pl.Expr:
    is_real = (local + "Z").str.contains(row_rules.INSTANT)
    clock = pl.when(is_real).then(local).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    if zone == "UTC":
        there = clock
    else:
        zoned = clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        there = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if offset is not None:
        is_utc = offset.is_in(["Z", "UTC"])
        sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
        numbers = offset.str.replace_all(r"[^0-9]", "")
        hours = numbers.str.slice(0, 2).cast(pl.Int64, strict=False)
        minutes = numbers.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
        behind = pl.when(is_utc).then(0).otherwise(sign * (hours * 60 + minutes))
        given = pl.when((hours <= 15).fill_null(True)).then(clock - pl.duration(minutes=behind))
        there = pl.when(offset.is_not_null()).then(given).otherwise(there)
    return there.dt.strftime("%Y-%m-%dT%H:%M:%S") + fraction + pl.lit("Z")
