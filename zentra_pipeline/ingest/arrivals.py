"""A file of an ingest on its way in: its rows judged and staged under temporary names, contradictions quarantined.

Does not belong here: a command as a whole and its commit (ingest), formats (sources), what a row must look like
(contracts).
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from zentra_pipeline import blobs
from zentra_pipeline.config.profile import callback_secrets
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.contracts.gate import GateResult, assert_staged, quarantine, validate
from zentra_pipeline.errors import InputRejectedError, ZentraError
from zentra_pipeline.ingest import landing, mappings, masking, staging, statement_history, wording
from zentra_pipeline.ingest.conflicts import ALREADY_ARRIVED, ID_USED_TWICE, Contradiction, KnownFile, contradictions
from zentra_pipeline.ingest.landing import Landed
from zentra_pipeline.ingest.masking import NOTHING, Masking
from zentra_pipeline.ingest.staging import QUARANTINE, QUARANTINE_COLUMNS, RowWriter, StagedName
from zentra_pipeline.instants import instant_text
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.limits import COLUMN_LIMIT, FRAME_ROWS
from zentra_pipeline.sources.prefetch import one_ahead
from zentra_pipeline.sources.reading import column_names, frames
from zentra_pipeline.sources.registry import FORMATS
from zentra_pipeline.store.file_facts import FileFacts
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.tenants.tenant import Tenant

REASONS_NAMED = 20
UNFINISHED = "last record without a newline: accepted; had the file been cut there, its last value would be short"
OTHER_REASONS = "other reasons"
RESTATED = "file delivered again: rows that came under this id before have other content now, which holds from here on"
# A file whose first rows hold so many values and of which none is accepted is of another kind: reading stops there.
HOPELESS_VALUES = 1_000_000
_ROWS_SHOWN = 3
_VALUE = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"" rf"|\A.*{ALREADY_ARRIVED}\S+|[0-9]+"
_SHORTENED = r"\A-?[0-9](?:[.,][0-9]+)?E\+[0-9]{2,}\z"
# Text of a table that is no reference; the text of a bank line is read by matching all the same.
_FREE_TEXTS = {"bank_rows": ("text", "return_reason")}
_OWN = "account_id"  # of a bank's rows: the tenant's own account
_MEMBER_VALUE = r'":(?:"(?:[^"\\]|\\.)*"|[^,"{}\[\]]+)'


@dataclass(frozen=True)
class Command:
    """What all files of a command share; `stops_early`: reading ends when no row is accepted for long.

    `mapping`: how a table of a provider is read, or what a bank's profile says of reading its files.
    `masking`: which card and account numbers are masked, or refused, in text that nothing is matched by.
    """

    tenant: Tenant
    provider: str
    contract: Contract
    format: str
    now: datetime
    may_quarantine_all: bool = False
    stops_early: bool = False
    received_by: str | None = None
    mapping: mappings.Mapping | None = None
    masking: Masking = NOTHING

    @property
    def recorded_format(self) -> str:
        """The format as it is registered: with the digest of what a profile says of reading, where that matters."""
        return mappings.recorded_format(self.format, self.mapping)

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.tenant.paths


@dataclass(frozen=True)
class Arrival:
    """A file of the command with its bytes received, the id it goes by and the sequence it would be registered with."""

    source: Path
    file_id: str
    landed: Landed
    sequence: int

    @property
    def name(self) -> str:
        """The file's name as received; bytes of it that are no UTF-8 are shown as escapes."""
        return self.source.name.encode("utf-8", "backslashreplace").decode()

    @property
    def staged_name(self) -> StagedName:
        return StagedName(self.sequence, self.landed.sha256)


@dataclass
class _Rule:
    """Rows that break one rule: the first one's reason, how many they are, and the numbers of the first of them."""

    reason: str
    count: int
    rows: list[int]


