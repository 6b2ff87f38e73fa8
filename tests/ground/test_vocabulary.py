"""The seeds hold together and mean what the contract says; the vocabularies themselves are data, not repeated here."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import yaml

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import DBT_PROJECT

ANY_DAY = date(2026, 4, 26)
SEEDS = DBT_PROJECT / "seeds"


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [
        *(("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("ISK", 0), ("UGX", 0), ("PYG", 0), ("XOF", 0)),
        *(("BHD", 3), ("IQD", 3), ("JOD", 3), ("KWD", 3), ("LYD", 3), ("OMR", 3), ("TND", 3)),
        *(("CLF", 4), ("UYW", 4), ("UYI", 0), ("MGA", 2), ("MRU", 2), ("HUF", 2), ("IDR", 2), ("CVE", 2), ("XCG", 2)),
        *(("HRK", 2), ("DEM", 2), ("ITL", 0), ("BEF", 0), ("TRL", 0)),
    ],
)
def test_exponents_are_those_of_iso_4217(currency: str, exponent: int) -> None:
    assert vocabulary.exponent(currency) == exponent


@pytest.mark.parametrize("code", ["XAU", "XAG", "XDR", "XTS", "XXX"])
def test_codes_without_a_minor_unit_are_no_currencies(code: str) -> None:
    assert code not in vocabulary.currencies()


def test_every_currency_is_three_capitals_with_a_sane_exponent() -> None:
    currencies = vocabulary.currencies()
    assert len(currencies) > 190
    assert all(re.fullmatch("[A-Z]{3}", currency) for currency in currencies)
    assert set(currencies.values()) == {0, 2, 3, 4}


def test_a_caller_cannot_change_the_currencies_of_others() -> None:
    vocabulary.currencies()["USD"] = 7
    assert vocabulary.exponent("USD") == 2


@pytest.mark.parametrize(
    ("provider_format", "surface", "currency", "exponent"),
    [
        ("stripe", "api", "MGA", 0),
        ("stripe", "api", "ISK", 2),
        ("stripe", "api", "UGX", 2),
        ("stripe", "api", "JPY", 0),
        ("stripe", "report", "ISK", 0),
        ("adyen", "api", "CLP", 2),
        ("adyen", "api", "CVE", 0),
        ("adyen", "api", "IDR", 0),
        ("adyen", "api", "ISK", 2),
        ("checkout", "api", "ISK", 0),
        ("checkout", "api", "CLP", 2),
        ("paypal", "report", "JPY", 2),
        ("paypal", "report", "KWD", 2),
        ("canonical", "api", "KWD", 3),
    ],
)
def test_a_provider_counts_in_its_own_exponent_where_it_deviates(
    provider_format: str, surface: str, currency: str, exponent: int
) -> None:
    assert vocabulary.provider_exponent(provider_format, surface, currency, ANY_DAY) == exponent


def test_every_exception_type_says_what_to_do_in_one_sentence() -> None:
    for row in vocabulary.exception_types():
        assert row.title
        assert row.remedy.endswith(".")
        assert ". " not in row.remedy
        assert 1 <= row.sla_business_days <= 10
        assert row.subject_type in ("settlement_line", "ledger_transaction", "callback", "statement")


def test_only_a_late_callback_does_not_block_a_close() -> None:
    assert [row.exception_type for row in vocabulary.exception_types() if not row.is_blocking] == ["late_callback"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "line_type",
            "payment refund chargeback chargeback_reversal fee adjustment reserve payout",
        ),
        ("settlement_status", "settled failed returned"),
        ("movement_type", "transfer payment card refund chargeback fee payout adjustment"),
        ("direction", "debit credit"),
        ("callback_status", "pending succeeded failed reversed disputed"),
        ("callback_movement_type", "payment refund chargeback chargeback_reversal"),
        ("stage", "accepted controlled ledgered routed synchronized evidenced"),
        (
            "rule",
            "exact_reference normalized_reference internal_reference callback_bridge batch_total amount_date manual "
            "bank_trace bank_text bank_group bank_sum",
        ),
        ("closeout_status", "open blocked prepared sealed amended"),
        ("role", "service operator approver analyst admin"),
    ],
)
def test_vocabularies_are_the_contracts(name: str, values: str) -> None:
    assert vocabulary.values(name) == tuple(values.split())


def test_every_stripe_category_becomes_a_line_type() -> None:
    line_types = vocabulary.stripe_line_types()
    assert len(line_types) >= 50
    assert set(line_types.values()) == set(vocabulary.values("line_type"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: vocabulary.values("mood"),
        lambda: vocabulary.exponent("XXX"),
        lambda: vocabulary.provider_exponent("stripe", "api", "usd", ANY_DAY),
        lambda: vocabulary.exception_type("other"),
    ],
)
def test_a_word_that_is_in_no_seed_raises(ask: Callable[[], object]) -> None:
    with pytest.raises(ZentraError, match="unknown"):
        ask()


def described_seeds() -> dict[str, Any]:
    return {seed["name"]: seed for seed in yaml.safe_load((SEEDS / "_seeds.yml").read_text(encoding="utf-8"))["seeds"]}


def test_every_seed_is_described_and_every_description_has_a_seed() -> None:
    assert set(described_seeds()) == {path.stem for path in SEEDS.glob("*.csv")}


def test_an_item_is_unmatched_for_the_first_reason_of_contract_10_6_and_one_of_them_is_firm() -> None:
    rows = vocabulary.exception_types()
    order = {row.exception_type: row.unmatched_reason_order for row in rows if row.unmatched_reason_order is not None}
    assert sorted(order.items(), key=lambda item: (item[1], item[0])) == [
        ("failed_settlement", 1),
        ("duplicate_bank_line", 2),
        ("duplicate_ledger_posting", 2),
        ("duplicate_settlement_line", 2),
        ("bank_currency_mismatch", 3),
        ("currency_mismatch", 3),
        ("ambiguous_match", 4),
        ("missing_bank_credit", 5),
        ("unexpected_bank_credit", 5),
        ("unmatched_ledger_entry", 5),
        ("unmatched_provider_row", 5),
    ]
    assert order.keys() == vocabulary.unmatched_reasons()
    assert [row.exception_type for row in rows if row.is_firm_reason] == [
        "currency_mismatch",
        "bank_currency_mismatch",
    ]


def test_the_descriptions_name_the_columns_of_the_files_with_a_type_each() -> None:
    for name, seed in described_seeds().items():
        header = (SEEDS / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [column["name"] for column in seed["columns"]] == header
        assert list(seed["config"]["column_types"]) == header
        assert all(column["description"] for column in seed["columns"])


@pytest.mark.parametrize("name", ["severity", "lane"])
def test_dbt_accepts_the_words_of_the_vocabulary(name: str) -> None:
    (column,) = (one for one in described_seeds()["exception_types"]["columns"] if one["name"] == name)
    assert tuple(column["data_tests"][0]["accepted_values"]["arguments"]["values"]) == vocabulary.values(name)


def test_no_word_is_twice_in_a_seed() -> None:
    for name in described_seeds():
        lines = (SEEDS / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        width = {
            "vocabulary": 2,
            "currency_exponents": 3,
            "provider_record_types": 2,
            "provider_event_types": 2,
            "bank_transaction_codes": 5,
        }.get(name, 1)
        keys = [tuple(line.split(",")[:width]) for line in lines]
        assert len(set(keys)) == len(keys)
