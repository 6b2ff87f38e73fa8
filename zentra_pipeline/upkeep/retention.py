"""Deletes bytes as received whose time is over, each replaced by a tombstone, as `privacy.yml` of the tenant says.

What goes is the landed file, and for callbacks the bodies in the inbox, also of deliveries that were set aside; what
was made of it (staged rows, tables, sealed bundles) stays, so that seals verify and later runs read on. Nothing goes
that is not sealed: the runs that take the rows of the bytes, of every window that one lies in and every registration
that shares them, each have a seal that read the file. A manifest names every file there was, so that the seal of a
later window says nothing of an earlier one. A run that failed or was cut off before it published took no rows: the next
run has them, or none has.
Does not belong here: the tenant's word (config.privacy).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from zentra_pipeline import blobs, durable_files, locks
from zentra_pipeline.config.privacy import Privacy, load_privacy
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest.file_windows import WindowRows, quarantined_windows, rows_by_window, window_at
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.store import tombstones
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.inbox import SetAside
from zentra_pipeline.store.runs import Run
from zentra_pipeline.store.tombstones import Tombstone
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import evidence, records, remake
from zentra_pipeline.upkeep.records import Records

CALLBACKS: Final = "callbacks"
_BANK: Final = "bank_statement"
_SETTLEMENT: Final = "settlement"

# Windows of rows by whose they are; null where a row does not say it.
_Windows = dict[str, set[date | None]]

NO_RULE: Final = "no rule for its kind"
NOT_SEALED: Final = "not all of its windows are sealed"
TOO_YOUNG: Final = "its time is not over"
HELD: Final = "held"
GONE: Final = "deleted before"
DAMAGED: Final = "its bytes are missing or others: see `zentra doctor`"


@dataclass(frozen=True)
class Verdict:
    """What becomes of the bytes of some registrations: deleted, or kept for a reason.

    `due_at` is when their time is over, null where nothing says so yet; `sealed_by` the closeouts that they rest in. A
    delivery that was set aside is in none of `files`: `file_id` is its batch, and it rests in the seals of its window.
    """

    sha256: str
    byte_size: int
    kind: str
    provider: str
    file_id: str
    files: tuple[int, ...]
    sealed_by: tuple[str, ...]
    due_at: str | None
    kept: str | None

    @property
    def is_deleted(self) -> bool:
        """Whether retention deletes them now."""
        return self.kept is None


@dataclass(frozen=True, eq=False)
class _Seal:
    """A seal of a run: the files it read; `passed_on` maps one whose own run was taken back to that of its next run."""

    closeout_id: str
    sealed_at: datetime
    files: frozenset[int]
    passed_on: Mapping[str, str]


@dataclass(frozen=True)
class _Sealed:
    """The published runs of each provider that were not taken back, and the seals of each run."""

    runs: Mapping[str, Sequence[Run]]
    seals: Mapping[str, Sequence[_Seal]]

    def over(self, file: StagedFile, rows: Sequence[WindowRows]) -> frozenset[_Seal]:
        """The seals that a file's rows rest in; none where a run that takes some of them has no seal that read it."""
        takers = [self._runs_of_window(each.provider, each.window) for each in rows]
        if file.kind == _SETTLEMENT:
            takers.append(self._runs_of_file(file.provider, file.file_id))
        found = [self._that_read(run, file.sequence) for runs in takers for run in runs]
        is_whole = bool(rows) and sum(each.rows for each in rows) == file.rows_staged
        return frozenset[_Seal]().union(*found) if is_whole and all(takers) and all(found) else frozenset()

    def of_window(self, provider: str, window: date) -> frozenset[_Seal]:
        """The seals of a window's runs; none where one of them has none."""
        found = [self.seals.get(run.run_id, ()) for run in self._runs_of_window(provider, window)]
        return frozenset(seal for seals in found for seal in seals) if all(found) else frozenset()

    def _that_read(self, run: Run, sequence: int) -> list[_Seal]:
        return [seal for seal in self.seals.get(run.run_id, ()) if sequence in seal.files]

    def _runs_of_window(self, provider: str, window: date) -> list[Run]:
        """The runs of a window; of one without, those of the next that has some."""
        after = [run for run in self.runs.get(provider, ()) if run.ledger_window >= window.isoformat()]
        first = min((run.ledger_window for run in after), default=None)
        return [run for run in after if run.ledger_window == first]

    def _runs_of_file(self, provider: str, file_id: str) -> list[Run]:
        """The runs of a settlement file; where all were taken back, that to which its lines went on, if they did."""
        runs = self.runs.get(provider, ())
        return [run for run in runs if run.settlement_file == file_id] or [
            run
            for run in runs
            if any(seal.passed_on.get(file_id) == run.settlement_file for seal in self.seals.get(run.run_id, ()))
        ]


