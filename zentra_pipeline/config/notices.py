"""Who is notified of what (`tenants/<tenant>/notices.yml`): per lane, by webhook in a chat's own form or by mail.

    console: https://zentra.example.com/console
    mail_from: zentra@example.com
    lanes:
      settlement_breaks:
        - {slack: ZENTRA_SLACK_SETTLEMENT}
        - {mail: [finance@example.com]}
      "*": [{teams: ZENTRA_TEAMS_OPERATIONS}]

A webhook's URL is a secret, so the file names the environment variable that holds it. Sending does not belong here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.settings import TenantPaths

ANY_LANE: Final = "*"
_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")
_MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_VARIABLE: Final = r"^ZENTRA_[A-Z0-9_]{1,64}$"
Variable = Annotated[str, Field(pattern=_VARIABLE)]
Mail = Annotated[str, Field(pattern=f"^{_MAIL.pattern}$", max_length=254)]


class Receiver(BaseModel):
    """One receiver: exactly one of `slack`, `teams` (an environment variable each) and `mail` (addresses)."""

    model_config = _STRICT

    slack: Variable | None = None
    teams: Variable | None = None
    mail: Annotated[tuple[Mail, ...], Field(strict=False, min_length=1, max_length=20)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Receiver":
        if sum(each is not None for each in (self.slack, self.teams, self.mail)) != 1:
            raise ValueError("name one of slack, teams and mail")
        return self


class Notices(BaseModel):
    """A tenant's notices: `lanes` by name, `*` for those that have none of their own; `console` is linked to."""

    model_config = _STRICT

    console: Annotated[str, Field(pattern=r"^https?://[!-~]{1,400}$")] | None = None
    mail_from: Mail | None = None
    lanes: dict[str, Annotated[tuple[Receiver, ...], Field(strict=False)]] = {}

    @model_validator(mode="after")
    def _sender(self) -> "Notices":
        if self.mail_from is None and any(each.mail for receivers in self.lanes.values() for each in receivers):
            raise ValueError("mail_from is needed where somebody is notified by mail")
        return self

    def receivers(self, lane: str | None) -> Sequence[Receiver]:
        """Who is notified of a lane."""
        return self.lanes.get(lane or ANY_LANE, self.lanes.get(ANY_LANE, ()))


def load_notices(paths: TenantPaths) -> Notices:
    """The tenant's notices, none without a file. ConfigurationError names file, key and what is allowed."""
    path = paths.root / "notices.yml"
    if not path.exists():
        return Notices()
    return parse_notices(strict_yaml.read_mapping(path), path.name)


def parse_notices(content: Mapping[str, Any], name: str) -> Notices:
    """Notices from a parsed mapping; `name` is what errors call the file."""
    try:
        return Notices.model_validate(dict(content))
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(Notices.model_fields)))
        raise ConfigurationError(f"{name}: {found}") from cause
