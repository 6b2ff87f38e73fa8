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
from zentra_pipeline.config.privacy import MASK, REFUSE, load_privacy
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.events.types import PROVIDER_DRIFTED
from zentra_pipeline.ingest import arrivals, landing, mappings, staging
from zentra_pipeline.ingest.arrivals import Arrival, Command, StagedArrival
from zentra_pipeline.ingest.landing import Landed
from zentra_pipeline.ingest.masking import CARD, IBAN, Masking, of_notes
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


@dataclass(frozen=True)
class FilesOfKind:
    """The files of one kind that a command names: whose they are, and the format they are read in.

    Without `file_id` a file goes by its stem.
    """

    provider: str
    kind: str
    files: Sequence[Path]
    file_id: str | None
    format: str


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
    """Land, check and stage files of one kind from one provider, or bank: `ingest_together` of this kind alone."""
    (outcome,) = ingest_together(
        tenant,
        [FilesOfKind(provider, kind, files, file_id, format)],
        now=now,
        may_quarantine_all=may_quarantine_all,
        received_by=received_by,
    )
    return outcome


def ingest_together(
    tenant: Tenant,
    kinds: Sequence[FilesOfKind],
    *,
    now: datetime,
    may_quarantine_all: bool = False,
    received_by: str | None = None,
) -> list[IngestOutcome]:
    """Land, check and stage files of several kinds, each named once; one registration in `ops.db` commits them all.

    Gives an outcome for each kind, in their order. `now` and `received_by` are recorded as when the files were received
    and by whom. UsageError when an id or kind is not allowed; InputRejectedError when a file is broken or rows of a
    kind exist and none got in, unless `may_quarantine_all`; then nothing changed, of no kind. A process killed at any
    point leaves nothing that is seen, and the next ingest clears it away.
    """
    from zentra_pipeline.published import lake

    commands = [_command(tenant, each, now, may_quarantine_all, received_by) for each in kinds]
    sources = [_sources(each) for each in kinds]
    if not any(sources):
        raise UsageError("no file to ingest: name at least one")
    if len({command.contract.kind for command in commands}) < len(commands):
        raise UsageError("a kind is named twice: name it once, with all its files")
    with tenant.holding(locks.INGEST):
        with tenant.writing() as connection:
            next_sequence = registered.next_sequence(connection)
        _clear_away(tenant.paths, next_sequence)
        try:
            outcomes = _ingest(commands, sources, next_sequence)
        finally:
            _clear_away(tenant.paths)
    # Also where nothing is new: whoever ingested it may have died before readers could see it.
    lake.refresh(tenant.paths)
    return outcomes


def _command(
    tenant: Tenant, asked: FilesOfKind, now: datetime, may_quarantine_all: bool, received_by: str | None
) -> Command:
    return Command(
        tenant,
        identifiers.provider_id(asked.provider),
        contract_of(asked.kind),
        asked.format,
        now,
        may_quarantine_all,
        stops_early=len(asked.files) == 1 and not may_quarantine_all,
        received_by=received_by,
        mapping=mappings.in_force(tenant.paths, asked.provider, asked.kind, asked.format),
        masking=_masking(tenant.paths, asked.kind),
    )


def _sources(asked: FilesOfKind) -> list[tuple[Path, str]]:
    """Each file with the id it goes by."""
    named = asked.file_id
    ids = [_id_of_name(file) if named is None else identifiers.settlement_file_id(named) for file in asked.files]
    return list(zip(asked.files, ids, strict=True))


def _masking(paths: TenantPaths, kind: str) -> Masking:
    """What the tenant's file says of numbers; a callback, which was taken already, is masked and not refused."""
    privacy = load_privacy(paths)
    said = {CARD: privacy.card_numbers, IBAN: privacy.ibans}
    refused = frozenset(number for number, word in said.items() if word == REFUSE)
    masked = frozenset(number for number, word in said.items() if word == MASK)
    return Masking(masked | refused) if kind == "callbacks" else Masking(masked, refused)


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