def plan(tenant: Tenant, now: datetime) -> list[Verdict]:
    """What retention would do at `now` with each file's bytes, oldest first; nothing is changed."""
    return _plan(records.read(tenant), load_privacy(tenant.paths), now)


def apply(tenant: Tenant, actor: str, now: datetime) -> list[Verdict]:
    """Delete what is due and leave tombstones; what was deleted. A process killed anywhere is finished by the next.

    Waits for a backup that is under way, which takes along what its copy of the store names.

    UsageError where the tenant has no rule of retention.
    """
    privacy = load_privacy(tenant.paths)
    if privacy.retention.landing_days is None and privacy.retention.callback_days is None:
        raise UsageError(f"privacy.yml of {tenant.name} has no rule: give landing_days or callback_days of retention")
    with tenant.holding(locks.BACKUP), tenant.holding(locks.INGEST):  # ingests do not wait for a backup
        kept = records.read(tenant)
        due = [verdict for verdict in _plan(kept, privacy, now) if verdict.is_deleted]
        for verdict in due:
            _delete(tenant, kept, verdict, privacy, actor, now)
        durable_files.sync_folder(tenant.paths.landing)
    return due


def _plan(kept: Records, privacy: Privacy, now: datetime) -> list[Verdict]:
    by_digest: dict[str, list[StagedFile]] = defaultdict(list)
    for file in kept.files:
        by_digest[file.sha256].append(file)
    sealed = _sealed(kept)
    verdicts = [_judge(kept, privacy, sealed, files, now) for files in by_digest.values()]
    deliveries = [delivery for delivery in kept.set_aside if delivery.byte_size]
    return verdicts + [_judge_delivery(kept, privacy, sealed, delivery, now) for delivery in deliveries]


def _judge_delivery(kept: Records, privacy: Privacy, sealed: _Sealed, delivery: SetAside, now: datetime) -> Verdict:
    """A delivery that is in no file: its days count from the seals of the window that it was received in."""
    window = window_at(kept.paths, delivery.provider, delivery.received_at)
    resting, rule = sealed.of_window(delivery.provider, window), privacy.retention.callback_days
    due = None
    if resting and rule is not None:
        received_at = instant_of(delivery.received_at)  # a window may be sealed before it is over
        due = max(received_at, *(seal.sealed_at for seal in resting)) + timedelta(days=rule)
    days: _Windows = {delivery.provider: {window}}
    return Verdict(
        delivery.sha256,
        delivery.byte_size,
        CALLBACKS,
        delivery.provider,
        delivery.batch,
        (),
        tuple(sorted({seal.closeout_id for seal in resting})),
        None if due is None else instant_text(due),
        _kept(privacy, days, is_gone=False, has_rule=rule is not None, due=due, now=now),
    )


def _judge(kept: Records, privacy: Privacy, sealed: _Sealed, files: Sequence[StagedFile], now: datetime) -> Verdict:
    first = files[0]
    rules = [_days(privacy, file.kind) for file in files]
    resting: set[_Seal] = set()
    days: _Windows = defaultdict(set)
    is_sealed = True
    is_gone = all(map(kept.is_deleted, files)) and not (kept.paths.landing / first.sha256).is_file()
    if None not in rules and not is_gone:
        for file in files:
            rows = rows_by_window(kept.paths, file)
            for provider, window in _places(kept, privacy, file, rows):
                days[provider].add(window)
                days[file.provider].add(window)
            seals = sealed.over(file, rows)
            is_sealed &= bool(seals)
            resting |= seals
    longest = max((rule for rule in rules if rule is not None), default=None)
    due = None
    if is_sealed and resting and longest is not None:
        due = max(seal.sealed_at for seal in resting) + timedelta(days=longest)
    kept_for = _kept(privacy, days, is_gone=is_gone, has_rule=None not in rules, due=due, now=now)
    if kept_for is None and not blobs.are_shared(kept.paths) and remake.damage_of_landed(kept.paths, first):
        kept_for = DAMAGED
    return Verdict(
        first.sha256,
        first.byte_size,
        first.kind,
        first.provider,
        first.file_id,
        tuple(file.sequence for file in files),
        tuple(sorted({seal.closeout_id for seal in resting})),
        None if due is None else instant_text(due),
        kept_for,
    )


