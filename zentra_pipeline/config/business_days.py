"""A tenant's business calendar (`tenants/<tenant>/calendar.yml`): weekend and holidays; no window or age belongs here.

    weekend: [friday, saturday]
    holidays: ["2026-05-01", "2026-12-25"]

Without the file, Monday to Friday are business days and there are no holidays.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zentra_pipeline import identifiers
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.ledger_windows import BusinessDays
from zentra_pipeline.settings import TenantPaths

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class _Calendar(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    weekend: Annotated[list[str], Field(max_length=6)] = ["saturday", "sunday"]
    holidays: list[str] = []

    @field_validator("weekend")
    @classmethod
    def _named_days(cls, value: list[str]) -> list[str]:
        for day in value:
            if day not in _DAYS:
                raise ValueError(f"{day!r} is not one of {', '.join(_DAYS)}")
        return value

    @field_validator("holidays")
    @classmethod
    def _real_days(cls, value: list[str]) -> list[str]:
        for day in value:
            try:
                identifiers.ledger_window(day)
            except UsageError as cause:
                raise ValueError(f"{day!r} is not a day of the form YYYY-MM-DD") from cause
        return value


def load_business_days(paths: TenantPaths) -> BusinessDays:
    """The tenant's business days; ConfigurationError names the file, the key and what is allowed."""
    path = paths.calendar
    if not path.exists():
        return BusinessDays()
    return parse_business_days(strict_yaml.read_mapping(path), path.name)


def parse_business_days(content: Mapping[str, Any], name: str) -> BusinessDays:
    """Business days from a parsed mapping; `name` is what errors call the file."""
    try:
        calendar = _Calendar.model_validate(dict(content))
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(_Calendar.model_fields)))
        raise ConfigurationError(f"{name}: {found}") from cause
    return BusinessDays(
        weekend=frozenset(_DAYS.index(day) for day in calendar.weekend),
        holidays=frozenset(date.fromisoformat(day) for day in calendar.holidays),
    )