@dataclass
class Tally:
    """What is counted while a file is staged; `read` is what its reader handed on, whatever the outcome.

    `rules`: reasons of quarantine without the values they name, at most 20 of them.
    `ids_used_twice`: ids that rows of different content share in this file, each with the numbers of its rows.
    `restates`: sequences of the same file id whose rows it gives another content.
    `shortened`: columns with ids that a spreadsheet has written as numbers (1.23457E+15), the first of them as reason.
    """

    read: int = 0
    staged: int = 0
    quarantined: int = 0
    rules: dict[str, _Rule] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    unknown_columns: set[str] = field(default_factory=set)
    ids_used_twice: dict[str, list[int]] = field(default_factory=dict)
    restates: list[int] = field(default_factory=list)
    shortened: dict[str, "_Rule"] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None

    def accept(self, contract: Contract, accepted: pl.DataFrame) -> None:
        """Count rows that are accepted."""
        self.staged += accepted.height
        for column in contract.instants if accepted.height else ():
            at = pl.col(column).cast(pl.Datetime("us"))
            low, high = accepted.select(at.min(), at.max().alias("last")).row(0)
            if low is None:
                continue
            self.first_at = low if self.first_at is None else min(self.first_at, low)
            self.last_at = high if self.last_at is None else max(self.last_at, high)

    def quarantine(self, refused: pl.DataFrame) -> None:
        """Count rows with `row_number` and `reason` by the rule they break."""
        self.quarantined += refused.height
        rule = pl.col("reason").str.replace_all(_VALUE, "…").alias("rule")
        broken = refused.group_by(rule, maintain_order=True).agg(
            pl.col("reason").first(), pl.len().alias("count"), pl.col("row_number").head(_ROWS_SHOWN)
        )
        for name, reason, count, rows in broken.iter_rows():
            is_named = name in self.rules or len(self.rules) < REASONS_NAMED - 1
            key, shown = (name, reason) if is_named else (OTHER_REASONS, OTHER_REASONS)
            known = self.rules.setdefault(key, _Rule(shown, 0, []))
            known.count += count
            known.rows += rows[: _ROWS_SHOWN - len(known.rows)]

    def note_shortened(self, contract: Contract, frame: pl.DataFrame, names: Mapping[str, str]) -> None:
        """Count the ids and references of a reader's frame that look as a spreadsheet writes long numbers."""
        columns = [name for name in contract.references if frame.schema[name] == pl.String()]
        marks = frame.select(pl.col(column).str.contains("E+", literal=True).any() for column in columns)
        for column in (column for column in columns if marks.item(0, column)):
            found = frame.filter(pl.col(column).str.contains(_SHORTENED)).select(column, "row_number")
            if found.height:
                named = names.get(column, column)
                known = self.shortened.setdefault(named, _Rule(str(found.item(0, column)), 0, []))
                known.count += found.height
                known.rows += found["row_number"].head(_ROWS_SHOWN - len(known.rows)).to_list()

    @property
    def by_count(self) -> list[_Rule]:
        """The rules that rows break, the one that most rows break first."""
        return sorted(self.rules.values(), key=lambda rule: -rule.count)


@dataclass(frozen=True)
class StagedArrival:
    """A file whose rows are staged under temporary names, and their tally."""

    arrival: Arrival
    tally: Tally


def stage(command: Command, arrival: Arrival) -> StagedArrival:
    """Write one file's staged and quarantined rows under temporary names; InputRejectedError when it cannot be read."""
    paths, contract, name = command.paths, command.contract, arrival.staged_name
    tally = Tally()
    with (
        _masked_refusal(command.masking),
        RowWriter(name.arriving(paths, QUARANTINE), QUARANTINE_COLUMNS) as quarantined,
        RowWriter(name.arriving(paths, contract.table), contract.staged_types()) as staged,
    ):
        for verdict in _verdicts(command, arrival, tally):
            staged.write(verdict.accepted)
            quarantined.write(verdict.refused)
    _check_balance(arrival, tally, staged.rows, quarantined.rows)
    for column, rule in tally.shortened.items():
        tally.notes[wording.shortened(column, rule.reason, rule.rows, rule.count)] = rule.count
    if tally.read and not FORMATS[command.format].shows_its_end and _ends_within_a_line(arrival):
        tally.notes[UNFINISHED] = 1
    return StagedArrival(arrival, tally)


def _ends_within_a_line(arrival: Arrival) -> bool:
    """Whether a text file's last record has no newline: it may be whole, or cut within its last value."""
    with arrival.landed.path.open("rb") as stream:
        if stream.read(4) in (b"PAR1", b"PK\x03\x04"):
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) not in b"\r\n}]"


