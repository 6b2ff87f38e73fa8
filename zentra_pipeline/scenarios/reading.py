"""Reads a scenario: a business story as files that come in, windows that run, and the rows that must be published then.

    data/scenarios/<name>/
        README.md                the story
        scenario.yml             tenant, provider, profile and the steps in order
        inputs/                  files as they would arrive
        expected/<moment>/*.csv  published rows at each `expect` step, in natural columns: no derived ids

Does not belong here: reconciling, comparing, telling the story.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zentra_pipeline import settings
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.config.profile import Profile, parse_profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest.files import IngestOutcome, ingest_files
from zentra_pipeline.reconcile.window_run import RunRequest
from zentra_pipeline.settings import TenantPaths

SCENARIOS: Final = settings.PACKAGE_ROOT.parent / "data" / "scenarios"

# What a scenario's expected tables hold. Legs of a match stand in one cell, separated by spaces.
EXPECTED_TABLES: Final[Mapping[str, str]] = {
    "matches": """
        with legs as (select distinct match_id, leg_type, leg_id from match_legs),
             lines as (select * from legs where leg_type = 'settlement_line'),
             movements as (select * from legs where leg_type = 'ledger_transaction'),
             deliveries as (select * from legs where leg_type = 'callback')
        select runs.ledger_window, matches.rule, matches.cardinality, matches.method, matches.status, matches.currency,
               matches.settlement_minor, matches.ledger_minor, matches.difference_minor,
               (select string_agg(leg_id, ' ' order by leg_id) from lines where match_id = matches.match_id)
                   as settlement_lines,
               (select string_agg(leg_id, ' ' order by leg_id) from movements where match_id = matches.match_id)
                   as ledger_transactions,
               (select string_agg(leg_id, ' ' order by leg_id) from deliveries where match_id = matches.match_id)
                   as callbacks
        from matches
        inner join runs using (run_id)
    """,
    "exceptions": """
        select runs.ledger_window, exceptions.exception_type, exceptions.subject_type, exceptions.subject_id,
               exceptions.provider_reference, exceptions.currency, exceptions.amount_minor, exceptions.difference_minor,
               exceptions.owner, exceptions.status, exceptions.resolution
        from exceptions
        inner join runs using (run_id)
    """,
    "open_items": """
        select runs.ledger_window, open_items.item_type, open_items.item_id, open_items.provider_reference,
               open_items.currency, open_items.amount_minor, open_items.opened_window, open_items.age_business_days
        from open_items
        inner join runs using (run_id)
    """,
    "conservation": """
        select runs.ledger_window, side, currency, rows_in, matched, in_transit, excepted, accounted, duplicates,
               quarantined, rows_unexplained, amount_in_minor, matched_minor, in_transit_minor, excepted_minor,
               accounted_minor, duplicates_minor, quarantined_minor, amount_unexplained_minor
        from conservation
        inner join runs using (run_id)
    """,
    "rollforward": """
        select runs.ledger_window, currency, opening_minor, posted_minor, settled_minor, written_off_minor,
               closing_minor, difference_minor
        from rollforward
        inner join runs using (run_id)
    """,
    "closeouts": """
        select ledger_window, revision, status, prepared_by, approved_by, reason, chain_sequence, evidence_rows
        from closeouts
    """,
    "closeout_evidence": """
        select closeouts.ledger_window, closeouts.revision, provider_reference, closeout_evidence.settlement_file,
               ledger_entry, exception_owner, actor, scope, policy, intent_id, signature,
               closeout_evidence.evidence_status, missing
        from closeout_evidence
        inner join closeouts using (closeout_id)
    """,
    "quarantine": "select source, file_id, row_number from quarantine",
}

Day = Annotated[date, Field(strict=False)]
Instant = Annotated[datetime, Field(strict=False)]
_CLOSED = ConfigDict(strict=True, frozen=True, extra="forbid")


class Ingest(BaseModel):
    """Files of one kind come in; a settlement file goes by its stem unless `settlement_file` names it."""

    model_config = _CLOSED

    kind: Literal["settlement", "ledger", "callbacks", "internal_events"]
    files: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    settlement_file: str | None = None


class Run(BaseModel):
    """A window is reconciled, judged as of an instant."""

    model_config = _CLOSED

    settlement_file: str
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
    """Two people close a window: one prepares, the other approves."""

    model_config = _CLOSED

    settlement_file: str
    ledger_window: Day
    prepared_by: str
    approved_by: str


class ScenarioStep(BaseModel):
    """One thing that happens: files come in, a window runs, somebody decides or closes, or rows are expected."""

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
        return RunRequest(self.provider, run.settlement_file, run.ledger_window, run.owner, run.as_of)

    def ingest(self, paths: TenantPaths, step: Ingest, now: datetime) -> IngestOutcome:
        """Let a step's files in."""
        formats = {"settlement": self.settings.settlement_format, "callbacks": self.settings.callback_format}
        return ingest_files(
            paths,
            provider=self.provider,
            kind=step.kind,
            files=[self.folder / "inputs" / name for name in step.files],
            file_id=step.settlement_file,
            format=formats.get(step.kind, "canonical"),
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
    return Scenario(folder, document.tenant, document.provider, document.profile, document.steps)


def scenario_folders() -> list[Path]:
    """The shipped scenarios in alphabetical order."""
    return sorted(path.parent for path in SCENARIOS.glob("*/scenario.yml"))


def _expected_table(path: Path) -> ExpectedTable:
    if path.stem not in EXPECTED_TABLES:
        raise UsageError(f"{path.name} is no table a scenario can expect; those are {', '.join(EXPECTED_TABLES)}")
    with path.open(encoding="utf-8", newline="") as stream:
        columns, *rows = csv.reader(stream, strict=True)
    return ExpectedTable(path.stem, tuple(columns), tuple(sorted(tuple(row) for row in rows)))
