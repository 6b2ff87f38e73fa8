"""Profiles: the contract's defaults, every key checked, and errors that name the file, the key and what is allowed."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.config import profile, strict_yaml
from zentra_pipeline.config.drops import Drop
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths

ONE_RULE = {"rate_bps": 290, "fixed_minor": 30, "tolerance_minor": 1}


def read(text: str) -> Profile:
    return profile.parse_profile(strict_yaml.parse_mapping(text, "rail.yml"), "rail.yml")


def test_the_defaults_are_the_contracts() -> None:
    assert Profile().model_dump() == {
        "settlement_format": "canonical",
        "tabular": None,
        "callback_format": "canonical",
        "clearing_accounts": ("settlement_account",),
        "expects_callbacks": True,
        "settlement_lag_days": 2,
        "callback_grace_minutes": 60,
        "amount_tolerance_minor": {"*": 0},
        "fee_schedule": None,
        "compare_amount": "gross",
        "settlement_file_name": "set_%Y_%m_%d",
        "drops": (),
        "reference_normalizer": "none",
        "amount_date_rule": "suggest",
        "match_line_types": ("payment", "refund", "chargeback", "chargeback_reversal"),
        "fee_posting": "inside",
        "timezone": "UTC",
        "late_callbacks": "revise",
        "window_cutoff": "00:00",
        "payout_account": {},
        "bank_lag_days": 3,
        "bank_reference_pattern": None,
        "bank_fee_account": None,
        "bank_fee_tolerance_minor": {"*": 0},
        "payout_grouping": "none",
    }


def test_a_provider_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert profile.load_profile(TenantPaths(tmp_path), "rail_primary") == Profile()


def test_a_provider_file_is_found_by_the_providers_id(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path)
    paths.providers.mkdir()
    (paths.providers / "rail_primary.yml").write_text("settlement_format: stripe\n", encoding="utf-8")
    assert profile.load_profile(paths, "rail_primary").settlement_format == "stripe"


def test_a_provider_id_never_becomes_a_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="provider"):
        profile.load_profile(TenantPaths(tmp_path), "../rail")


def test_the_starter_file_names_every_key_at_its_default() -> None:
    content = strict_yaml.parse_mapping(profile.starter_profile("rail_primary"), "rail.yml")
    assert tuple(content) == tuple(Profile.model_fields)
    assert profile.parse_profile(content, "rail.yml") == Profile()


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("settlement_format: stripe", "settlement_format", "stripe"),
        ("callback_format: stripe", "callback_format", "stripe"),
        ("clearing_accounts: [b, a]", "clearing_accounts", ("a", "b")),
        ("expects_callbacks: false", "expects_callbacks", False),
        ("settlement_lag_days: 0", "settlement_lag_days", 0),
        ("amount_tolerance_minor: 3", "amount_tolerance_minor", {"*": 3}),
        ("amount_tolerance_minor: {USD: 1}", "amount_tolerance_minor", {"USD": 1}),
        ("compare_amount: net", "compare_amount", "net"),
        ("settlement_file_name: stl-%y%j", "settlement_file_name", "stl-%y%j"),
        ("drops: [{url: /srv/drop}]", "drops", (Drop(kind="settlement", url="/srv/drop", files="*"),)),
        (
            "drops: [{kind: ledger, url: 's3://inbox/rail', files: 'l_*'}]",
            "drops",
            (Drop(kind="ledger", url="s3://inbox/rail", files="l_*"),),
        ),
        ("reference_normalizer: alphanumeric", "reference_normalizer", "alphanumeric"),
        (r"reference_normalizer: '^PAY-0*([0-9]+)$'", "reference_normalizer", r"^PAY-0*([0-9]+)$"),
        ("amount_date_rule: off", "amount_date_rule", "off"),
        ("match_line_types: [refund, payment]", "match_line_types", ("payment", "refund")),
        ("match_line_types: []", "match_line_types", ()),
        ("fee_posting: separate", "fee_posting", "separate"),
        ("timezone: Europe/Berlin", "timezone", "Europe/Berlin"),
        ("window_cutoff: 17:00", "window_cutoff", "17:00"),
        ("window_cutoff: '00:30'", "window_cutoff", "00:30"),
    ],
)
def test_a_key_is_read_as_written(text: str, key: str, value: object) -> None:
    assert getattr(read(text), key) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("settlement_fromat: stripe", "unknown key 'settlement_fromat'; allowed are settlement_format, "),
        ("settlement_format: swift", "settlement_format: 'swift' is not one of canonical, stripe, "),
        ("callback_format: camt053", "callback_format: 'camt053' is not one of"),
        ("clearing_accounts: settlement", "clearing_accounts: must be a list"),
        ("clearing_accounts: []", "clearing_accounts: must name at least one account"),
        ("clearing_accounts: ['']", "clearing_accounts: an account must not be blank"),
        ("clearing_accounts: [a, a]", "clearing_accounts: names an account twice"),
        ("clearing_accounts: [1200]", "clearing_accounts.0: "),
        ("expects_callbacks: NO", "expects_callbacks: "),
        ("expects_callbacks: 1", "expects_callbacks: "),
        ("drops: /srv/drop", "drops: must be a list"),
        ("drops: [/srv/drop]", "drops.0: "),
        ("drops: [{files: '*'}]", "drops.0.url: field required"),
        ("drops: [{url: drop}]", "drops: 'drop' is neither a whole path (/srv/drop) nor a URL (s3://bucket/folder)"),
        ("drops: [{url: /a, kind: bank}]", "drops.0.kind: input should be 'settlement', 'ledger', "),
        ("drops: [{url: /a, pattern: '*'}]", "unknown key 'drops.0.pattern'"),
        ("drops: [{url: /a, files: 'b/*'}]", "drops.0.files: 'b/*' holds a '/': it is a pattern of names"),
        ("drops: [{url: /a}, {url: /a, kind: ledger}]", "drops: names a folder and its files twice"),
        ("settlement_lag_days: -1", "settlement_lag_days: "),
        ("settlement_lag_days: '2'", "settlement_lag_days: "),
        ("settlement_lag_days: 2.0", "settlement_lag_days: "),
        ("settlement_lag_days: true", "settlement_lag_days: "),
        ("callback_grace_minutes: 1e3", "callback_grace_minutes: "),
        ("amount_tolerance_minor: -1", "amount_tolerance_minor."),
        ("amount_tolerance_minor: true", "amount_tolerance_minor."),
        ("amount_tolerance_minor: {USX: 1}", "amount_tolerance_minor: 'USX' is not an ISO 4217 currency"),
        ("amount_tolerance_minor: {NO: 1}", "'NO' is not an ISO 4217 currency"),
        ("amount_tolerance_minor: {USD: 0.01}", "amount_tolerance_minor.USD: "),
        ("compare_amount: fee", "compare_amount: input should be 'gross' or 'net'"),
        ("fee_posting: outside", "fee_posting: input should be 'inside' or 'separate'"),
        ("fee_posting: separate\ncompare_amount: net", "compared by net, the movement holds the fee already"),
        ("amount_date_rule: always", "amount_date_rule: "),
        ("settlement_file_name: ../%Y%m%d", "settlement_file_name: settlement file id"),
        ("settlement_file_name: s_%H", "settlement_file_name: '%H' is not allowed"),
        ("settlement_file_name: s_%Y%", "settlement_file_name: '%' is not allowed"),
        ("reference_normalizer: '('", "reference_normalizer: '(' is neither none, alphanumeric nor a regular"),
        ("reference_normalizer: 'abc'", "has 0 groups; it needs exactly one"),
        ("reference_normalizer: '(a)(b)'", "has 2 groups; it needs exactly one"),
        ("reference_normalizer: '(?=a)(b)'", "reference_normalizer: '(?=a)(b)' is neither"),
        ("match_line_types: [payment, tip]", "match_line_types: 'tip' is not one of payment, refund"),
        ("match_line_types: [payment, payment]", "match_line_types: names a line type twice"),
        ("timezone: Berlin", "timezone: 'Berlin' is not a zone of the IANA database"),
        ("timezone: ../UTC", "timezone: '../UTC' is not a zone"),
        ("timezone: localtime", "timezone: "),
        ("window_cutoff: 24:00", "window_cutoff: '24:00' is not a time of day"),
        ("window_cutoff: 9:00", "window_cutoff: '9:00' is not a time of day"),
        ("window_cutoff: 900", "window_cutoff: "),
        ("fee_schedule: {}", "fee_schedule: is empty"),
        ("fee_schedule: 290", "fee_schedule: must be a map"),
        ("fee_schedule: {USD: 290}", "fee_schedule: USD must be a map by line type"),
        ("fee_schedule: {USX: {payment: {}}}", "fee_schedule: key 'USX' is not an ISO 4217 currency"),
        ("fee_schedule: {USD: {tip: {}}}", "fee_schedule: 'tip' is not one of payment"),
        ("fee_schedule: {rate_bps: 290, USD: {}}", "fee_schedule: key 'rate_bps' is not an ISO 4217 currency"),
        ("fee_schedule: {USD: {payment: {rate_bps: 2.9}}}", "fee_schedule.USD.payment.rate_bps: "),
        ("fee_schedule: {USD: {payment: {rate: 290}}}", "unknown key 'fee_schedule.USD.payment.rate'"),
        ("fee_schedule: {rate_bps: -1}", "fee_schedule.*.payment.rate_bps: "),
    ],
)
def test_a_wrong_value_is_refused_naming_file_and_key(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=r"^rail\.yml: ") as refused:
        read(text)
    assert reason in str(refused.value)


def test_a_pattern_for_bank_texts_has_one_group() -> None:
    with pytest.raises(ConfigurationError, match=r"bank_reference_pattern: .* has 2 groups"):
        read("bank_reference_pattern: '(STRIPE) ([A-Z0-9]+)'")
    with pytest.raises(ConfigurationError, match=r"bank_reference_pattern: '\(' is not a regular expression"):
        read("bank_reference_pattern: '('")
    with pytest.raises(ConfigurationError, match=r"payout_account: '' names no account"):
        read("payout_account: ''")


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"settlement_lag_days.*timezone"):
        read("settlement_lag_days: x\ntimezone: Mars")


@pytest.mark.parametrize(
    ("schedule", "normalized"),
    [
        (ONE_RULE, {"*": {"payment": ONE_RULE}}),
        ({"payment": ONE_RULE, "refund": {}}, {"*": {"payment": ONE_RULE, "refund": {}}}),
        ({"USD": {"payment": ONE_RULE}}, {"USD": {"payment": ONE_RULE}}),
    ],
)
def test_a_fee_schedule_of_any_shape_is_a_map_by_currency_and_line_type(
    schedule: dict[str, Any], normalized: dict[str, Any]
) -> None:
    nothing = {"rate_bps": 0, "fixed_minor": 0, "tolerance_minor": 0}
    found = profile.parse_profile({"fee_schedule": schedule}, "rail.yml").model_dump()["fee_schedule"]
    assert found == {
        currency: {line_type: nothing | rule for line_type, rule in rules.items()}
        for currency, rules in normalized.items()
    }


def test_a_profile_reads_its_own_dump() -> None:
    written = read("fee_schedule: {rate_bps: 290}\namount_tolerance_minor: 2\nclearing_accounts: [a]")
    assert profile.parse_profile(written.model_dump(), "rail.yml") == written


def test_a_currency_missing_from_a_tolerance_map_has_none() -> None:
    assert read("amount_tolerance_minor: {USD: 1}").tolerance_minor("USD") == 1
    assert read("amount_tolerance_minor: {USD: 1}").tolerance_minor("EUR") == 0
    assert read("amount_tolerance_minor: 1").tolerance_minor("EUR") == 1


def test_the_digest_depends_on_meaning_not_on_layout() -> None:
    plain = read("fee_schedule: {rate_bps: 290}\nclearing_accounts: [a, b]\nmatch_line_types: [payment, refund]")
    other = read(
        "match_line_types:\n- refund\n- payment\nclearing_accounts: [b, a]\n"
        "fee_schedule: {'*': {payment: {rate_bps: 290}}}  # by currency"
    )
    assert plain.digest() == other.digest()
    assert len(plain.digest()) == 64
    assert plain.digest() != Profile().digest()


def test_keys_of_a_bank_leave_the_digest_of_profiles_without_them() -> None:
    assert not Profile().judging().keys() & {"payout_account", "bank_lag_days", "payout_grouping"}
    told = read("payout_account: {USD: 'DE89 3704 0044 0532 0130 00', '*': 50880050/0194774600}\nbank_lag_days: 5")
    assert (told.account_of("USD"), told.account_of("EUR")) == ("DE89370400440532013000", "50880050-0194774600")
    assert (Profile().account_of("USD"), read("payout_account: A1").account_of("USD")) == (None, "A1")
    assert told.judging()["bank_lag_days"] == 5 and told.digest() != Profile().digest()


def test_where_files_arrive_changes_no_result() -> None:
    arriving = read("drops: [{url: 's3://key:secret@inbox/rail'}]")
    assert arriving.digest() == Profile().digest()
    assert arriving.judging() == Profile().judging() and "drops" not in arriving.judging()


def test_a_window_expects_the_file_its_profile_names() -> None:
    assert Profile().settlement_file(date(2026, 4, 6)) == "set_2026_04_06"


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Profile().timezone = "UTC"


@pytest.mark.parametrize(
    ("text", "secrets"), [("", ()), ("one", ("one",)), ("new,old", ("new", "old")), (" new , ,old,", ("new", "old"))]
)
def test_callback_secrets_come_from_the_environment(text: str, secrets: tuple[str, ...]) -> None:
    environment = {"ZENTRA_CALLBACK_SECRETS__ACME_EU__RAIL_PRIMARY": text}
    assert profile.callback_secrets("acme-eu", "rail_primary", environment) == secrets


def test_another_tenants_secrets_are_not_seen() -> None:
    environment = {"ZENTRA_CALLBACK_SECRETS__ACME__RAIL_PRIMARY": "secret"}
    assert profile.callback_secrets("globex", "rail_primary", environment) == ()
