"""Everything a run depends on, as values. Gathering them and writing them into a database do not belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from zentra_pipeline import ledger_windows
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.config.routing import RoutingRule
from zentra_pipeline.decisions.run_adjustments import RunDecisions
from zentra_pipeline.store.files import StagedFile


@dataclass(frozen=True)
class EarlierRun:
    """A published run that was created before this one, with the lake files of its current revision.

    `clearing_accounts` are those it was made with; None where its manifest does not tell.
    """

    run_id: str
    sequence: int
    revision: int
    content_digest: str
    settlement_file: str
    ledger_window: date
    tables: dict[str, Path] = field(default_factory=dict)
    clearing_accounts: frozenset[str] | None = None


@dataclass(frozen=True)
class RunInputs:
    """Everything a run depends on. The same inputs give the same tables, byte for byte.

    `passed_on` are settlement files whose runs were taken back → the file of the run that their rows went on to.
    """

    tenant: str
    provider: str
    run_id: str
    settlement_file: str
    ledger_window: date
    as_of: datetime
    owner: str
    profile: Profile
    routing: Sequence[RoutingRule]
    business_days: ledger_windows.BusinessDays
    files: Sequence[StagedFile]
    earlier: Sequence[EarlierRun]
    decisions: RunDecisions = field(default_factory=RunDecisions)
    passed_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def window_starts_at(self) -> datetime:
        return ledger_windows.window_start(self.ledger_window, self.profile.timezone, self.profile.window_cutoff)

    @property
    def window_ends_at(self) -> datetime:
        following = self.ledger_window + timedelta(days=1)
        return ledger_windows.window_start(following, self.profile.timezone, self.profile.window_cutoff)

    @property
    def review_cutoff_at(self) -> datetime:
        profile = self.profile
        grace = profile.callback_grace_minutes
        return ledger_windows.review_cutoff(self.ledger_window, profile.timezone, profile.window_cutoff, grace)


def clearing_accounts_of(manifest: Mapping[str, Any]) -> frozenset[str] | None:
    """The clearing accounts a revision was made with, by its manifest."""
    accounts = manifest.get("profile", {}).get("clearing_accounts")
    return None if accounts is None else frozenset(accounts)
