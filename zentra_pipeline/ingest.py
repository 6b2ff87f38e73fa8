"""Ingest: a command's files, from landed bytes through the gate to staged rows, registered together or not at all.

Does not belong here: formats (sources), what a row must look like (contracts), printing (cli).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl
from sqlalchemy import Engine

from zentra_pipeline import identifiers, landing, locks, staging
from zentra_pipeline.conflicts import EarlierFile, conflicting_rows
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.contracts.gate import Verdict, guard, judge, refuse
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.landing import Landed
from zentra_pipeline.profile import callback_secrets
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.limits import COLUMN_LIMIT
from zentra_pipeline.sources.prefetch import one_ahead
from zentra_pipeline.sources.reading import frames
from zentra_pipeline.staging import QUARANTINE, QUARANTINE_COLUMNS, RowWriter, StagedName
from zentra_pipeline.store import files as registered
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.instants import instant_of, instant_text

REASONS_NAMED = 20
OTHER_REASONS = "other reasons"
_MEMBER_VALUE = r'":(?:"(?:[^"\\]|\\.)*"|[^,"{}\[\]]+)'


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file; `reasons` counts quarantine reasons, at most 20 of them.

    `notes` counts what the file holds that is no row of its kind (events that move no money).
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
    notes: dict[str, int]


@dataclass(frozen=True)
class IngestOutcome:
    """What became of a command's files, in the order they were named."""

    kind: str
    provider: str
    files: tuple[FileOutcome, ...]


@dataclass(frozen=True)
class _Command:
    """What all files of a command share."""

    paths: TenantPaths
    provider: str
    contract: Contract
    format: str
    now: datetime
    may_quarantine_all: bool = False


@dataclass(frozen=True)
class _Arrival:
    """A file of the command with its bytes received, the id it goes by and the sequence it would be registered with."""

    source: Path
    file_id: str
    landed: Landed
    sequence: int

    @property
    def staged_name(self) -> StagedName:
        return StagedName(self.sequence, self.landed.sha256)


@dataclass
class _Tally:
    """What passes by while a file is staged."""

    staged: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    unknown_columns: set[str] = field(default_factory=set)
    first_at: datetime | None = None
    last_at: datetime | None = None

    def admit(self, contract: Contract, admitted: pl.DataFrame) -> None:
        self.staged += admitted.height
        for column in contract.instants if admitted.height else ():
            low, high = admitted.select(pl.col(column).min(), pl.col(column).max().alias("last")).row(0)
            self.first_at = low if self.first_at is None else min(self.first_at, low)
            self.last_at = high if self.last_at is None else max(self.last_at, high)

    def refuse(self, reasons: pl.Series) -> None:
        self.quarantined += len(reasons)
        for reason in reasons:
            named = reason in self.reasons or len(self.reasons) < REASONS_NAMED - 1
            self.reasons[reason if named else OTHER_REASONS] += 1


def ingest_files(
    paths: TenantPaths,
    *,
    provider: str,
    kind: str,
    files: Sequence[Path],
    file_id: str | None,
    format: str,
    now: datetime,
    may_quarantine_all: bool = False,
) -> IngestOutcome:
    """Land, check and stage files of one kind from one provider; the registration in `ops.db` is the commit point.

    Without `file_id` a file goes by its stem. `now` is recorded as the time of receipt. UsageError when an id or kind
    is not allowed; InputRejectedError when a file is broken or rows exist and none got in, unless `may_quarantine_all`;
    then nothing changed. A process killed at any point leaves nothing that is seen, and the next ingest clears it away.
    """
    from zentra_pipeline import lake
    from zentra_pipeline.store.engine import operational_store

    command = _Command(paths, identifiers.provider_id(provider), contract_of(kind), format, now, may_quarantine_all)
    ids = [identifiers.settlement_file_id(source.stem if file_id is None else file_id) for source in files]
    if not files:
        raise UsageError("no file to ingest: name at least one")
    with locks.holding(paths, locks.INGEST):
        engine = operational_store(paths)
        with engine.begin() as connection:
            next_sequence = registered.next_sequence(connection)
        _clear_away(paths, next_sequence)
        try:
            outcome = _ingest(command, engine, list(zip(files, ids, strict=True)), next_sequence)
        finally:
            _clear_away(paths)
    if not all(file.unchanged for file in outcome.files):
        lake.refresh(paths)
    return outcome


