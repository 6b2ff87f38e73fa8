"""What a tenant lets intents ask for: `intents` of policy.yml. Judging one by it is in runtime.

intents:
  limit_minor: {USD: 1000000, "*": 0}
  scopes:
    payments:transfer: [transfer]
    payments:all: [transfer, payment, card, refund]
"""

import hashlib
import json
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zentra_pipeline import vocabulary

# Movements that somebody can ask for; chargebacks, fees, payouts and corrections come from elsewhere.
MOVEMENT_TYPES: Final = ("transfer", "payment", "card", "refund")
_ANY: Final = vocabulary.ANY_CURRENCY


class IntentPolicy(BaseModel):
    """What intents may ask for. `limit_minor`: currency (`*`: any other) → the most an intent may move, in minor units.

    Without limits any amount may be moved; a currency missing from them has 0. `scopes`: scope → the movement types it
    lets; without scopes any scope lets all of them, and one missing from them lets none.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    limit_minor: dict[str, Annotated[int, Field(ge=0, lt=10**15)]] | None = None
    scopes: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] | None = None

    @field_validator("limit_minor", mode="before")
    @classmethod
    def _one_for_all_currencies(cls, value: object) -> object:
        return {_ANY: value} if type(value) is int else value

    @field_validator("limit_minor")
    @classmethod
    def _known_currencies(cls, value: dict[str, int] | None) -> dict[str, int] | None:
        unknown = sorted((value or {}).keys() - vocabulary.currencies().keys() - {_ANY})
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not an ISO 4217 currency, nor {_ANY} for any")
        return value

    @field_validator("scopes")
    @classmethod
    def _known_movement_types(cls, value: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        for scope, allowed in (value or {}).items():
            unknown = [word for word in allowed if word not in MOVEMENT_TYPES]
            if unknown:
                raise ValueError(f"scope {scope}: {unknown[0]!r} is not one of {', '.join(MOVEMENT_TYPES)}")
        return value

    def digest(self) -> str:
        """Hex SHA-256 of the policy as canonical JSON."""
        content = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
