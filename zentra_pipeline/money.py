"""Exact money: decimal text to minor units and back, one value at a time or a column; no floats anywhere.

Does not belong here: which exponent a currency has (the vocabulary says), arithmetic of runs (SQL does it).
"""

import re

import polars as pl

from zentra_pipeline import vocabulary

MAX_MINOR = 2**63 - 1

_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_SAFE_DIGITS = 18


def minor_units(text: str, exponent: int) -> int:
    """The minor units of a decimal such as `-12.50`; ValueError when that is no whole 64-bit number.

    Nor may it have more decimals than the currency, zeros or not: `1,000` of a report is not 1.00.
    """
    found = _DECIMAL.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a decimal number")
    sign, whole, fraction = found.group(1), found.group(2), found.group(3) or ""
    digits = (whole + fraction.ljust(exponent, "0")).lstrip("0") or "0"
    if len(fraction) > exponent and digits != "0":
        raise ValueError(f"{text!r} has more than {exponent} decimals")
    if len(digits) > len(str(MAX_MINOR)) or int(digits) > MAX_MINOR:
        raise ValueError(f"{text!r} is beyond 64 bits of minor units")
    return -int(digits) if sign else int(digits)


def rescaled(minor: int, from_exponent: int, to_exponent: int) -> int:
    """The same amount counted in another minor unit; ValueError when it is no whole number of them."""
    scale: int = 10 ** abs(to_exponent - from_exponent)
    if to_exponent >= from_exponent:
        return minor * scale
    if minor % scale:
        raise ValueError(f"{minor} with {from_exponent} decimals is not exact with {to_exponent}")
    return minor // scale


def decimal_text(minor: int, exponent: int) -> str:
    """Minor units as a plain decimal that `minor_units` reads back: `-1250.00`."""
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    whole, fraction = digits[: len(digits) - exponent], digits[len(digits) - exponent :]
    return f"{'-' if minor < 0 else ''}{whole}{'.' if exponent else ''}{fraction}"


def amount_text(minor: int, currency: str) -> str:
    """An amount as text, thousands apart by a comma: `-1,250.00 USD`."""
    whole, point, fraction = decimal_text(minor, vocabulary.exponent(currency)).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{fraction} {currency}"


def minor_units_column(decimal: pl.Expr, exponent: pl.Expr) -> pl.Expr:
    """`minor_units` of a text column, as integer text; null where it would raise, or beyond 18 digits."""
    point = decimal.str.find(".", literal=True).cast(pl.Int64)
    decimals = (decimal.str.len_bytes().cast(pl.Int64) - point - 1).fill_null(0)
    digits = decimal.str.replace(".", "", literal=True).cast(pl.Int64, strict=False)
    shift = exponent - decimals
    scale = pl.lit(10, dtype=pl.Int64).pow(shift.abs().clip(0, _SAFE_DIGITS).cast(pl.UInt32))
    is_well_formed = decimal.str.contains(r"\A-?[0-9]+(\.[0-9]+)?\z")
    is_safe = (decimal.str.len_bytes() + shift.clip(0) <= _SAFE_DIGITS) & (shift.abs() <= _SAFE_DIGITS)
    is_exact = (shift >= 0) | (digits == 0)
    minor = pl.when(shift >= 0).then(digits * scale).otherwise(digits // scale)
    return pl.when(is_well_formed & is_safe & is_exact).then(minor).cast(pl.String)


def minor_units_column_as_written(decimal: pl.Expr, written: pl.Expr, standard: pl.Expr) -> pl.Expr:
    """Minor units of ISO 4217 (`standard`), as integer text, of decimals that may have more digits (`written`).

    Null where the amount is no whole number of them: `100.00` ISK is 100, `100.50` is none.
    """
    amount = minor_units_column(decimal, written).cast(pl.Int64)
    scale = pl.lit(10, dtype=pl.Int64).pow((written - standard).cast(pl.UInt32))
    return pl.when(amount % scale == 0).then(amount // scale).cast(pl.String)


def amount_text_column(minor: pl.Expr, currency: pl.Expr) -> pl.Expr:
    """`amount_text` of an integer column beside its currency column; null where either is null."""
    exponent = currency.replace_strict(vocabulary.currencies(), return_dtype=pl.Int64)
    text = minor.cast(pl.String)
    digits = text.str.strip_prefix("-").str.zfill(exponent + 1)
    whole_length = digits.str.len_bytes().cast(pl.Int64) - exponent
    whole = digits.str.slice(0, whole_length.cast(pl.UInt64))
    grouped = whole.str.reverse().str.replace_all(r"([0-9]{3})", "$1,").str.reverse().str.strip_chars_start(",")
    fraction = pl.when(exponent > 0).then(pl.lit(".") + digits.str.slice(whole_length)).otherwise(pl.lit(""))
    sign = pl.when(minor < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return sign + grouped + fraction + pl.lit(" ") + currency