def _clear_away(paths: TenantPaths, next_sequence: int | None = None) -> None:
    landing.discard_arriving(paths)
    staging.discard_arriving(paths)
    if next_sequence is not None:
        staging.discard_unregistered(paths, next_sequence)


def _ingest(command: _Command, engine: Engine, sources: list[tuple[Path, str]], next_sequence: int) -> IngestOutcome:
    outcomes: list[FileOutcome] = []
    arrivals: list[_Arrival] = []
    rows: dict[tuple[str, str], StagedFile] = {}
    for position, (source, file_id) in enumerate(sources):
        landed = landing.receive(command.paths, source, position)
        before = rows.get((file_id, landed.sha256)) or _registration(command, engine, file_id, landed)
        if before is not None:
            if before.sequence < next_sequence:
                landing.keep(command.paths, landed)
            outcomes.append(_unchanged(before))
            continue
        arrival = _Arrival(source, file_id, landed, next_sequence + len(arrivals))
        tally = _stage(command, arrival, _known_files(command, engine, list(rows.values())))
        arrivals.append(arrival)
        rows[file_id, landed.sha256] = _row(command, arrival, tally)
        outcomes.append(_outcome(arrival, tally))
    if not command.may_quarantine_all:
        _reject_when_nothing_got_in([outcome for outcome in outcomes if not outcome.unchanged])
    _commit(command, engine, arrivals, list(rows.values()))
    return IngestOutcome(command.contract.kind, command.provider, tuple(outcomes))


def _registration(command: _Command, engine: Engine, file_id: str, landed: Landed) -> StagedFile | None:
    with engine.begin() as connection:
        return registered.registration(connection, command.contract.kind, command.provider, file_id, landed.sha256)


def restage(paths: TenantPaths, landed: Path, file: StagedFile, before: Sequence[StagedFile]) -> StagedFile:
    """Stage a registered file below `paths` anew from its landed bytes; the files `before` it were staged there.

    Returns its registration as it would be today: `file` itself unless bytes, code or callback secrets are others.
    Errors as ingest_files'.
    """
    command = _Command(paths, file.provider, contract_of(file.kind), file.format, instant_of(file.received_at))
    bytes_of_file = Landed(landed, file.sha256, file.byte_size)
    arrival = _Arrival(Path(file.original_name), file.file_id, bytes_of_file, file.sequence)
    known = [(row, paths.root / row.staged_path) for row in before if row.kind == file.kind and row.staged_path]
    row = _row(command, arrival, _stage(command, arrival, known))
    _place(command, arrival, row)
    return row


def _stage(command: _Command, arrival: _Arrival, known: list[tuple[StagedFile, Path]]) -> _Tally:
    """Write one file's staged and quarantined rows under temporary names, cross-file conflicts set aside."""
    paths, contract, name = command.paths, command.contract, arrival.staged_name
    tally = _Tally()
    with RowWriter(name.arriving(paths, QUARANTINE), QUARANTINE_COLUMNS) as quarantined:
        with RowWriter(name.arriving(paths, contract.table), contract.staged_types()) as staged:
            for verdict in _verdicts(command, arrival, tally):
                staged.write(verdict.admitted)
                quarantined.write(verdict.refused)
        if tally.staged:
            _set_conflicts_aside(command, arrival, _earlier_files(command, arrival, known), quarantined, tally)
    return tally


