"""Which values the gate accepts, and with which type."""

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline.contracts import CONTRACTS, contract_of
from zentra_pipeline.contracts.contract import Contract, FieldType
from zentra_pipeline.contracts.gate import GateResult, assert_staged, validate
from zentra_pipeline.contracts.schemas import received, staged
from zentra_pipeline.errors import UsageError, ZentraError

SETTLEMENT = contract_of("settlement")
GOOD = {
    "line_id": "L1",
    "line_type": "payment",
    "gross_minor": "1",
    "fee_minor": "0",
    "net_minor": "1",
    "currency": "USD",
    "settled_at": "2026-04-26T00:00:00Z",
}


def frame(contract: Contract, *rows: dict[str, str | None]) -> pl.DataFrame:
    text = dict.fromkeys((*contract.columns, "raw", "refusal", "source_row"), pl.String)
    return pl.DataFrame(list(rows), schema=text).with_columns(row_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


def verdict(**changed: str | None) -> GateResult:
    return validate(SETTLEMENT, frame(SETTLEMENT, GOOD | changed))


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-0", 0), ("-1", -1), ("007", 7), ("999999999999999", 10**15 - 1), ("0" * 40 + "1", 1)],
)
def test_an_integer_is_digits_with_an_optional_minus(text: str, value: int) -> None:
    assert verdict(gross_minor=text).accepted["gross_minor"].to_list() == [value]


@pytest.mark.parametrize(
    "text",
    [
        " 12",
        "12 ",
        "+5",
        "1_000",
        "12.0",
        "1e3",
        "1000000000000000",
        "-1000000000000000",
        "--1",
        "-",
        "0x1",
        "١",
        "1\n",
        "12\x00",
        "1,000",
        "NaN",
        "true",
    ],
)
def test_anything_else_is_no_integer(text: str) -> None:
    refused = verdict(gross_minor=text).refused
    (reason,) = refused["reason"]
    assert reason.startswith(f"gross_minor: {text!r} is not an integer below 10^15")


def test_what_the_customer_paid_needs_its_currency_and_a_currency_its_amount() -> None:
    both = verdict(presentment_minor="10000", presentment_currency="EUR")
    assert both.accepted.select("presentment_minor", "presentment_currency").row(0) == (10000, "EUR")
    alone = verdict(presentment_minor="10000").refused["reason"].to_list()
    assert alone == ["presentment_minor: '10000' has no presentment_currency beside it"]
    alone = verdict(presentment_currency="EUR").refused["reason"].to_list()
    assert alone == ["presentment_currency: 'EUR' has no presentment_minor beside it"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-04-26T10:11:12Z", datetime(2026, 4, 26, 10, 11, 12)),
        ("2024-02-29T00:00:00.1Z", datetime(2024, 2, 29, 0, 0, 0, 100_000)),
        ("2026-12-31T23:59:59.999999000Z", datetime(2026, 12, 31, 23, 59, 59, 999_999)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1)),
    ],
)
def test_an_instant_is_utc_to_the_microsecond(text: str, value: datetime) -> None:
    assert verdict(settled_at=text).accepted["settled_at"].to_list() == [value]


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-04-26T24:00:00Z",
        "2026-04-26T23:59:60Z",
        "2026-04-26T00:00:00",
        "2026-04-26T00:00:00+00:00",
        "2026-04-26 00:00:00Z",
        "2026-04-26T00:00:00.Z",
        "2026-04-26T00:00:00.1234567890Z",
        "2026-04-26T00:00:00.1234567Z",
        "2026-4-26T00:00:00Z",
        "2026-04-26T00:00Z",
        "2026-04-26",
        "0000-01-01T00:00:00Z",
        "2026-04-26t00:00:00z",
        "2026-04-26T00:00:00Z ",
        "20260426T000000Z",
        "1777161600",
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    assert "is not an instant" in verdict(settled_at=text).refused["reason"][0]


_MOMENTS = st.tuples(
    st.one_of(st.integers(0, 9999), st.sampled_from([0, 4, 100, 400, 1900, 2000, 2024, 2100])),
    st.integers(0, 13),
    st.one_of(st.integers(0, 32), st.sampled_from([28, 29, 30, 31])),
    *(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)),
)


def moment_of(*parts: int) -> datetime | None:
    """The moment that these are, where the calendar has it."""
    try:
        return datetime(*parts)
    except ValueError:
        return None


