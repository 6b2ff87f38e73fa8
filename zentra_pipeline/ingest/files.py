"""Ingest: a command's files, from landed bytes through the gate to staged rows, registered together or not at all.

Does not belong here: formats (sources), what a row must look like (contracts), printing (cli).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from zentra_pipeline import identifiers, locks
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.events.types import PROVIDER_DRIFTED
from zentra_pipeline.ingest import arrivals, landing, mappings, staging
from zentra_pipeline.ingest.arrivals import Arrival, Command, StagedArrival
from zentra_pipeline.ingest.landing import Landed
from zentra_pipeline.instants import instant_of
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import event_log, file_facts
from zentra_pipeline.store import files as registered
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of one file; `reasons` counts the rows in quarantine by the rule they break, at most 20 rules.

    A rule goes by the reason of the first row that breaks it; `reason_rows` has the numbers of its first three rows.

    `ids_used_twice`: ids that several rows of the file use for different contents, with the numbers of those rows, all
    of them in quarantine. `notes` counts what the file holds that is no row of its kind (events that move no money).
    `unchanged`: the same content was registered before under this file id, and nothing was written.
    """

    file_id: str
    sha256: str
    rows: int
    staged: int
    quarantined: int
    unchanged: bool
    unknown_columns: tuple[str, ...]
    reasons: dict[str, int]
    reason_rows: dict[str, tuple[int, ...]]
    notes: dict[str, int]
    ids_used_twice: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class IngestOutcome:
    """The outcome of a command's files, in the order they were named."""

    kind: str
    provider: str
    files: tuple[FileOutcome, ...]


def ingest_files(
    tenant: Tenant,
    *,
    provider: str,
    kind: str,
    files: Sequence[Path],
    file_id: str | None,
    format: str,
    now: datetime,
    may_quarantine_all: bool = False,
    received_by: str | None = None,
) -> IngestOutcome:
    """Land, check and stage files of one kind from one provider, or bank; the registration in `ops.db` commits them.

    Without `file_id` a file goes by its stem. `now` and `received_by` are recorded as when it was received and by whom.
    UsageError when an id or kind is not allowed; InputRejectedError when a file is broken or rows exist and none got
    in, unless `may_quarantine_all`; then nothing changed. A process killed at any point leaves nothing that is seen,
    and the next ingest clears it away.
    """
    from zentra_pipeline.published import lake

    command = Command(
        tenant,
        identifiers.provider_id(provider),
        contract_of(kind),
        format,
        now,
        may_quarantine_all,
        stops_early=len(files) == 1 and not may_quarantine_all,
        received_by=received_by,
        mapping=mappings.in_force(tenant.paths, provider, kind, format),
    )
    ids = [_id_of_name(source) if file_id is None else identifiers.settlement_file_id(file_id) for source in files]
    if not files:
        raise UsageError("no file to ingest: name at least one")
    with locks.holding(tenant.paths, locks.INGEST):
        with tenant.writing() as connection:
            next_sequence = registered.next_sequence(connection)
        _clear_away(tenant.paths, next_sequence)
        try:
            outcome = _ingest(command, list(zip(files, ids, strict=True)), next_sequence)
        finally:
            _clear_away(tenant.paths)
    # Also where nothing is new: whoever ingested it may have died before readers could see it.
    lake.refresh(tenant.paths)
    return outcome


def _id_of_name(source: Path) -> str:
    try:
        return identifiers.settlement_file_id(source.stem)
    except UsageError as cause:
        raise UsageError(
            f"the name of {source.name!r} is not a settlement file id: give the file an id of its own ({cause})"
        ) from cause


def _clear_away(paths: TenantPaths, next_sequence: int | None = None) -> None:
    landing.discard_arriving(paths)
    staging.discard_arriving(paths)
    if next_sequence is not None:
        staging.discard_unregistered(paths, next_sequence)


def _ingest(command: Command, sources: list[tuple[Path, str]], next_sequence: int) -> IngestOutcome:
    with command.tenant.writing() as connection:
        before = registered.registrations(connection, command.contract.kind, command.provider)
    arrived: dict[tuple[str, str], StagedArrival] = {}
    contents: list[tuple[str, str]] = []
    is_first: list[bool] = []
    for position, (source, file_id) in enumerate(sources):
        landed = landing.receive(command.paths, source, position)
        content = (file_id, landed.sha256)
        contents.append(content)
        is_first.append(content not in before and content not in arrived)
        if content in before:
            landing.keep(command.paths, landed)
        elif content not in arrived:
            arrival = Arrival(source, file_id, landed, next_sequence + len(arrived))
            arrived[content] = arrivals.stage(command, arrival)
    staged = list(arrived.values())
    arrivals.quarantine_contradictions(command, staged, _known_files(command))
    if not command.may_quarantine_all:
        arrivals.reject_when_no_row_accepted(staged)
    rows = [arrivals.registration(command, each) for each in staged]
    _commit(command, staged, rows)
    before |= {(row.file_id, row.sha256): row for row in rows}
    outcomes = (
        _outcome(arrived[content]) if first else _unchanged(before[content], command)
        for content, first in zip(contents, is_first, strict=True)
    )
    return IngestOutcome(command.contract.kind, command.provider, tuple(outcomes))