def _places(
    kept: Records, privacy: Privacy, file: StagedFile, rows: Sequence[WindowRows]
) -> set[tuple[str, date | None]]:
    """Whose the rows of a file are and of which windows, for holds: those in quarantine too."""
    places: set[tuple[str, date | None]] = {(each.provider, each.window) for each in rows}
    return places | (quarantined_windows(kept.paths, file) if privacy.holds else set())


def _kept(
    privacy: Privacy,
    days: _Windows,
    *,
    is_gone: bool,
    has_rule: bool,
    due: datetime | None,
    now: datetime,
) -> str | None:
    """Why bytes are kept; `days` are the windows of their rows by provider: the row's own, and the file's.

    A row that does not say its window, null, is held by every hold of its provider.
    """
    if is_gone:
        return GONE
    if not has_rule:
        return NO_RULE
    if due is None:
        return NOT_SEALED
    for hold in privacy.holds:
        if any(hold.covers(provider, window) for provider, windows in days.items() for window in windows):
            return f"{HELD}: {hold.reason}"
    return TOO_YOUNG if now < due else None


def _days(privacy: Privacy, kind: str) -> int | None:
    if kind == _BANK:  # an account's statements are read again by each of its days
        return None
    return privacy.retention.callback_days if kind == CALLBACKS else privacy.retention.landing_days


def _sealed(kept: Records) -> _Sealed:
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in kept.runs:
        if run.is_published:
            runs[run.provider].append(run)
    seals: dict[str, list[_Seal]] = defaultdict(list)
    for closeout in kept.sealed:
        manifest = _manifest(kept, closeout)
        files = frozenset(int(entry["sequence"]) for entry in manifest.get("files", ()))
        sealed_at = instant_of(str(closeout.sealed_at))
        seals[closeout.run_id].append(_Seal(closeout.closeout_id, sealed_at, files, manifest.get("passed_on", {})))
    return _Sealed(runs, seals)


def _manifest(kept: Records, closeout: Closeout) -> Mapping[str, Any]:
    """What a sealed run was made from, by its bundle: the store's revision may have been confirmed with more since."""
    return evidence.sealed_manifest(kept.paths.root / str(closeout.bundle)) or {}


def _delete(tenant: Tenant, kept: Records, verdict: Verdict, privacy: Privacy, actor: str, now: datetime) -> None:
    """The tombstone is committed first: bytes without one are never missing, and one with bytes is finished later."""
    if not verdict.files:
        _bury(tenant, [(verdict.provider, verdict.file_id)], verdict, privacy, actor, now)
        return
    files = [kept.files_by_sequence[sequence] for sequence in verdict.files]
    if not all(map(kept.is_deleted, files)):  # else an apply ended early, or the bytes were ingested again
        batches = [(file.provider, file.file_id) for file in files if file.kind == CALLBACKS]
        _bury(tenant, batches, verdict, privacy, actor, now)
    _unlink(tenant, verdict.sha256)


def _bury(
    tenant: Tenant,
    batches: Sequence[tuple[str, str]],
    verdict: Verdict,
    privacy: Privacy,
    actor: str,
    now: datetime,
) -> None:
    """Add a tombstone, and empty the deliveries of these batches of providers."""
    name = "callback_days" if verdict.kind == CALLBACKS else "landing_days"
    days = _days(privacy, verdict.kind)
    with tenant.writing() as connection:
        bodies = sum(tombstones.empty_bodies(connection, provider, batch) for provider, batch in batches)
        tombstones.add(
            connection,
            Tombstone(
                sha256=verdict.sha256,
                byte_size=verdict.byte_size,
                kind=verdict.kind,
                files=verdict.files,
                sealed_by=verdict.sealed_by,
                bodies=bodies,
                why=f"{name}: {days} after the seal, due {verdict.due_at}",
                actor=actor,
                deleted_at=instant_text(now),
            ),
        )


def _unlink(tenant: Tenant, digest: str) -> None:
    """Delete bytes that have a tombstone: where hosts share them first, then here."""
    blobs.delete(tenant.paths, f"landing/{digest}", digest)
    (tenant.paths.landing / digest).unlink(missing_ok=True)