def _check_balance(arrival: Arrival, tally: Tally, staged: int, quarantined: int) -> None:
    """Every row that was read is in one of the two files; ZentraError otherwise, for a row would be lost."""
    if (staged, quarantined) != (tally.staged, tally.quarantined) or tally.read != staged + quarantined:
        raise ZentraError(
            f"{arrival.name}: {tally.read:,} rows were read, {staged:,} staged and {quarantined:,} put in "
            "quarantine: a row has no place, nothing was kept; report this with the file"
        )


def quarantine_contradictions(
    command: Command, staged: Sequence[StagedArrival], known: Sequence[tuple[StagedFile, Path]]
) -> None:
    """Move rows that contradict their own file or another file from the staged files to quarantine.

    `known`: files of the kind that arrived before, with where their staged rows are.
    """
    contract = command.contract
    if contract.parts:
        _note_statements(command, staged, known)
        return
    new = [
        KnownFile(
            each.arrival.staged_name.arriving(command.paths, contract.table),
            command.provider,
            each.arrival.file_id,
            each.arrival.sequence,
        )
        for each in staged
        if each.tally.staged
    ]
    is_shared = contract.has_own_provider or "provider" not in contract.key
    earlier = [
        KnownFile(path, row.provider, row.file_id, row.sequence)
        for row, path in known
        if is_shared or row.provider == command.provider
    ]
    found: dict[int, list[Contradiction]] = {}
    found_conflicts = contradictions(contract, new, earlier, command.paths.scratch)
    for contradiction in found_conflicts.rows:
        found.setdefault(contradiction.sequence, []).append(contradiction)
    for each in staged:
        each.tally.restates = found_conflicts.restated.get(each.arrival.sequence, [])
        if each.tally.restates:
            each.tally.notes[RESTATED] = 1
        if each.arrival.sequence in found:
            _quarantine(command, each.arrival, each.tally, found[each.arrival.sequence])


def _note_statements(
    command: Command, staged: Sequence[StagedArrival], known: Sequence[tuple[StagedFile, Path]]
) -> None:
    """Say which statements came before: as they are, with other content, or under another name."""
    earlier = [(row.sequence, row.file_id, path) for row, path in known if row.provider == command.provider]
    for each in staged:
        if each.tally.staged:
            arrival = each.arrival
            path = arrival.staged_name.arriving(command.paths, command.contract.table)
            found = statement_history.compare(path, earlier)
            each.tally.notes.update(found.notes)
            each.tally.restates = found.restates
            earlier.append((arrival.sequence, arrival.file_id, path))


def _quarantine(command: Command, arrival: Arrival, tally: Tally, found: list[Contradiction]) -> None:
    """Rewrite a file's staged and quarantined rows, the contradicting ones moved."""
    contract, paths, name = command.contract, command.paths, arrival.staged_name
    reasons = pl.DataFrame(
        [(each.row_number, each.reason) for each in found],
        schema={"row_number": pl.Int64, "why": pl.String},
        orient="row",
    )
    for each in found:
        if each.reason == ID_USED_TWICE:
            tally.ids_used_twice.setdefault(each.row_id, []).append(each.row_number)
    tally.staged, tally.first_at, tally.last_at = 0, None, None
    rows_at, refused_at = name.arriving(paths, contract.table), name.arriving(paths, QUARANTINE)
    with (
        RowWriter(refused_at.with_suffix(".rewritten"), QUARANTINE_COLUMNS) as quarantined,
        RowWriter(rows_at.with_suffix(".rewritten"), contract.staged_types()) as staged,
    ):
        for refused in staging.read_rows(refused_at) if refused_at.is_file() else ():
            quarantined.write(refused)
        for rows in staging.read_rows(rows_at):
            kept = rows.join(reasons, on="row_number", how="anti", maintain_order="left")
            tally.accept(contract, kept)
            staged.write(kept)
            contradicting = rows.join(reasons, on="row_number", how="inner", maintain_order="left")
            tally.quarantine(contradicting.select("row_number", reason="why"))
            refused = quarantine(contract, contradicting, contradicting["why"].to_list())
            refused = _masked_refused(command, arrival, tally, refused)
            quarantined.write(_quarantine_rows(command, arrival, refused))
    rows_at.unlink()
    for writer, target in ((staged, rows_at), (quarantined, refused_at)):
        if writer.rows:
            writer.path.replace(target)
    _check_balance(arrival, tally, staged.rows, quarantined.rows)


