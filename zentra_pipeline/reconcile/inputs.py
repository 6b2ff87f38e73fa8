"""Everything a run depends on, as values. Gathering them and writing them into a database do not belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from zentra_pipeline import ledger_windows
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.config.routing import RoutingRule
from zentra_pipeline.decisions.run_adjustments import RunDecisions
from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile import run_kinds
from zentra_pipeline.reconcile.run_kinds import RunKind
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.runs import Revision, Run

# By which edition of the bank's rules runs of accounts count. The first counted what was credited short as credited.
BANK_EDITION: Final = 2
# What a manifest says of a run that read what is new or open, and the rows of the past that share a key with it.
RELATED_ROWS: Final = "related rows"


@dataclass(frozen=True)
class EarlierRun:
    """A published run that was created before this one, with the lake files of its current revision.

    `rows` says how many rows each table has, where that is known. `clearing_accounts` are those it was made with; None
    where its manifest does not say. `files` are the sequences of the files it read, `made_from` the earlier runs and
    their revisions that it started from.
    """

    run_id: str
    sequence: int
    revision: int
    content_digest: str
    settlement_file: str
    ledger_window: date
    as_of: datetime
    window_ends_at: datetime
    tables: Mapping[str, Path]
    rows: Mapping[str, int] = field(default_factory=dict)
    clearing_accounts: frozenset[str] | None = None
    files: frozenset[int] = frozenset()
    made_from: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, run: Run, revision: Revision, tables: Mapping[str, Path], content_digest: str) -> "EarlierRun":
        """A published revision, with where its tables lie, as a run that comes after it sees it."""
        manifest = revision.manifest
        profile = manifest.get("profile", {})
        window = date.fromisoformat(run.ledger_window)
        return cls(
            run_id=run.run_id,
            sequence=run.sequence,
            revision=revision.revision,
            content_digest=content_digest,
            settlement_file=run.settlement_file,
            ledger_window=window,
            as_of=instant_of(revision.as_of),
            window_ends_at=ledger_windows.window_start(
                window + timedelta(days=1), profile.get("timezone", "UTC"), profile.get("window_cutoff", "00:00")
            ),
            tables=dict(tables),
            rows={name: int(entry["rows"]) for name, entry in revision.tables.items() if "rows" in entry},
            clearing_accounts=clearing_accounts_of(manifest),
            files=frozenset(int(entry["sequence"]) for entry in manifest.get("files", [])),
            made_from=frozenset((entry["run_id"], entry["revision"]) for entry in manifest.get("earlier", [])),
        )


@dataclass(frozen=True)
class PayoutSource:
    """The payouts that a provider's published run reports: the revision that a bank run takes them from.

    `sequence` is the run's place in the order of creation, `sha256` the digest of the table's bytes.
    """

    provider: str
    run_id: str
    revision: int
    sequence: int
    ledger_window: date
    path: Path
    sha256: str


class PayoutTerms(BaseModel):
    """What a provider's profile says of its payouts into a bank account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    bank_lag_days: int = 3
    bank_reference_pattern: str | None = None
    bank_fee_tolerance_minor: dict[str, int] = {}
    payout_grouping: str = "none"


@dataclass(frozen=True)
class BankSide:
    """What a run of a bank account sees beside its statements: the payouts of providers, and their terms.

    `edition` is that of the bank's rules which the run counts by: a revision that is made again, its own.
    """

    account: str
    payouts: Sequence[PayoutSource] = ()
    terms: Sequence[PayoutTerms] = ()
    edition: int = BANK_EDITION


class MissedCallback(NamedTuple):
    """A movement of which a revision says that no callback had succeeded by its `as_of`, which is `missed_as_of`."""

    transaction_id: str
    currency: str
    missed_as_of: datetime


@dataclass(frozen=True)
class RunInputs:
    """Everything a run depends on. The same inputs give the same tables, byte for byte.

    `passed_on` are settlement files whose runs were taken back → the file of the run that their rows went on to.
    `reads_whole_history`: a revision of a release that read every row of the past, made again as it was made.
    `bank` is there for a run of a bank account. `missed_callbacks` are those that the run's current revision says are
    missing; of a revision those of them that have come since.
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
    reads_whole_history: bool = False
    bank: BankSide | None = None
    missed_callbacks: Sequence[MissedCallback] = ()

    @property
    def kind(self) -> RunKind:
        """Whether it is a run of a provider or of a bank account."""
        return run_kinds.PROVIDER if self.bank is None else run_kinds.BANK

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


def payout_source(run: Run, revision: Revision, path: Path) -> PayoutSource:
    """A published revision of a provider's run as the source of its payouts; `path` is where their table lies."""
    return PayoutSource(
        provider=run.provider,
        run_id=run.run_id,
        revision=revision.revision,
        sequence=run.sequence,
        ledger_window=date.fromisoformat(run.ledger_window),
        path=path,
        sha256=str(revision.tables["payouts"]["sha256"]),
    )


def terms_of(provider: str, profile: Profile) -> PayoutTerms:
    """What a provider's profile says of its payouts."""
    return PayoutTerms(
        provider=provider,
        bank_lag_days=profile.bank_lag_days,
        bank_reference_pattern=profile.bank_reference_pattern,
        bank_fee_tolerance_minor=profile.bank_fee_tolerance_minor,
        payout_grouping=profile.payout_grouping,
    )


def clearing_accounts_of(manifest: Mapping[str, Any]) -> frozenset[str] | None:
    """The clearing accounts a revision was made with, by its manifest."""
    accounts = manifest.get("profile", {}).get("clearing_accounts")
    return None if accounts is None else frozenset(accounts)


def missed_callbacks(manifest: Mapping[str, Any]) -> list[MissedCallback]:
    """What a revision says that an earlier one missed and has come since, by its manifest."""
    return [
        MissedCallback(transaction_id, currency, instant_of(missed_as_of))
        for transaction_id, currency, missed_as_of in manifest.get("missed_callbacks", [])
    ]


def reads_whole_history(manifest: Mapping[str, Any]) -> bool:
    """Whether a revision was made by a release that read every row of the past, by its manifest."""
    return manifest.get("history") != RELATED_ROWS