def _known_files(command: _Command, engine: Engine, of_command: list[StagedFile]) -> list[tuple[StagedFile, Path]]:
    """Staged files of the same kind and where they are, those of the same command included."""
    contract, paths = command.contract, command.paths
    with engine.begin() as connection:
        stored = registered.staged_files(connection, contract.kind)
    known = [(row, paths.root / row.staged_path) for row in stored if row.staged_path]
    arriving = [row for row in of_command if row.staged_path]
    return known + [(row, StagedName(row.sequence, row.sha256).arriving(paths, contract.table)) for row in arriving]


def _earlier_files(command: _Command, arrival: _Arrival, known: list[tuple[StagedFile, Path]]) -> list[EarlierFile]:
    """Staged files of the same table that came under another file id."""
    contract = command.contract
    return [
        EarlierFile(path, row.provider, row.file_id, row.sequence)
        for row, path in known
        if contract.key
        and (row.provider, row.file_id) != (command.provider, arrival.file_id)
        and (contract.has_own_provider or "provider" not in contract.key or row.provider == command.provider)
    ]


def _set_conflicts_aside(
    command: _Command, arrival: _Arrival, earlier: list[EarlierFile], quarantined: RowWriter, tally: _Tally
) -> None:
    """Move rows that contradict another file from the staged file to quarantine."""
    contract, paths, name = command.contract, command.paths, arrival.staged_name
    path = name.arriving(paths, contract.table)
    conflicts = conflicting_rows(contract, path, earlier, paths.scratch)
    if conflicts.is_empty():
        return
    tally.staged, tally.first_at, tally.last_at = 0, None, None
    with RowWriter(path.with_suffix(".rewritten"), contract.staged_types()) as staged:
        for rows in staging.read_rows(path):
            kept = rows.join(conflicts, on="row_number", how="anti", maintain_order="left")
            tally.admit(contract, kept)
            staged.write(kept)
            contradicting = rows.join(conflicts, on="row_number", how="inner", maintain_order="left")
            reasons = [
                f"{contract.key[-1]} {value} already came in file {other} with other content"
                for value, other in contradicting.select(contract.key[-1], "other_file").iter_rows()
            ]
            tally.refuse(pl.Series(reasons, dtype=pl.String))
            quarantined.write(_quarantine_rows(command, arrival, refuse(contract, contradicting, reasons)))
    path.unlink()
    if tally.staged:
        staged.path.replace(path)


def _verdicts(command: _Command, arrival: _Arrival, tally: _Tally) -> Iterator[Verdict]:
    secrets = callback_secrets(command.paths.root.name, command.provider)
    name = arrival.source.name
    landed = arrival.landed.path
    read = frames(landed, command.contract, command.format, name=name, secrets=secrets, notes=tally.notes)
    for frame in one_ahead(read):
        _note_drift(frame, tally, name)
        verdict = judge(command.contract, frame)
        admitted = guard(command.contract, _with_lineage(command, arrival, verdict.admitted))
        tally.admit(command.contract, admitted)
        tally.refuse(verdict.refused["reason"])
        yield Verdict(admitted, _quarantine_rows(command, arrival, verdict.refused))


def _note_drift(frame: pl.DataFrame, tally: _Tally, name: str) -> None:
    """Add the names of unknown columns; rows alike but for their values are looked at once."""
    if frame["raw"].null_count() == frame.height:
        return
    alike = pl.col("raw").str.replace_all(_MEMBER_VALUE, '":0').alias("alike")
    for raw in frame.select("raw", alike).drop_nulls().unique("alike")["raw"]:
        tally.unknown_columns.update(json.loads(raw, parse_int=str, parse_float=str))
    if len(tally.unknown_columns) > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: more than {COLUMN_LIMIT:,} unknown columns; export the documented columns")