def restage(tenant: Tenant, landed: Path, file: StagedFile, before: Sequence[StagedFile]) -> StagedFile:
    """Stage a registered file of a tenant again from its landed bytes; the files `before` it were staged there.

    Returns its registration as it would be today: `file` itself unless bytes, code or callback secrets are others.
    Errors as ingest_files'.
    """
    format, mapping = mappings.recorded(landed.parent, file.kind, file.format)
    received_at = instant_of(file.received_at)
    command = Command(tenant, file.provider, contract_of(file.kind), format, received_at, mapping=mapping)
    bytes_of_file = Landed(landed, file.sha256, file.byte_size)
    arrival = Arrival(Path(file.original_name), file.file_id, bytes_of_file, file.sequence)
    known = [(row, tenant.paths.root / row.staged_path) for row in before if row.kind == file.kind and row.staged_path]
    staged = arrivals.stage(command, arrival)
    arrivals.quarantine_contradictions(command, [staged], known)
    row = arrivals.registration(command, staged)
    arrivals.place(command, arrival, row)
    return row


def _known_files(command: Command) -> list[tuple[StagedFile, Path]]:
    """Staged files of the same kind and where they are."""
    with command.tenant.writing() as connection:
        stored = registered.staged_files(connection, command.contract.kind)
    return [(row, command.paths.root / row.staged_path) for row in stored if row.staged_path]


def _commit(command: Command, staged: Sequence[StagedArrival], rows: Sequence[StagedFile]) -> None:
    """Put bytes and rows in place, then register them in one transaction: before it nobody sees them."""
    facts = [arrivals.facts(command, each) for each in staged]
    if rows:
        mappings.keep(command.paths.landing, command.mapping)
    for each, row in zip(staged, rows, strict=True):
        landing.keep(command.paths, each.arrival.landed)
        arrivals.place(command, each.arrival, row)
    if rows:
        with command.tenant.writing() as connection:
            registered.register(connection, rows)
            file_facts.record(connection, facts)
            for row in rows:
                _emit_drift(connection, command, row)


def _emit_drift(connection: Connection, command: Command, row: StagedFile) -> None:
    """Emit one event for a file with columns that its contract does not know."""
    unknown = json.loads(row.unknown_columns)
    if unknown:
        drifted = cloud_event(
            PROVIDER_DRIFTED,
            tenant=command.tenant.name,
            fact=[row.kind, row.provider, row.file_id, row.sha256],
            subject=row.file_id,
            run_id=None,
            actor=command.received_by or "system",
            at=command.now,
            data={
                "provider": row.provider,
                "kind": row.kind,
                "file_id": row.file_id,
                "sha256": row.sha256,
                "unknown_columns": unknown,
            },
        )
        event_log.append(connection, drifted)


def _outcome(staged: StagedArrival) -> FileOutcome:
    arrival, tally = staged.arrival, staged.tally
    return FileOutcome(
        file_id=arrival.file_id,
        sha256=arrival.landed.sha256,
        rows=tally.read,
        staged=tally.staged,
        quarantined=tally.quarantined,
        unchanged=False,
        unknown_columns=tuple(sorted(tally.unknown_columns)),
        reasons={rule.reason: rule.count for rule in tally.by_count},
        reason_rows={rule.reason: tuple(rule.rows) for rule in tally.by_count},
        notes=dict(tally.notes),
        ids_used_twice={name: tuple(numbers) for name, numbers in tally.ids_used_twice.items()},
    )


def _unchanged(before: StagedFile, command: Command) -> FileOutcome:
    is_other = before.format != command.recorded_format
    return FileOutcome(
        file_id=before.file_id,
        sha256=before.sha256,
        rows=before.rows_staged + before.rows_quarantined,
        staged=before.rows_staged,
        quarantined=before.rows_quarantined,
        unchanged=True,
        unknown_columns=tuple(json.loads(before.unknown_columns)),
        reasons={},
        reason_rows={},
        notes={mappings.READ_OTHERWISE: 1} if is_other else {},
        ids_used_twice={},
    )