def reject_when_no_row_accepted(staged: Sequence[StagedArrival], kind: str | None = None) -> None:
    """InputRejectedError where rows were read and none is accepted; it names the `kind` where a command has several.

    Rows of ids used twice are kept in quarantine even alone: each keeps the contract; which one holds is open.
    """
    tallies = [each.tally for each in staged]
    rows = sum(tally.read for tally in tallies)
    if rows and not any(tally.staged or tally.ids_used_twice for tally in tallies):
        reasons: Counter[str] = Counter()
        for tally in tallies:
            reasons.update({rule.reason: rule.count for rule in tally.by_count})
        named = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(REASONS_NAMED))
        raise InputRejectedError(
            f"none of {rows:,} rows{'' if kind is None else f' of kind {kind}'} is accepted, nothing changed: {named}; "
            "correct and ingest again"
        )


def _verdicts(command: Command, arrival: Arrival, tally: Tally) -> Iterator[GateResult]:
    secrets = callback_secrets(command.tenant.name, command.provider)
    name = arrival.name
    landed = arrival.landed.path
    read = frames(
        landed,
        command.contract,
        command.format,
        name=name,
        secrets=secrets,
        notes=tally.notes,
        mapping=command.mapping,
    )
    names = column_names(command.contract, command.format)
    for frame in one_ahead(part for whole in read for part in whole.iter_slices(FRAME_ROWS)):
        tally.read += frame.height
        _note_drift(frame, tally, name, command.masking)
        tally.note_shortened(command.contract, frame, names)
        verdict = _masked(command, arrival, tally, _with_accounts(frame, validate(command.contract, frame, names)))
        accepted = assert_staged(command.contract, _with_lineage(command, arrival, verdict.accepted))
        tally.accept(command.contract, accepted)
        tally.quarantine(verdict.refused)
        values = tally.read * (len(command.contract.columns) + len(tally.unknown_columns))
        if not tally.staged and values >= HOPELESS_VALUES and command.stops_early:
            first = tally.by_count[0]
            raise InputRejectedError(
                f"{name}: none of its first {tally.read:,} rows is accepted, nothing changed: {first.reason} "
                f"({first.count:,} rows); is it a file of another kind?"
            )
        yield GateResult(accepted, _quarantine_rows(command, arrival, verdict.refused))


def _with_accounts(frame: pl.DataFrame, verdict: GateResult) -> GateResult:
    """The verdict; refused rows of a bank's file with the account that they are of, whose number is no secret."""
    if _OWN not in frame.columns or not verdict.refused.height:
        return verdict
    accounts = frame.select("row_number", _OWN)
    return replace(verdict, refused=verdict.refused.join(accounts, on="row_number", how="left", maintain_order="left"))


def _masked(command: Command, arrival: Arrival, tally: Tally, verdict: GateResult) -> GateResult:
    """The verdict with card numbers and IBANs masked in what is unknown, refused or free text."""
    looked_for = command.masking
    if not looked_for.looked_for:
        return verdict
    accepted = _masked_column(command, arrival, tally, verdict.accepted, "raw")
    for column in _FREE_TEXTS.get(command.contract.table, ()):
        accepted = _masked_column(command, arrival, tally, accepted, column)
    return GateResult(accepted, _masked_refused(command, arrival, tally, verdict.refused))


def _masked_refused(command: Command, arrival: Arrival, tally: Tally, refused: pl.DataFrame) -> pl.DataFrame:
    if not command.masking.looked_for:
        return refused
    for column in ("raw", "reason"):
        refused = _masked_column(command, arrival, tally, refused, column)
    return refused


def _masked_column(command: Command, arrival: Arrival, tally: Tally, rows: pl.DataFrame, column: str) -> pl.DataFrame:
    counted: Counter[str] = Counter()

    left = frozenset(command.contract.references)
    rule = command.masking
    if column == "reason":  # it may quote an id: that is no number that was sent beside it
        rule = Masking(masked=rule.looked_for)

    def change(text: str, own: str | None) -> str:
        if column == "raw":
            return masking.masked_raw(text, rule, counted, left, own=own)
        return masking.masked_text(text, rule, counted, own=own, is_matched=column == "text")

    try:
        masked = masking.masked_column(rows, column, change, _OWN if _OWN in rows.columns else None)
    except masking.FoundNumberError as cause:
        raise InputRejectedError(
            f"{arrival.name}: {cause}, which privacy.yml refuses; nothing was kept: have it sent without"
        ) from cause
    for kind, number in counted.items():
        tally.notes[masking.note(kind)] += number
    return masked