def _with_lineage(command: _Command, arrival: _Arrival, admitted: pl.DataFrame) -> pl.DataFrame:
    lineage = {
        "settlement_file": pl.lit(arrival.file_id),
        "file_id": pl.lit(arrival.file_id),
        "file_sha256": pl.lit(arrival.landed.sha256),
        "file_sequence": pl.lit(arrival.sequence, dtype=pl.Int64),
    }
    if not command.contract.has_own_provider:
        lineage["provider"] = pl.lit(command.provider)
    return admitted.with_columns(**lineage).select(command.contract.staged_columns)


def _quarantine_rows(command: _Command, arrival: _Arrival, refused: pl.DataFrame) -> pl.DataFrame:
    return refused.with_columns(
        source=pl.lit(command.contract.table),
        provider=pl.lit(command.provider),
        file_id=pl.lit(arrival.file_id),
        file_sha256=pl.lit(arrival.landed.sha256),
        file_sequence=pl.lit(arrival.sequence, dtype=pl.Int64),
    ).select(*QUARANTINE_COLUMNS)


def _reject_when_nothing_got_in(outcomes: list[FileOutcome]) -> None:
    rows = sum(outcome.rows for outcome in outcomes)
    if rows and not any(outcome.staged for outcome in outcomes):
        reasons: Counter[str] = Counter()
        for outcome in outcomes:
            reasons.update(outcome.reasons)
        named = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(REASONS_NAMED))
        raise InputRejectedError(f"none of {rows:,} rows got in, nothing changed: {named}; correct and ingest again")


def _commit(command: _Command, engine: Engine, arrivals: list[_Arrival], rows: list[StagedFile]) -> None:
    """Put bytes and rows in place, then register them in one transaction: before it nobody sees them."""
    for arrival, row in zip(arrivals, rows, strict=True):
        landing.keep(command.paths, arrival.landed)
        _place(command, arrival, row)
    if rows:
        with engine.begin() as connection:
            registered.register(connection, rows)


def _place(command: _Command, arrival: _Arrival, row: StagedFile) -> None:
    if row.staged_path is not None:
        staging.place(command.paths, arrival.staged_name, command.contract.table)
    if row.quarantine_path is not None:
        staging.place(command.paths, arrival.staged_name, QUARANTINE)


def _row(command: _Command, arrival: _Arrival, tally: _Tally) -> StagedFile:
    paths, name, table = command.paths, arrival.staged_name, command.contract.table
    return StagedFile(
        sequence=arrival.sequence,
        kind=command.contract.kind,
        provider=command.provider,
        file_id=arrival.file_id,
        sha256=arrival.landed.sha256,
        byte_size=arrival.landed.byte_size,
        original_name=arrival.source.name,
        format=command.format,
        staged_path=str(name.path(paths, table).relative_to(paths.root)) if tally.staged else None,
        quarantine_path=str(name.path(paths, QUARANTINE).relative_to(paths.root)) if tally.quarantined else None,
        rows_staged=tally.staged,
        rows_quarantined=tally.quarantined,
        first_at=_text(tally.first_at),
        last_at=_text(tally.last_at),
        unknown_columns=json.dumps(sorted(tally.unknown_columns)),
        received_at=instant_text(command.now),
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.isoformat(timespec='microseconds')}Z"


def _outcome(arrival: _Arrival, tally: _Tally) -> FileOutcome:
    return FileOutcome(
        file_id=arrival.file_id,
        sha256=arrival.landed.sha256,
        rows=tally.staged + tally.quarantined,
        staged=tally.staged,
        quarantined=tally.quarantined,
        unchanged=False,
        unknown_columns=tuple(sorted(tally.unknown_columns)),
        reasons=dict(tally.reasons.most_common()),
        notes=dict(tally.notes),
    )


def _unchanged(before: StagedFile) -> FileOutcome:
    return FileOutcome(
        file_id=before.file_id,
        sha256=before.sha256,
        rows=before.rows_staged + before.rows_quarantined,
        staged=before.rows_staged,
        quarantined=before.rows_quarantined,
        unchanged=True,
        unknown_columns=tuple(json.loads(before.unknown_columns)),
        reasons={},
        notes={},
    )
