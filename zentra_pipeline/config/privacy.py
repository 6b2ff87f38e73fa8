"""What a tenant keeps of card and account numbers, and for how long it keeps what providers sent (`privacy.yml`).

    card_numbers: mask          # keep, mask or refuse
    ibans: mask                 # keep, mask or refuse
    retention: {landing_days: 400, callback_days: 90}
    holds: [{provider: stripe, from: "2026-01-01", to: "2026-03-31", reason: audit of 2026}]

Without the file everything is kept as it came, for good. Does not belong here: finding numbers (ingest.masking),
deleting (upkeep.retention).
"""

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline import identifiers
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths

KEEP: Final = "keep"
MASK: Final = "mask"
REFUSE: Final = "refuse"
_Treatment = Literal["keep", "mask", "refuse"]
_Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(BaseModel):
    """Days after the seal of the last window that rests on them for which what came is kept; null: for good."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    landing_days: _Days | None = None
    callback_days: _Days | None = None


class Hold(BaseModel):
    """Nothing of a provider (or of all) and of these days is deleted, whatever its age; `reason` says who asked."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    provider: str | None = None
    first_day: Annotated[str | None, Field(alias="from")] = None
    last_day: Annotated[str | None, Field(alias="to")] = None

    @field_validator("first_day", "last_day")
    @classmethod
    def _real_day(cls, value: str | None) -> str | None:
        try:
            return None if value is None else identifiers.ledger_window(value).isoformat()
        except UsageError as cause:
            raise ValueError(f"{value!r} is not a day of the form YYYY-MM-DD") from cause

    @model_validator(mode="after")
    def _in_order(self) -> "Hold":
        if self.first_day is not None and self.last_day is not None and self.first_day > self.last_day:
            raise ValueError(f"from {self.first_day} is after to {self.last_day}")
        return self

    def covers(self, provider: str, day: date | None) -> bool:
        """Whether it holds what is of a day; what may be of any, null, is held by every hold of its provider."""
        if self.provider is not None and self.provider != provider:
            return False
        first = date.min if self.first_day is None else date.fromisoformat(self.first_day)
        last = date.max if self.last_day is None else date.fromisoformat(self.last_day)
        return day is None or first <= day <= last


class Privacy(BaseModel):
    """A tenant's word on what is kept, how, and how long."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    card_numbers: _Treatment = KEEP
    ibans: _Treatment = KEEP
    retention: Retention = Retention()
    holds: tuple[Hold, ...] = ()

    @field_validator("holds", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


def load_privacy(paths: TenantPaths) -> Privacy:
    """What the tenant's file says; ConfigurationError names the file, the key and what is allowed."""
    path = paths.root / "privacy.yml"
    if not path.exists():
        return Privacy()
    content = strict_yaml.read_mapping(path)
    try:
        return Privacy.model_validate(content)
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, ("card_numbers", "ibans", "retention", "holds")))
        raise ConfigurationError(f"{path.name}: {found}") from cause
