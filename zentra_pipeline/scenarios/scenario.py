"""Reads a scenario: a business story as files that arrive, windows that run, and the rows that must be published then.

    data/scenarios/<name>/
        README.md                the story
        scenario.yml             tenant, provider, profile, banks and the steps in order
        inputs/                  files as they would arrive
        expected/<moment>/*.csv  published rows at each `expect` step, in natural columns: no derived ids

Does not belong here: reconciling, comparing, playing the story.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zentra_pipeline import identifiers, settings
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.config.profile import Profile, parse_profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest.files import IngestOutcome, ingest_files
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.tenants.tenant import Tenant

SCENARIOS: Final = settings.PACKAGE_ROOT.parent / "data" / "scenarios"

# What a scenario may expect, by the statement of `scenarios/sql` that reads it; the legs of a match are one cell.
EXPECTED_TABLES: Final = (
    "matches",
    "exceptions",
    "open_items",
    "conservation",
    "rollforward",
    "closeouts",
    "closeout_evidence",
    "quarantine",
    "payouts",
)


Day = Annotated[date, Field(strict=False)]
Instant = Annotated[datetime, Field(strict=False)]
_CLOSED = ConfigDict(strict=True, frozen=True, extra="forbid")


class Ingest(BaseModel):
    """Files of one kind are ingested; a settlement file goes by its stem unless `settlement_file` names it.

    Statements are those of a `bank`.
    """

    model_config = _CLOSED

    kind: identifiers.FileKind
    files: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    settlement_file: str | None = None
    bank: str | None = None


class Run(BaseModel):
    """A window is reconciled, or a day of a bank account, judged as of an instant."""

    model_config = _CLOSED

    settlement_file: str = ""
    bank_account: str | None = None
    ledger_window: Day
    owner: str
    as_of: Instant


class Decide(BaseModel):
    """Somebody decides about the open exception of a type and subject."""

    model_config = _CLOSED

    exception_type: str
    subject_id: str
    action: str
    actor: str
    reason: str | None = None
    owner: str | None = None
    resolution: str | None = None


class Close(BaseModel):
    """Two operators close a window, or a day of a bank account: one prepares, the other approves."""

    model_config = _CLOSED

    settlement_file: str = ""
    bank_account: str | None = None
    ledger_window: Day
    prepared_by: str
    approved_by: str


class ScenarioStep(BaseModel):
    """One thing that happens: files are ingested, a window runs, somebody decides or closes, or rows are expected."""

    model_config = _CLOSED

    ingest: Ingest | None = None
    run: Run | None = None
    decide: Decide | None = None
    close: Close | None = None
    expect: str | None = None


class _Document(BaseModel):
    """What scenario.yml holds."""

    model_config = _CLOSED

    tenant: str
    provider: str
    profile: dict[str, Any] = {}
    banks: dict[str, dict[str, Any]] = {}
    steps: Annotated[tuple[ScenarioStep, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True)
class ExpectedTable:
    """The rows of one table at one moment, as text: nulls are empty."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scenario:
    """A story that can be played: `profile` as written, with the keys that differ from their defaults."""

    folder: Path
    tenant: str
    provider: str
    profile: Mapping[str, Any]
    banks: Mapping[str, Mapping[str, Any]]
    steps: tuple[ScenarioStep, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> Profile:
        """The profile the story is judged by."""
        return parse_profile(self.profile, "scenario.yml: profile")

    def expected(self, moment: str) -> list[ExpectedTable]:
        """The tables expected at a moment; UsageError when there are none."""
        paths = sorted((self.folder / "expected" / moment).glob("*.csv"))
        if not paths:
            raise UsageError(f"scenario {self.name} expects {moment!r}, but expected/{moment} holds no table")
        return [_expected_table(path) for path in paths]

    def request(self, run: Run) -> RunRequest:
        """The run as one asks for it."""
        if run.bank_account is not None:
            return run_requests.of_account(run.bank_account, run.ledger_window, run.owner, run.as_of)
        return RunRequest(self.provider, run.settlement_file, run.ledger_window, run.owner, run.as_of)

    def write_profiles(self, paths: TenantPaths) -> None:
        """Write the profiles of the provider and the banks of the story."""
        written = {paths.providers / f"{self.provider}.yml": self.profile}
        written |= {paths.banks / f"{bank}.yml": profile for bank, profile in self.banks.items()}
        for path, content in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(dict(content)), encoding="utf-8")

    def ingest(self, tenant: Tenant, step: Ingest, now: datetime) -> IngestOutcome:
        """Let a step's files in."""
        formats = {"settlement": self.settings.settlement_format, "callbacks": self.settings.callback_format}
        return ingest_files(
            tenant,
            provider=step.bank or self.provider,
            kind=step.kind,
            files=[self.folder / "inputs" / name for name in step.files],
            file_id=step.settlement_file,
            format=self.banks[step.bank]["format"] if step.bank is not None else formats.get(step.kind, "canonical"),
            now=now,
        )


def load_scenario(folder: Path) -> Scenario:
    """The scenario of a folder; UsageError names what is wrong with scenario.yml."""
    content = strict_yaml.read_mapping(folder / "scenario.yml")
    try:
        document = _Document.model_validate(content)
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(_Document.model_fields)))
        raise UsageError(f"{folder.name}/scenario.yml: {found}") from cause
    for number, step in enumerate(document.steps, start=1):
        if len(step.model_fields_set) != 1:
            known = ", ".join(ScenarioStep.model_fields)
            raise UsageError(f"{folder.name}/scenario.yml: step {number} must be one of {known}")
    return Scenario(folder, document.tenant, document.provider, document.profile, document.banks, document.steps)


def scenario_folders() -> list[Path]:
    """The shipped scenarios in alphabetical order."""
    return sorted(path.parent for path in SCENARIOS.glob("*/scenario.yml"))


def _expected_table(path: Path) -> ExpectedTable:
    if path.stem not in EXPECTED_TABLES:
        raise UsageError(f"{path.name} is no table a scenario can expect; those are {', '.join(EXPECTED_TABLES)}")
    with path.open(encoding="utf-8", newline="") as stream:
        columns, *rows = csv.reader(stream, strict=True)
    return ExpectedTable(path.stem, tuple(columns), tuple(sorted(tuple(row) for row in rows)))
