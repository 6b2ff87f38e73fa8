"""A bank's profile, `banks/<bank>.yml`: how its statements are read and where they arrive, checked key by key.

Does not belong here: reading statements (sources), what payouts a bank's lines answer (a provider's profile).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline import identifiers
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.config.drops import Drop, distinct_folders
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.registry import TABULAR, formats_of

KIND: Final = "bank_statement"


class BankDrop(Drop):
    """A drop folder of a bank's statements."""

    kind: Literal["bank_statement"] = KIND  # type: ignore[assignment] # a provider's folder holds other kinds


class BankProfile(BankReading):
    """One bank's profile: the format of its files, and what they are read by."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    format: str
    drops: Annotated[tuple[BankDrop, ...], Field(strict=False)] = ()

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in formats_of(KIND):
            raise ValueError(f"{value!r} is not one of {', '.join(formats_of(KIND))}")
        return value

    @field_validator("drops", mode="before")
    @classmethod
    def _listed_drops(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError("must be a list")  # noqa: TRY004 - what pydantic reports
        return value

    @field_validator("drops")
    @classmethod
    def _distinct_folders(cls, value: tuple[BankDrop, ...]) -> tuple[BankDrop, ...]:
        return distinct_folders(value)

    @model_validator(mode="after")
    def _mapped_table(self) -> Self:
        if (self.format == TABULAR) != (self.tabular is not None):
            raise ValueError("format tabular and the key tabular, its column mapping, go together")
        return self

    @property
    def reading(self) -> BankReading:
        """What its files are read by."""
        return BankReading(accounts=self.accounts, timezone=self.timezone, tabular=self.tabular)


def bank_names(paths: TenantPaths) -> list[str]:
    """The banks of a tenant, by the files there are, in order."""
    return sorted(path.stem for path in paths.banks.glob("*.yml"))


def path_of(paths: TenantPaths, bank: str) -> Path:
    """Where a bank's profile is, or would be."""
    return paths.banks / f"{identifiers.bank_id(bank)}.yml"


def load_bank(paths: TenantPaths, bank: str) -> BankProfile:
    """The profile of a bank. UsageError without one; ConfigurationError names file, key and what may be."""
    path = path_of(paths, bank)
    if not path.exists():
        known = bank_names(paths)
        there = f"the tenant has {', '.join(known)}" if known else "the tenant has none"
        raise UsageError(f"there is no bank {bank!r} ({there}): add its profile, banks/{bank}.yml")
    return parse_bank(strict_yaml.read_mapping(path), path.name)


def parse_bank(content: Mapping[str, Any], name: str) -> BankProfile:
    """A profile from a parsed mapping; `name` is what errors call the file."""
    try:
        return BankProfile.model_validate(dict(content))
    except ValidationError as cause:
        keys = ("format", "accounts", "timezone", "drops", "tabular")
        raise ConfigurationError(f"{name}: {'; '.join(strict_yaml.findings(cause, keys))}") from cause


def profile_text(bank: str, format: str) -> str:
    """A commented profile of a bank whose files are of a format; UsageError when no such format is read."""
    if format not in formats_of(KIND):
        raise UsageError(f"there is no template {format!r}: use one of {', '.join(formats_of(KIND))}")
    table = _TABLE if format == TABULAR else _NO_TABLE
    return _STARTER.format(
        bank=identifiers.bank_id(bank), format=format, formats=", ".join(formats_of(KIND)), table=table
    )


_NO_TABLE: Final = """\
# How a table of any columns is read, with format: tabular (docs/guides/formats/tabular.md).
tabular: null
"""
_TABLE: Final = """\
# How the table is read (docs/guides/formats/tabular.md): put your bank's columns in the place of these.
tabular:
  line_id: Reference
  amounts: {net: Amount}
  currency: {constant: EUR}
  settled_at: {column: Booking date, format: "%d.%m.%Y"}
  # Keys for a bank's table alone: whose account, the value date, what the bank says of a line, which rows are pending.
  text: [Purpose, Counterparty]
  # account: Account
  # value_on: {column: Value date, format: "%d.%m.%Y"}
  # pending: {column: Status, values: Pending}
  # running_balance: {column: Balance, order: newest_first}
"""
_STARTER: Final = """\
# How statements of {bank} are read. Every key but format is optional and shown with its default.

# Format of its files: {formats}. A bank with camt053 may send camt.052 and camt.054 as well.
format: {format}

# Accounts that its statements may be of, as it writes them; any where the list is empty. Statements that name no
# account are those of the only one.
accounts: []

# In which zone's days times of entries are put, such as Europe/Berlin; null leaves each day as the bank writes it.
timezone: null

# Where its files arrive, nowhere by default (docs/guides/arrival.md). Example:
#   drops: [{{url: /srv/drop/{bank}, files: '*.xml'}}]
drops: []

{table}"""
