"""Money is exact in both directions, for one value and for a column alike."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentra_pipeline import money, vocabulary

INT64 = st.integers(min_value=-(2**63 - 1), max_value=2**63 - 1)
CURRENCIES = st.sampled_from(sorted(vocabulary.currencies()))
EXPONENTS = st.sampled_from([0, 2, 3, 4])
NEARLY_DECIMALS = st.one_of(
    st.text(alphabet="0123456789.-+, eE", max_size=14),
    st.from_regex(r"-?[0-9]{1,14}(\.[0-9]{1,6})?", fullmatch=True),
    st.text(max_size=8),
)


@pytest.mark.parametrize(
    ("text", "exponent", "minor"),
    [
        ("12.50", 2, 1250),
        ("-0.5", 2, -50),
        ("25", 2, 2500),
        ("25", 0, 25),
        ("0.00", 0, 0),
        ("1.234", 3, 1234),
        ("00012.34", 2, 1234),
        ("-0.00", 2, 0),
        ("92233720368547758.07", 2, 2**63 - 1),
    ],
)
def test_decimal_text_becomes_minor_units(text: str, exponent: int, minor: int) -> None:
    assert money.minor_units(text, exponent) == minor


@pytest.mark.parametrize(
    "text", ["", " 12", "12 ", "+5", "1e3", "1_000", "1,000.00", "12,5", "12.", ".5", "--5", "NaN", "٣", "1\n", "0x10"]
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal number"):
        money.minor_units(text, 2)


@pytest.mark.parametrize(("text", "exponent"), [("12.345", 2), ("0.5", 0), ("0.00001", 4), ("1.000", 2), ("25.00", 0)])
def test_an_amount_with_more_decimals_than_its_currency_is_refused(text: str, exponent: int) -> None:
    with pytest.raises(ValueError, match="decimals"):
        money.minor_units(text, exponent)


@pytest.mark.parametrize("text", ["92233720368547758.08", "9" * 10_000])
def test_an_amount_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        money.minor_units(text, 2)


@given(INT64, EXPONENTS)
def test_decimal_text_reads_back_exactly(minor: int, exponent: int) -> None:
    assert money.minor_units(money.decimal_text(minor, exponent), exponent) == minor


@given(INT64, CURRENCIES)
def test_amount_text_reads_back_exactly(minor: int, currency: str) -> None:
    number, _, shown = money.amount_text(minor, currency).rpartition(" ")
    assert shown == currency
    assert money.minor_units(number.replace(",", ""), vocabulary.exponent(currency)) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (125_000, "USD", "1,250.00 USD"),
        (-125_000, "USD", "-1,250.00 USD"),
        (-5, "USD", "-0.05 USD"),
        (0, "JPY", "0 JPY"),
        (1_234_567, "JPY", "1,234,567 JPY"),
        (5, "KWD", "0.005 KWD"),
        (-(2**63), "USD", "-92,233,720,368,547,758.08 USD"),
    ],
)
def test_amounts_are_written_with_marks_and_currency(minor: int, currency: str, text: str) -> None:
    assert money.amount_text(minor, currency) == text


@given(st.lists(st.tuples(INT64, CURRENCIES), min_size=1, max_size=20))
def test_a_column_of_amounts_reads_like_each_of_them(rows: list[tuple[int, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"minor": pl.Int64, "currency": pl.String}, orient="row")
    shown = frame.select(money.amount_text_column(pl.col("minor"), pl.col("currency"))).to_series().to_list()
    assert shown == [money.amount_text(minor, currency) for minor, currency in rows]


@given(st.lists(st.tuples(NEARLY_DECIMALS, EXPONENTS), min_size=1, max_size=20))
def test_a_column_of_texts_converts_like_each_of_them(rows: list[tuple[str, int]]) -> None:
    frame = pl.DataFrame(rows, schema={"text": pl.String, "exponent": pl.Int64}, orient="row")
    found = frame.select(money.minor_units_column(pl.col("text"), pl.col("exponent"))).to_series().to_list()
    for (text, exponent), minor in zip(rows, found, strict=True):
        try:
            expected = str(money.minor_units(text, exponent))
        except ValueError:
            expected = None
        assert minor == expected or (minor is None and len(text) + exponent > 18)


def test_a_missing_text_has_no_minor_units() -> None:
    frame = pl.DataFrame({"text": [None, "1"], "exponent": [2, None]}, schema={"text": pl.String, "exponent": pl.Int64})
    found = frame.select(money.minor_units_column(pl.col("text"), pl.col("exponent"))).to_series().to_list()
    assert found == [None, None]


@pytest.mark.parametrize(
    ("minor", "from_exponent", "to_exponent", "expected"),
    [(500, 2, 0, 5), (5, 0, 2, 500), (-500, 2, 0, -5), (7, 3, 3, 7), (0, 2, 0, 0)],
)
def test_an_amount_moves_to_another_minor_unit(minor: int, from_exponent: int, to_exponent: int, expected: int) -> None:
    assert money.rescaled(minor, from_exponent, to_exponent) == expected


@pytest.mark.parametrize("minor", [501, -501, 99])
def test_an_amount_that_does_not_divide_is_refused_not_rounded(minor: int) -> None:
    with pytest.raises(ValueError, match="not exact"):
        money.rescaled(minor, 2, 0)