@settings(max_examples=10, deadline=None)
@given(st.lists(_MOMENTS, min_size=30, max_size=30))
def test_an_instant_is_one_exactly_when_the_calendar_has_it(moments: list[tuple[int, ...]]) -> None:
    texts = ["{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*parts) for parts in moments]
    expected = [moment for parts in moments if (moment := moment_of(*parts)) is not None]
    rows = [GOOD | {"line_id": f"L{number}", "settled_at": text} for number, text in enumerate(texts)]
    assert validate(SETTLEMENT, frame(SETTLEMENT, *rows)).accepted["settled_at"].to_list() == expected


def test_text_may_have_4096_characters_of_any_width() -> None:
    assert verdict(provider_reference="𝔘" * 4096).accepted.height == 1
    refused = verdict(provider_reference="x" * 4097).refused
    assert refused["reason"][0].endswith("is longer than 4,096 characters")


def test_a_space_within_text_stays() -> None:
    assert verdict(provider_reference="a  b").accepted["provider_reference"].to_list() == ["a  b"]


@pytest.mark.parametrize("status", [None, "settled"])
def test_a_line_without_status_is_settled(status: str | None) -> None:
    assert verdict(status=status).accepted["status"].to_list() == ["settled"]


@pytest.mark.parametrize(
    ("column", "value"), [("line_type", "Payment"), ("currency", "usd"), ("currency", "XAU"), ("status", "ok")]
)
def test_a_word_outside_the_vocabulary_is_refused(column: str, value: str) -> None:
    assert f"{column}: {value!r} is not" in verdict(**{column: value}).refused["reason"][0]


def test_a_refusal_of_the_reader_is_kept_with_the_row_as_received() -> None:
    refused = verdict(refusal="gross_minor: JSON true is not an integer", source_row="{…}", line_id=None).refused
    assert refused.rows() == [(1, "gross_minor: JSON true is not an integer", "{…}")]


def test_rows_keep_their_order_and_numbers() -> None:
    rows = [GOOD | {"line_id": f"L{i}", "gross_minor": "x" if i % 3 == 0 else "1"} for i in range(9)]
    judged = validate(SETTLEMENT, frame(SETTLEMENT, *rows))
    assert judged.accepted["row_number"].to_list() == [2, 3, 5, 6, 8, 9]
    assert judged.refused["row_number"].to_list() == [1, 4, 7]


@pytest.mark.parametrize("kind", CONTRACTS)
def test_an_empty_frame_passes_with_the_staged_types(kind: str) -> None:
    contract = contract_of(kind)
    accepted = validate(contract, frame(contract)).accepted
    assert accepted.height == 0
    assert {name: contract.staged_types()[name] for name in contract.columns} == dict(
        accepted.select(contract.columns).schema
    )


@pytest.mark.parametrize("kind", CONTRACTS)
def test_both_schemas_of_a_contract_name_its_columns(kind: str) -> None:
    contract = contract_of(kind)
    assert tuple(received(contract).columns) == contract.columns
    assert tuple(staged(contract).columns) == contract.staged_columns


@pytest.mark.parametrize("kind", CONTRACTS)
def test_ids_amounts_currencies_and_instants_may_not_be_blank(kind: str) -> None:
    for field in contract_of(kind).fields:
        if field.is_required and (field.type is not FieldType.TEXT or field.vocabulary):
            assert not field.may_be_blank, field.name
    assert all(not field.may_be_blank for field in contract_of(kind).fields if field.name in contract_of(kind).key)


def test_a_typed_column_is_judged_by_its_values() -> None:
    rows = frame(SETTLEMENT, GOOD, GOOD, GOOD).with_columns(
        gross_minor=pl.Series([5, None, 10**15], dtype=pl.Int64),
        settled_at=pl.Series([datetime(2026, 4, 26)] * 3, dtype=pl.Datetime("us")),
    )
    judged = validate(SETTLEMENT, rows)
    assert judged.accepted["gross_minor"].to_list() == [5]
    assert judged.refused["reason"].to_list() == [
        "gross_minor: blank",
        "gross_minor: '1000000000000000' is not an integer below 10^15",
    ]


def test_the_guard_stops_rows_that_break_their_own_contract() -> None:
    with pytest.raises(ZentraError, match="break their own contract"):
        assert_staged(SETTLEMENT, pl.DataFrame(schema=SETTLEMENT.staged_types()).drop("currency"))


def test_an_unknown_kind_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'bank' is not known"):
        contract_of("bank")


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("line_id", "L\x001", "line_id: 'L\\x001' has a control character (U+0000) at character 2"),
        (
            "provider_reference",
            "a\u2028b",
            "provider_reference: 'a\\u2028b' has a control character (U+2028) at character 2",
        ),
        ("batch_id", "\x1a", "batch_id: '\\x1a' has a control character (U+001A) at character 1"),
        ("line_id", "L1 ", "line_id: 'L1 ' begins or ends with white space"),
        ("line_id", "L1#fee", "line_id: 'L1#fee' ends with #fee, as only Zentra's own ids do"),
        (
            "merchant_reference",
            "\ufeffo",
            "merchant_reference: '\\ufeffo' begins or ends with white space",
        ),
        ("line_id", " ", "line_id: blank (it holds only U+0020)"),
        ("line_id", "\xa0\u200b", "line_id: blank (it holds only U+00A0, U+200B)"),
        ("currency", "usd", "currency: 'usd' is not a known currency: write USD"),
        (
            "gross_minor",
            "10.00",
            "gross_minor: '10.00' is not an integer below 10^15: "
            "this column counts minor units, so 10.00 of a currency with two decimals is 1000",
        ),
        (
            "settled_at",
            "2026-04-26T00:00:00.1234567Z",
            "settled_at: '2026-04-26T00:00:00.1234567Z' "
            "is not an instant of the form YYYY-MM-DDTHH:MM:SS[.ffffff]Z: "
            "its fraction goes beyond the microsecond and would be cut",
        ),
    ],
)
def test_a_reason_says_what_was_seen_and_where(field: str, text: str, reason: str) -> None:
    """Two ids that look alike were two rows; an id of nothing that shows was one; a fraction was cut without a word."""
    assert verdict(**{field: text}).refused["reason"].to_list() == [reason]


@pytest.mark.parametrize("text", ["a b", "é", "e\u0301", "名前", "a\u200bb", "'", "=1+1", "-"])
def test_text_that_shows_is_kept_code_point_by_code_point(text: str) -> None:
    assert verdict(provider_reference=text).accepted["provider_reference"].to_list() == [text]