@contextmanager
def _masked_refusal(looked_for: Masking) -> Iterator[None]:
    """What refuses the file as a whole may quote it: also there its numbers are masked."""
    try:
        yield
    except InputRejectedError as refused:
        refused.args = (masking.masked_text(str(refused), Masking(masked=looked_for.looked_for), Counter()),)
        raise refused from None  # its cause says it unmasked


def _note_drift(frame: pl.DataFrame, tally: Tally, name: str, looked_for: Masking) -> None:
    """Add the names of unknown columns, masked as in `raw`; rows alike but for their values are looked at once."""
    if frame["raw"].null_count() == frame.height:
        return
    alike = pl.col("raw").str.replace_all(_MEMBER_VALUE, '":0').alias("alike")
    for raw in frame.select("raw", alike).drop_nulls().unique("alike")["raw"]:
        names = json.loads(raw, parse_int=str, parse_float=str)
        rule = Masking(masked=looked_for.looked_for)  # a number that is refused is found in `raw` as well
        tally.unknown_columns.update(masking.masked_text(each, rule, Counter()) for each in names)
    if len(tally.unknown_columns) > COLUMN_LIMIT:
        raise InputRejectedError(f"{name}: more than {COLUMN_LIMIT:,} unknown columns; export the documented columns")


def _with_lineage(command: Command, arrival: Arrival, accepted: pl.DataFrame) -> pl.DataFrame:
    lineage = {
        "settlement_file": pl.lit(arrival.file_id),
        "file_id": pl.lit(arrival.file_id),
        "file_sha256": pl.lit(arrival.landed.sha256),
        "file_sequence": pl.lit(arrival.sequence, dtype=pl.Int64),
    }
    if not command.contract.has_own_provider:
        lineage[command.contract.lineage] = pl.lit(command.provider)
    return accepted.with_columns(**lineage).select(command.contract.staged_columns)


def _quarantine_rows(command: Command, arrival: Arrival, refused: pl.DataFrame) -> pl.DataFrame:
    source = pl.col("source") if "source" in refused.columns else pl.lit(command.contract.table)
    return refused.with_columns(
        source=source,
        provider=pl.lit(command.provider),
        file_id=pl.lit(arrival.file_id),
        file_sha256=pl.lit(arrival.landed.sha256),
        file_sequence=pl.lit(arrival.sequence, dtype=pl.Int64),
    ).select(*QUARANTINE_COLUMNS)


def place(command: Command, arrival: Arrival, row: StagedFile, known: FileFacts | None = None) -> None:
    """Give a file's written rows their lasting names, under which hosts share them where their digests are `known`."""
    for table, path in ((command.contract.table, row.staged_path), (QUARANTINE, row.quarantine_path)):
        if path is None:
            continue
        staging.place(command.paths, arrival.staged_name, table)
        digest = known and (known.quarantine_sha256 if table == QUARANTINE else known.staged_sha256)
        if digest:
            blobs.push(command.paths, path, digest)


def facts(command: Command, staged: StagedArrival) -> FileFacts:
    """What is recorded of a staged file beside its registration, while its rows are still under temporary names."""
    arrival, tally = staged.arrival, staged.tally

    def digest(table: str, rows: int) -> str | None:
        return landing.digest_of(arrival.staged_name.arriving(command.paths, table)) if rows else None

    return FileFacts(
        sequence=arrival.sequence,
        rows_read=tally.read,
        staged_sha256=digest(command.contract.table, tally.staged),
        quarantine_sha256=digest(QUARANTINE, tally.quarantined),
        is_proven=True,
        notes=json.dumps(dict(sorted(tally.notes.items())), ensure_ascii=False),
        restates=json.dumps(tally.restates),
        received_by=command.received_by,
    )


def registration(command: Command, staged: StagedArrival) -> StagedFile:
    """What is recorded of a staged file; paths are those it gets when it is placed."""
    arrival, tally = staged.arrival, staged.tally
    paths, name, table = command.paths, arrival.staged_name, command.contract.table
    return StagedFile(
        sequence=arrival.sequence,
        kind=command.contract.kind,
        provider=command.provider,
        file_id=arrival.file_id,
        sha256=arrival.landed.sha256,
        byte_size=arrival.landed.byte_size,
        original_name=arrival.name,
        format=command.recorded_format,
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
