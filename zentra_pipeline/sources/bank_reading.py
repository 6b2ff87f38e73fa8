"""What a bank's profile says of reading its files: whose accounts, in which zone, by which columns; checked key by key.

Does not belong here: the rest of a profile (config.bank_profile), reading anything (bank_rows).
"""

import hashlib
import json
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zentra_pipeline import identifiers
from zentra_pipeline.sources.column_mapping import ColumnMapping

_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


class BankReading(BaseModel):
    """How the files of one bank are read.

    `accounts`: those its statements may be of, any where it is empty; the only one is that of statements that name
    none. `timezone`: whose days the times of entries are put in; null leaves each day as the bank writes it. `tabular`:
    the columns of a table.
    """

    model_config = _STRICT

    accounts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    timezone: str | None = None
    tabular: ColumnMapping | None = None

    @field_validator("accounts", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        _require(isinstance(value, list | tuple), "must be a list of accounts, as statements write them")
        return value

    @field_validator("accounts")
    @classmethod
    def _plain_accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(identifiers.account_id(account) for account in value)
        _require(all(plain), "an account must not be blank")
        _require(len(set(plain)) == len(plain), "names an account twice")
        return plain

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as cause:
            raise ValueError(f"{value!r} is not a zone of the IANA database, such as UTC or Europe/Berlin") from cause
        _require(value != "localtime", "'localtime' differs from machine to machine: name the zone")
        return value

    @property
    def account(self) -> str | None:
        """The account of statements that name none: the only one there is."""
        return self.accounts[0] if len(self.accounts) == 1 else None

    @property
    def says_nothing(self) -> bool:
        """Whether files read the same without it; which accounts are allowed is no part of what was read."""
        return self.account is None and self.timezone is None and self.tabular is None

    def digest(self) -> str:
        """Hex SHA-256 of its canonical JSON."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    def canonical_json(self) -> bytes:
        """It as JSON with sorted keys and no white space."""
        content: dict[str, Any] = self.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """What canonical_json wrote; ValueError when it is anything else."""
        found = json.loads(content)
        mapping = found.get("tabular")
        return cls.model_validate(
            {**found, "tabular": None if mapping is None else ColumnMapping.from_json(json.dumps(mapping).encode())}
        )
