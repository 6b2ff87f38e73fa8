"""A provider's profile: how its data is read and judged (contract §1), checked key by key.

Does not belong here: applying any of it. Readers, SQL and schedules do.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.config.drops import Drop, distinct_folders
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.column_mapping import OF_BANKS, ColumnMapping
from zentra_pipeline.sources.registry import formats_of

SECRETS_VARIABLE = "ZENTRA_CALLBACK_SECRETS"
ANY = vocabulary.ANY_CURRENCY

Minor = Annotated[int, Field(gt=-(10**15), lt=10**15)]
Tolerance = Annotated[int, Field(ge=0, lt=10**15)]

_NAMED_NORMALIZERS = ("none", "alphanumeric")
_CUTOFF = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_FILE_NAME_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_FILE_NAME_DIRECTIVES = "YymdjGV"
_NOT_JUDGING: Final = {"drops"}
_OF_THE_BANK: Final = (
    "payout_account",
    "bank_lag_days",
    "bank_reference_pattern",
    "bank_fee_account",
    "bank_fee_tolerance_minor",
    "payout_grouping",
)
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


class FeeRule(BaseModel):
    """An expected fee: gross × rate_bps / 10000 + fixed_minor, off by at most tolerance_minor (and rounding)."""

    model_config = _STRICT

    rate_bps: Annotated[int, Field(ge=0, le=10_000)] = 0
    fixed_minor: Minor = 0
    tolerance_minor: Tolerance = 0


class Profile(BaseModel):
    """One provider's profile. Currency maps are normalized: a value for all currencies has the key `*`."""

    model_config = _STRICT

    settlement_format: str = "canonical"
    tabular: ColumnMapping | None = None
    callback_format: str = "canonical"
    clearing_accounts: Annotated[tuple[str, ...], Field(strict=False)] = ("settlement_account",)
    expects_callbacks: bool = True
    settlement_lag_days: Annotated[int, Field(ge=0, le=366)] = 2
    callback_grace_minutes: Annotated[int, Field(ge=0, le=527_040)] = 60
    amount_tolerance_minor: dict[str, Tolerance] = {ANY: 0}
    fee_schedule: dict[str, dict[str, FeeRule]] | None = None
    compare_amount: Literal["gross", "net"] = "gross"
    settlement_file_name: str = "set_%Y_%m_%d"
    drops: Annotated[tuple[Drop, ...], Field(strict=False)] = ()
    reference_normalizer: str = "none"
    amount_date_rule: Literal["off", "suggest", "match"] = "suggest"
    match_line_types: Annotated[tuple[str, ...], Field(strict=False)] = (
        "payment",
        "refund",
        "chargeback",
        "chargeback_reversal",
    )
    fee_posting: Literal["inside", "separate"] = "inside"
    late_callbacks: Literal["revise", "next_run"] = "revise"
    timezone: str = "UTC"
    window_cutoff: str = "00:00"
    payout_account: dict[str, str] = {}
    bank_lag_days: Annotated[int, Field(ge=0, le=366)] = 3
    bank_reference_pattern: str | None = None
    bank_fee_account: Annotated[str, Field(min_length=1)] | None = None
    bank_fee_tolerance_minor: dict[str, Tolerance] = {ANY: 0}
    payout_grouping: Literal["none", "same_day", "window"] = "none"

    @field_validator("settlement_format")
    @classmethod
    def _known_settlement_format(cls, value: str) -> str:
        return _one_of(value, formats_of("settlement"))

    @field_validator("callback_format")
    @classmethod
    def _known_callback_format(cls, value: str) -> str:
        return _one_of(value, formats_of("callbacks"))

    @field_validator("clearing_accounts", "match_line_types", "drops", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        _require(isinstance(value, list | tuple), "must be a list")
        return value

    @field_validator("clearing_accounts")
    @classmethod
    def _named_accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _require(len(value) > 0, "must name at least one account")
        _require(all(value), "an account must not be blank")
        _require(len(set(value)) == len(value), "names an account twice")
        return tuple(sorted(value))

    @field_validator("amount_tolerance_minor", "bank_fee_tolerance_minor", mode="before")
    @classmethod
    def _tolerance_by_currency(cls, value: object) -> object:
        return {ANY: value} if isinstance(value, int) else value

    @field_validator("amount_tolerance_minor", "bank_fee_tolerance_minor")
    @classmethod
    def _tolerance_of_known_currencies(cls, value: dict[str, int]) -> dict[str, int]:
        for currency in value:
            _currency(currency)
        return value

    @field_validator("fee_schedule", mode="before")
    @classmethod
    def _fees_by_currency(cls, value: object) -> object:
        return _normalized_fees(value)

    @field_validator("settlement_file_name")
    @classmethod
    def _dated_file_name(cls, value: str) -> str:
        for directive in _FILE_NAME_DIRECTIVE.findall(value):
            allowed = " ".join(f"%{letter}" for letter in _FILE_NAME_DIRECTIVES)
            known = directive != "" and directive in _FILE_NAME_DIRECTIVES
            _require(known, f"'%{directive}' is not allowed in a file name; use {allowed}")
        try:
            identifiers.settlement_file_id(date(2026, 1, 2).strftime(value))
        except UsageError as cause:
            raise ValueError(str(cause)) from cause
        return value

    @field_validator("drops")
    @classmethod
    def _distinct_folders(cls, value: tuple[Drop, ...]) -> tuple[Drop, ...]:
        return distinct_folders(value)

    @field_validator("reference_normalizer")
    @classmethod
    def _usable_normalizer(cls, value: str) -> str:
        if value not in _NAMED_NORMALIZERS:
            _check_pattern(value, "is neither none, alphanumeric nor a regular expression")
        return value

    @field_validator("payout_account", mode="before")
    @classmethod
    def _account_by_currency(cls, value: object) -> object:
        return {ANY: value} if isinstance(value, str) else value

    @field_validator("payout_account")
    @classmethod
    def _accounts_of_banks(cls, value: dict[str, str]) -> dict[str, str]:
        for currency in value:
            _currency(currency)
        for account in value.values():
            _require(bool(identifiers.account_id(account)), f"{account!r} names no account")
        return {currency: identifiers.account_id(account) for currency, account in value.items()}

    @field_validator("bank_reference_pattern")
    @classmethod
    def _usable_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _check_pattern(value, "is not a regular expression")
        return value

    @field_validator("match_line_types")
    @classmethod
    def _known_line_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line_type in value:
            _one_of(line_type, vocabulary.values("line_type"))
        _require(len(set(value)) == len(value), "names a line type twice")
        return tuple(line_type for line_type in vocabulary.values("line_type") if line_type in value)

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as cause:
            raise ValueError(f"{value!r} is not a zone of the IANA database, such as UTC or Europe/Berlin") from cause
        _require(value != "localtime", "'localtime' differs from machine to machine: name the zone")
        return value

    @field_validator("window_cutoff")
    @classmethod
    def _clock_time(cls, value: str) -> str:
        _require(_CUTOFF.fullmatch(value) is not None, f"{value!r} is not a time of day HH:MM, 00:00 to 23:59")
        return value

    @model_validator(mode="after")
    def _mapped_table(self) -> Self:
        is_table = self.settlement_format == "tabular"
        _require(
            is_table == (self.tabular is not None),
            "settlement_format tabular and the key tabular, its column mapping, go together",
        )
        given = [key for key in OF_BANKS if self.tabular is not None and getattr(self.tabular, key) is not None]
        named = ", ".join(given)
        _require(not given, f"tabular: {named}: keys for a bank's table (banks/<bank>.yml), not a provider's")
        return self

    @model_validator(mode="after")
    def _fees_once(self) -> Self:
        _require(
            self.fee_posting == "inside" or self.compare_amount == "gross",
            "fee_posting separate goes with compare_amount gross: compared by net, the movement holds the fee already, "
            "and it would count twice",
        )
        return self

    def settlement_file(self, window: date) -> str:
        """The settlement file id a window expects."""
        return window.strftime(self.settlement_file_name)

    def tolerance_minor(self, currency: str) -> int:
        """The difference a pair may have; 0 for a currency the map does not name."""
        return self.amount_tolerance_minor.get(currency, self.amount_tolerance_minor.get(ANY, 0))

    def account_of(self, currency: str) -> str | None:
        """The bank account that payouts in a currency go to; null where the profile names none."""
        return self.payout_account.get(currency, self.payout_account.get(ANY))

    def digest(self) -> str:
        """Hex SHA-256 of the profile as canonical JSON: the file's layout, order and comments do not count."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    def judging(self) -> dict[str, Any]:
        """What results depend on, as JSON: every key but where files arrive, and those of a bank at their defaults."""
        return self.model_dump(mode="json", exclude=_NOT_JUDGING | _of_no_bank(self))

    def canonical_json(self) -> bytes:
        """What results depend on, as JSON with sorted keys and no white space; without keys of `_absent`."""
        import orjson

        content = self.model_dump(mode="json", exclude=_NOT_JUDGING | _absent(self))
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def of_bank_account() -> Profile:
    """How a run of a bank account is judged (ADR 0061); what differs by payout is in the profiles of the providers."""
    return Profile(
        clearing_accounts=("cash_in_transit",),
        expects_callbacks=False,
        settlement_lag_days=3,
        callback_grace_minutes=0,
        match_line_types=("payment",),
        settlement_file_name="bank_%Y_%m_%d",
    )


def load_profile(paths: TenantPaths, provider: str) -> Profile:
    """The profile of a provider; all defaults without a file. ConfigurationError names file, key and what may be."""
    if identifiers.account_of(provider) is not None:
        identifiers.scope_id(provider)
        return of_bank_account()
    path = paths.providers / f"{identifiers.provider_id(provider)}.yml"
    if not path.exists():
        return Profile()
    return parse_profile(strict_yaml.read_mapping(path), path.name)


def parse_profile(content: Mapping[str, Any], name: str) -> Profile:
    """A profile from a parsed mapping; `name` is what errors call the file."""
    try:
        return Profile.model_validate(dict(content))
    except ValidationError as cause:
        raise ConfigurationError(
            f"{name}: {'; '.join(strict_yaml.findings(cause, tuple(Profile.model_fields)))}"
        ) from cause


def starter_profile(provider: str) -> str:
    """A commented YAML file with every key at its default, as `load_profile` accepts it."""
    return _STARTER.format(
        provider=identifiers.provider_id(provider),
        settlement_formats=", ".join(formats_of("settlement")),
        callback_formats=", ".join(formats_of("callbacks")),
    )


def callback_secrets(tenant: str, provider: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Secrets that may have signed a provider's callbacks, from `ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER>`.

    Names are upper-cased and `-` becomes `_`; several secrets (a rotation) are separated by commas.
    """
    name = "__".join((SECRETS_VARIABLE, _variable_part(tenant), _variable_part(provider)))
    text = (os.environ if environment is None else environment).get(name, "")
    return tuple(secret for secret in (part.strip() for part in text.split(",")) if secret)


def _absent(profile: Profile) -> set[str]:
    """Keys that older releases did not know, left out where they say nothing: the digest is what it was."""
    absent = {"tabular"} if profile.tabular is None else set()
    absent |= {"fee_posting"} if profile.fee_posting == "inside" else set()
    return absent | _of_no_bank(profile)


def _of_no_bank(profile: Profile) -> set[str]:
    """Keys about payouts at a bank that say nothing: as profiles were before there were any."""
    return {key for key in _OF_THE_BANK if getattr(profile, key) == Profile.model_fields[key].default}


def _variable_part(name: str) -> str:
    return name.upper().replace("-", "_")


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    _require(value in allowed, f"{value!r} is not one of {', '.join(allowed)}")
    return value


def _currency(value: str) -> None:
    _require(value == ANY or value in vocabulary.currencies(), f"{value!r} is not an ISO 4217 currency")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _normalized_fees(value: object) -> dict[str, Any] | None:
    """contract §10.11's three shapes as {currency or *: {line_type: rule}}, distinguished by their keys."""
    if value is None:
        return None
    given = _map(value, "must be a map by currency, by line type, or one rule")
    _require(len(given) > 0, "is empty: leave the key out, or write null, when there is no schedule")
    if given.keys() <= FeeRule.model_fields.keys():
        return {ANY: {"payment": given}}
    line_types = vocabulary.values("line_type")
    if given.keys() <= set(line_types):
        return {ANY: given}
    for currency, rules in given.items():
        _require(
            currency == ANY or currency in vocabulary.currencies(),
            f"key {currency!r} is not an ISO 4217 currency; use currencies, line types ({', '.join(line_types)}) "
            f"or the rule's own keys ({', '.join(FeeRule.model_fields)}), not mixed",
        )
        for line_type in _map(rules, f"{currency} must be a map by line type"):
            _one_of(line_type, line_types)
    return given


def _map(value: object, otherwise: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError(otherwise)


def _check_pattern(pattern: str, otherwise: str) -> None:
    """A pattern must mean the same to Python and to the engine that applies it, and keep exactly one group."""
    import duckdb

    from zentra_pipeline import private_database

    try:
        groups = re.compile(pattern).groups
        with private_database.opened() as engine:
            engine.execute("select regexp_extract('', ?, 1)", [pattern]).fetchall()
    except (re.error, duckdb.Error, OverflowError, RecursionError) as cause:
        reason = " ".join(str(cause).split())
        raise ValueError(f"{pattern!r} {otherwise}: {reason}") from cause
    _require(groups == 1, f"the expression {pattern!r} has {groups} groups; it needs exactly one, the part compared")


_STARTER = """\
# How data of {provider} is read and judged. Every key is optional and shown with its default.

# Reader of settlement files: {settlement_formats}.
settlement_format: canonical

# How a table of any columns is read, with settlement_format: tabular (docs/guides/formats/tabular.md).
tabular: null

# Reader and signature scheme of callbacks: {callback_formats}.
callback_format: canonical

# Ledger accounts whose movements the provider settles.
clearing_accounts: [settlement_account]

# Whether a settled movement without a callback is an exception.
expects_callbacks: true

# Business days a movement may wait for its settlement line.
settlement_lag_days: 2

# How long after the window's end the review cut-off comes.
callback_grace_minutes: 60

# Difference allowed in a match, in minor units: one number, or a map such as {{USD: 1}}.
amount_tolerance_minor: 0

# Expected fee, none by default. Examples:
#   fee_schedule: {{rate_bps: 290, fixed_minor: 30, tolerance_minor: 1}}
#   fee_schedule: {{USD: {{payment: {{rate_bps: 290, fixed_minor: 30, tolerance_minor: 1}}}}}}
fee_schedule: null

# What a line is compared with the ledger by: gross or net.
compare_amount: gross

# The settlement file id a window expects; %Y, %m, %d are the window's day.
settlement_file_name: set_%Y_%m_%d

# Where files arrive, none by default; Dagster's sensor file_drop ingests them (docs/guides/arrival.md). Examples:
#   drops:
#   - {{kind: settlement, url: /srv/drop/{provider}, files: 'set_*.csv'}}
#   - {{kind: callbacks, url: 's3://acme-inbox/{provider}', files: '*.jsonl'}}
drops: []

# none, alphanumeric, or a regular expression with one group, such as '^PAY-([0-9]+)$'.
reference_normalizer: none

# Same amount near in time, no shared reference: off, suggest or match.
amount_date_rule: suggest

# Line types that need a ledger movement; the others count in batch totals. fee, payout, adjustment and reserve may be
# named too: they meet movements of their own type only.
match_line_types: [payment, refund, chargeback, chargeback_reversal]

# inside: a line's fee is in its movement or nowhere. separate: it is an item of class fee, of -fee_minor, that needs a
# fee movement, by reference or as the sum of its batch.
fee_posting: inside

# A callback received over HTTP about a run in review whose as_of nobody gave: revise asks for that run again as of the
# callback, next_run leaves it to the provider's next run, as files of callbacks always do.
late_callbacks: revise

# Where the ledger window's day begins.
timezone: UTC
window_cutoff: "00:00"

# The bank account that payouts arrive in: one, or by currency; none by default. Examples:
#   payout_account: DE89370400440532013000
#   payout_account: {{USD: '000123456789', EUR: DE89370400440532013000}}
payout_account: {{}}

# Business days that a payout may take to the bank.
bank_lag_days: 3

# What texts of bank lines say of a payout: a regular expression with one group, the payout's or batch's reference.
bank_reference_pattern: null

# Ledger account of fees that the bank keeps of payouts (journal entries of them are not proposed yet), and how much it
# may keep: one number, or by currency.
bank_fee_account: null
bank_fee_tolerance_minor: 0

# Whether several payouts may arrive as one credit: none, those of the same_day, or of the lag's window.
payout_grouping: none
"""