def _ingest(
    commands: Sequence[Command], sources: Sequence[list[tuple[Path, str]]], next_sequence: int
) -> list[IngestOutcome]:
    arrived: list[_Arrived] = []
    for command, named in zip(commands, sources, strict=True):
        position = sum(len(each.contents) for each in arrived)
        sequence = next_sequence + sum(len(each.staged) for each in arrived)
        found = _receive(command, named, position, sequence)
        arrivals.quarantine_contradictions(command, found.staged, _known_files(command))
        if not command.may_quarantine_all:
            arrivals.reject_when_no_row_accepted(found.staged, command.contract.kind if len(commands) > 1 else None)
        arrived.append(found)
    registrations = [[arrivals.registration(each.command, one) for one in each.staged] for each in arrived]
    _commit(arrived, registrations)
    return [each.outcome(rows) for each, rows in zip(arrived, registrations, strict=True)]


@dataclass(frozen=True)
class _Arrived:
    """The files of one kind as they arrived, before anything is registered.

    `contents`: id and digest of each file in the order they were named; `first`: of which nothing like it was there
    before, here or in `before`. These are `staged`, in that order.
    """

    command: Command
    before: dict[tuple[str, str], StagedFile]
    contents: list[tuple[str, str]]
    first: list[bool]
    staged: list[StagedArrival]

    def outcome(self, rows: Sequence[StagedFile]) -> IngestOutcome:
        """What became of the files, given the registrations of those that were staged."""
        known = self.before | {(row.file_id, row.sha256): row for row in rows}
        staged = iter(self.staged)
        files = (
            _outcome(next(staged)) if first else _unchanged(known[content], self.command)
            for content, first in zip(self.contents, self.first, strict=True)
        )
        return IngestOutcome(self.command.contract.kind, self.command.provider, tuple(files))


def _receive(command: Command, sources: Sequence[tuple[Path, str]], position: int, sequence: int) -> _Arrived:
    """Land the files of a kind and stage those that are new, from this position and sequence on."""
    with command.tenant.writing() as connection:
        before = registered.registrations(connection, command.contract.kind, command.provider)
    arrived: dict[tuple[str, str], StagedArrival] = {}
    contents: list[tuple[str, str]] = []
    first: list[bool] = []
    for source, file_id in sources:
        landed = landing.receive(command.paths, source, position + len(contents))
        content = (file_id, landed.sha256)
        contents.append(content)
        first.append(content not in before and content not in arrived)
        if content in before:
            landing.keep(command.paths, landed)
        elif content not in arrived:
            arrival = Arrival(source, file_id, landed, sequence + len(arrived))
            arrived[content] = arrivals.stage(command, arrival)
    return _Arrived(command, before, contents, first, list(arrived.values()))


def restage(
    tenant: Tenant, landed: Path, file: StagedFile, before: Sequence[StagedFile], notes: Sequence[str] = ()
) -> StagedFile:
    """Stage a registered file of a tenant again from its landed bytes; the files `before` it were staged there.

    `notes` are those of its first ingest: by them the numbers are masked that were masked then.
    Returns its registration as it would be today: `file` itself unless bytes, code or callback secrets are others.
    Errors as ingest_files'.
    """
    format, mapping = mappings.recorded(landed.parent, file.kind, file.format)
    received_at = instant_of(file.received_at)
    command = Command(
        tenant, file.provider, contract_of(file.kind), format, received_at, mapping=mapping, masking=of_notes(notes)
    )
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


def _commit(arrived: Sequence[_Arrived], registrations: Sequence[Sequence[StagedFile]]) -> None:
    """Put bytes and rows in place, then register all kinds in one transaction: before it nobody sees them."""
    new = [
        (each.command, staged, row)
        for each, rows in zip(arrived, registrations, strict=True)
        for staged, row in zip(each.staged, rows, strict=True)
    ]
    if not new:
        return
    facts = [arrivals.facts(command, staged) for command, staged, _ in new]
    for (command, staged, row), known in zip(new, facts, strict=True):
        mappings.keep(command.paths.landing, command.mapping)
        mappings.share(command.paths, command.mapping)
        landing.keep(command.paths, staged.arrival.landed)
        arrivals.place(command, staged.arrival, row, known)
    with new[0][0].tenant.writing() as connection:
        registered.register(connection, [row for _, _, row in new])
        file_facts.record(connection, facts)
        for command, _, row in new:
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
