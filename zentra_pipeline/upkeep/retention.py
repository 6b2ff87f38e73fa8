"""Deletes bytes as received whose time is over, each replaced by a tombstone, as `privacy.yml` of the tenant says.

What goes is the landed file, and for callbacks the bodies in the inbox; what was made of it (staged rows, tables,
sealed bundles) stays, so that seals verify and later runs read on. Nothing goes that is not sealed: every window that a
row of the bytes lies in, of every registration that shares them, has a seal of a run that read the file. Does not
belong here: the tenant's word (config.privacy).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from zentra_pipeline import blobs, durable_files, locks
from zentra_pipeline.config.privacy import Privacy, load_privacy
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest import landing
from zentra_pipeline.ingest.file_windows import rows_by_window
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.store import tombstones
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.tombstones import Tombstone
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import evidence, records
from zentra_pipeline.upkeep.records import Records

CALLBACKS: Final = "callbacks"
_BANK: Final = "bank_statement"

NO_RULE: Final = "no rule for its kind"
NOT_SEALED: Final = "not all of its windows are sealed"
TOO_YOUNG: Final = "its time is not over"
HELD: Final = "held"
GONE: Final = "deleted before"


@dataclass(frozen=True)
class Verdict:
    """What becomes of the bytes of some registrations: deleted, or kept for a reason.

    `due_at` is when their time is over, null where nothing says so yet; `sealed_by` the closeouts that they rest in.
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


@dataclass(frozen=True)
class _Seal:
    """A seal of a run that read a file: its closeout, window and instant."""

    closeout_id: str
    window: date
    sealed_at: datetime


def plan(tenant: Tenant, now: datetime) -> list[Verdict]:
    """What retention would do at `now` with each file's bytes, oldest first; nothing is changed."""
    return _plan(records.read(tenant), load_privacy(tenant.paths), now)


def apply(tenant: Tenant, actor: str, now: datetime) -> list[Verdict]:
    """Delete what is due and leave tombstones; what was deleted. A process killed anywhere is finished by the next.

    UsageError where the tenant has no rule of retention.
    """
    privacy = load_privacy(tenant.paths)
    if privacy.retention.landing_days is None and privacy.retention.callback_days is None:
        raise UsageError(f"privacy.yml of {tenant.name} has no rule: give landing_days or callback_days of retention")
    with tenant.holding(locks.INGEST):
        kept = records.read(tenant)
        _finish(tenant, kept)
        due = [verdict for verdict in _plan(kept, privacy, now) if verdict.is_deleted]
        for verdict in due:
            _delete(tenant, kept, verdict, privacy, actor, now)
        durable_files.sync_folder(tenant.paths.landing)
    return due


def _plan(kept: Records, privacy: Privacy, now: datetime) -> list[Verdict]:
    by_digest: dict[str, list[StagedFile]] = defaultdict(list)
    for file in kept.files:
        by_digest[file.sha256].append(file)
    seals = _seals(kept)
    return [_judge(kept, privacy, seals, files, now) for files in by_digest.values()]


def _judge(
    kept: Records,
    privacy: Privacy,
    seals: Mapping[int, list[tuple[str, _Seal]]],
    files: Sequence[StagedFile],
    now: datetime,
) -> Verdict:
    first = files[0]
    rules = [_days(privacy, file.kind) for file in files]
    resting: set[_Seal] = set()
    days: set[date] = set()
    is_sealed = True
    is_gone = first.sha256 in kept.tombstones and not (kept.paths.landing / first.sha256).is_file()
    if None not in rules and not is_gone:
        for file in files:
            found = [] if file.kind == _BANK else rows_by_window(kept.paths, file)
            is_sealed &= bool(found) and sum(each.rows for each in found) == file.rows_staged
            for each in found:
                days.add(each.window)
                of_provider = [seal for scope, seal in seals.get(file.sequence, ()) if scope == each.provider]
                covering = [seal for seal in of_provider if seal.window >= each.window]
                is_sealed &= bool(covering)
                resting.update(covering)
    longest = max((rule for rule in rules if rule is not None), default=None)
    due = None
    if is_sealed and resting and longest is not None:
        due = max(seal.sealed_at for seal in resting) + timedelta(days=longest)
    kept_for = _kept(privacy, files, days, is_gone=is_gone, has_rule=None not in rules, due=due, now=now)
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


def _kept(
    privacy: Privacy,
    files: Sequence[StagedFile],
    days: set[date],
    *,
    is_gone: bool,
    has_rule: bool,
    due: datetime | None,
    now: datetime,
) -> str | None:
    if is_gone:
        return GONE
    if not has_rule:
        return NO_RULE
    if due is None:
        return NOT_SEALED
    for hold in privacy.holds:
        if any(hold.covers(file.provider, frozenset(days)) for file in files):
            return f"{HELD}: {hold.reason}"
    return TOO_YOUNG if now < due else None


def _days(privacy: Privacy, kind: str) -> int | None:
    if kind == _BANK:  # an account's statements are read again by each of its days
        return None
    return privacy.retention.callback_days if kind == CALLBACKS else privacy.retention.landing_days


def _seals(kept: Records) -> dict[int, list[tuple[str, _Seal]]]:
    """The seals in which each file rests, by the file's sequence, with whose runs they are of."""
    found: dict[int, list[tuple[str, _Seal]]] = defaultdict(list)
    for closeout in kept.sealed:
        manifest = _manifest(kept, closeout)
        seal = _Seal(
            closeout.closeout_id, date.fromisoformat(closeout.ledger_window), instant_of(str(closeout.sealed_at))
        )
        for entry in manifest.get("files", ()):
            found[int(entry["sequence"])].append((closeout.provider, seal))
    return found


def _manifest(kept: Records, closeout: Closeout) -> Mapping[str, list[Mapping[str, int]]]:
    """What a sealed run was made from, by its bundle: the store's revision may have been confirmed with more since."""
    return evidence.sealed_manifest(kept.paths.root / str(closeout.bundle)) or {}


def _delete(tenant: Tenant, kept: Records, verdict: Verdict, privacy: Privacy, actor: str, now: datetime) -> None:
    """The tombstone is committed first: bytes without one are never missing, and one with bytes is finished later."""
    name = "callback_days" if verdict.kind == CALLBACKS else "landing_days"
    days = _days(privacy, verdict.kind)
    with tenant.writing() as connection:
        bodies = 0
        for sequence in verdict.files:
            file = kept.files_by_sequence[sequence]
            if file.kind == CALLBACKS:
                bodies += tombstones.empty_bodies(connection, file.provider, file.file_id)
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
    _unlink(tenant, verdict.sha256)


def _finish(tenant: Tenant, kept: Records) -> None:
    """Delete what an apply that was killed had a tombstone for and had not deleted yet."""
    registered = {file.sha256: file for file in kept.files}
    for digest, tombstone in kept.tombstones.items():
        path = tenant.paths.landing / digest
        same = {file.sequence for file in kept.files if file.sha256 == digest}
        if digest in registered and same <= set(tombstone.files) and landing.digest_of(path) == digest:
            _unlink(tenant, digest)


def _unlink(tenant: Tenant, digest: str) -> None:
    """Delete bytes that have a tombstone: where hosts share them first, then here."""
    blobs.delete(tenant.paths, f"landing/{digest}", digest)
    (tenant.paths.landing / digest).unlink(missing_ok=True)
