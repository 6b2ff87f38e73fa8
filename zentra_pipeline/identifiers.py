"""Which names are allowed for tenants, providers, files and windows; the only gate between names and paths.

Does not belong here: ids derived from facts (SQL makes them).
"""

import re
from datetime import date
from typing import Final, Literal, get_args

from zentra_pipeline.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SETTLEMENT_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ACCOUNT_MARKS = re.compile(r"[^A-Za-z0-9._-]+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
# Windows before this have no partition.
FIRST_YEAR = 2000

ProviderKind = Literal["settlement", "ledger", "callbacks", "internal_events"]
PROVIDER_KINDS: Final[tuple[ProviderKind, ...]] = get_args(ProviderKind)
"""What a file of a provider may hold, in the order in which the kinds are listed everywhere."""
FileKind = Literal["settlement", "ledger", "callbacks", "internal_events", "bank_statement"]
FILE_KINDS: Final[tuple[FileKind, ...]] = get_args(FileKind)
"""What a file may hold: that of a provider, or of a bank."""
# A bank account as the scope of runs; no provider's name holds a colon.
BANK_SCOPE: Final = "bank:"


def tenant_id(value: str) -> str:
    """Return a tenant id unchanged; UsageError unless it is 1 to 64 of A-Z a-z 0-9 _ - (no leading sign)."""
    return _checked(_NAME, value, "tenant", "1 to 64 letters, digits, '_' or '-', beginning with a letter or digit")


def provider_id(value: str) -> str:
    """Return a provider id unchanged; same form as a tenant id."""
    return _checked(_NAME, value, "provider", "1 to 64 letters, digits, '_' or '-', beginning with a letter or digit")


def bank_id(value: str) -> str:
    """Return a bank's name unchanged; same form as a tenant id."""
    return _checked(_NAME, value, "bank", "1 to 64 letters, digits, '_' or '-', beginning with a letter or digit")


def account_id(value: str) -> str:
    """A bank account as all of Zentra writes it: without blanks, other marks than . _ - as a dash; '' for none.

    `DE89 3704 0044 0532 0130 00` becomes `DE89370400440532013000`, `50880050/0194774600` `50880050-0194774600`.
    """
    plain = _ACCOUNT_MARKS.sub("-", "".join(value.split()))
    return plain.strip("-._")


def scope_id(value: str) -> str:
    """Return what a run is about unchanged: a provider id, or `bank:` and a bank account; else UsageError."""
    account = account_of(value)
    return provider_id(value) if account is None else bank_scope(account)


def bank_scope(account: str) -> str:
    """The scope of the runs of a bank account, as anybody writes it; UsageError where too little or much is left."""
    rule = "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    return BANK_SCOPE + _checked(_ACCOUNT, account_id(account), "bank account", rule)


def account_of(scope: str) -> str | None:
    """The bank account whose runs have this scope; null for a provider."""
    return scope.removeprefix(BANK_SCOPE) if scope.startswith(BANK_SCOPE) else None


def settlement_file_id(value: str) -> str:
    """Return a settlement file id unchanged; UsageError unless contract §10.0's form holds."""
    return _checked(
        _SETTLEMENT_FILE,
        value,
        "settlement file id",
        "1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit",
    )


def ledger_window(value: str) -> date:
    """Return the day a window is named for; UsageError unless the text is a real YYYY-MM-DD day of 2000 to 9998."""
    if not _DAY.fullmatch(value):
        raise UsageError(f"ledger window {value!r} is not a day of the form YYYY-MM-DD")
    try:
        day = date.fromisoformat(value)
    except ValueError as cause:
        raise UsageError(f"ledger window {value!r} is not a valid date") from cause
    if not FIRST_YEAR <= day.year < date.max.year:
        raise UsageError(f"ledger window {value!r} is not kept: use a day from {FIRST_YEAR}-01-01 on")
    return day


def period(value: str) -> str:
    """Return a month unchanged; UsageError unless the text is YYYY-MM of 2000 to 9998."""
    if not _MONTH.fullmatch(value) or not FIRST_YEAR <= int(value[:4]) < date.max.year:
        raise UsageError(f"period {value!r} is not a month of the form YYYY-MM, such as 2026-04")
    return value


def _checked(form: re.Pattern[str], value: str, what: str, rule: str) -> str:
    if not form.fullmatch(value):
        raise UsageError(f"{what} {value!r} is not allowed: use {rule}")
    return value
