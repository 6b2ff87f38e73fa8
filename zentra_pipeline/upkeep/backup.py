"""Writes all that cannot be made again of a home in use to one archive, and makes a home of such an archive.

The stores are copied first, each as of one moment: what they name is in its place before they name it, never changes,
and is taken from there. What the home has beside that is derived (pointers, catalog, lists of seals, key files), half
done or another program's (Dagster's storage), and is left out. Does not belong here: judging a home (doctor).

An archive is a tar file, packed where its name ends in .gz: `stores/…`, the files by their place in the home, and last
`backup.json` with the SHA-256 of each. One that was cut off has no list and is no backup.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Final

import duckdb

from zentra_pipeline import __version__, durable_files, locks
from zentra_pipeline.errors import InputRejectedError, RefusedError, UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.review import attachments
from zentra_pipeline.settings import Home, TenantPaths, database_url
from zentra_pipeline.store import copying
from zentra_pipeline.store.place import MARKER
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import fetched, rebuild, records
from zentra_pipeline.upkeep.records import Records

FORM: Final = 1
_LIST: Final = "backup.json"
_STORES: Final = "stores"
_MOST_LISTED: Final = 512 * 1024 * 1024  # bytes of the list: some four million files
_PIECE: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"  # how a gzip file begins
# What keeps a member from its place: another member has it, or is a file where this one needs a folder.
_NO_PLACE: Final = (FileExistsError, NotADirectoryError)
_LONGEST_NAME: Final = 255
_SQLITE: Final = b"SQLite format 3\0"  # how a store's copy begins
# Folders of a tenant whose files are in the archive where its store names them, and those that are derived.
_NAMED: Final = frozenset(("landing", "staged", "lake", "closeouts", "attachments"))
# Where hosts share files, and what is in this one's cache: what is restored is a home in its own folder.
_OF_THE_HOST: Final = ("storage.yml", "cache.jsonl")
_DERIVED: Final = frozenset(("heads", "row_keys", "scratch", "locks", "rebuild"))
_OF_THE_STORE: Final = ("ops.", "catalog.duckdb", "control.", "worker.lock", "postgresql.json")


@dataclass(frozen=True)
class TenantSummary:
    """What a backup holds of a tenant; `log_position` is the place of its newest event."""

    tenant: str
    files: int
    runs: int
    closeouts: int
    decisions: int
    log_position: int


@dataclass(frozen=True)
class Backup:
    """An archive as written or restored: when it was made, by which release, whose it is, and what it lacks.

    `damaged` names files that were missing in the home or had other bytes than recorded: `zentra doctor` says more.
    """

    made_at: str
    version: str
    tenants: tuple[TenantSummary, ...]
    files: int
    bytes: int
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class _Listed:
    """A member of an archive as its list names it."""

    sha256: str
    bytes: int


def write(home: Home, target: Path, now: datetime) -> Backup:
    """Write a backup of all tenants to `target`, whole or not at all; runs, ingests and servers may go on meanwhile.

    Retention waits for it, as does another backup.

    UsageError where there is no home, or where something has the target's name.
    """
    tenancy.require_home(home)
    if target.exists():
        raise UsageError(f"{target} is there already: give each backup a name of its own")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder: make it first")
    if target.parent.resolve().is_relative_to(home.root.resolve()):
        raise UsageError(f"{target} is inside the home, and would be lost with it: name a place outside")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".zentra-backup-", dir=target.parent) as scratch,
            _writing(temporary, is_packed=target.suffix == ".gz") as archive,
        ):
            made = _write_members(home, Path(scratch), archive, now)
        durable_files.rename_durably(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return made


def restore(source: Path, home: Home) -> Backup:
    """Make a home of an archive; its stores go where those of a new home do.

    UsageError where something is in the home's place, InputRejectedError for what is no whole backup: nothing is left
    of it then.
    """
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise UsageError(f"{home.root} is not empty: name a folder that is not there yet with --home")
    home.root.parent.mkdir(parents=True, exist_ok=True)
    arriving = home.root.with_name(f".{home.root.name}.restoring-{os.getpid()}")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(mode=0o700)
    try:
        restored = _read_members(source, arriving)
        _require_stores(source, arriving / _STORES, [each.tenant for each in restored.tenants])
        _place_stores(Home(arriving), [each.tenant for each in restored.tenants])
        if home.root.exists():
            home.root.rmdir()
        arriving.rename(home.root)
        durable_files.sync_folder(home.root.parent)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
    for tenant in tenancy.tenants(home):
        try:
            rebuild.refresh_readers(tenant)
        except duckdb.Error:
            if not restored.damaged:  # which the doctor names, and a rebuild heals
                raise
    return restored


# Writing ------------------------------------------------------------------------------------------------------------


class _Members:
    """The archive being written, with the list of what is in it."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.listed: dict[str, _Listed] = {}
        self.damaged: list[str] = []

    def add(self, name: str, path: Path, recorded: str | None = None) -> None:
        """Add a file under its name; one that is missing, or not as `recorded`, is named as damaged."""
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            self.damaged.append(name)
            return
        with opened as stream:
            found = _Digesting(stream)
            size = os.fstat(stream.fileno()).st_size
            self._archive.addfile(_header(name, size), found)
        self.listed[name] = _Listed(found.hexdigest(), size)
        if recorded is not None and found.hexdigest() != recorded:
            self.damaged.append(name)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add the list itself."""
        self._archive.addfile(_header(name, len(content)), io.BytesIO(content))


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o600
    return header


class _Digesting(io.RawIOBase):
    """A stream that digests what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        piece = self._stream.read(size)
        self._digest.update(piece)
        return piece

    def hexdigest(self) -> str:
        """The digest of what has been read."""
        return self._digest.hexdigest()


@contextmanager
def _writing(path: Path, *, is_packed: bool) -> Iterator[tarfile.TarFile]:
    with ExitStack() as opened:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        plain = opened.enter_context(os.fdopen(descriptor, "wb"))
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=plain, mtime=0) if is_packed else plain
        yield opened.enter_context(tarfile.open(fileobj=opened.enter_context(packed), mode="w|"))


def _write_members(home: Home, scratch: Path, archive: tarfile.TarFile, now: datetime) -> Backup:
    copy = Home(scratch)
    copying.copy_control_store(home, copy.control_store)
    members = _Members(archive)
    members.add(f"{_STORES}/control.db", copy.control_store)
    for path in _beside(home.root, frozenset(("tenants", "dagster", "slots"))):
        members.add(path.relative_to(home.root).as_posix(), path)
    summaries = []
    for tenant in tenancy.tenants(home):
        copied = Tenant(tenant.home, tenant.name, copy.tenant(tenant.name))
        copied.paths.root.mkdir(parents=True)
        with tenant.holding(locks.BACKUP):  # retention deletes nothing that the copied store names
            fetched.everything(tenant)
            copying.copy_operational_store(tenant.paths, copied.paths)
            known = records.read(copied)
            members.add(f"{_STORES}/{tenant.name}/ops.db", copied.paths.operational_store)
            _add_tenant(members, tenant.paths, known, f"tenants/{tenant.name}")
        summaries.append(_summary(known))
    made = Backup(
        instant_text(now),
        __version__,
        tuple(summaries),
        len(members.listed),
        sum(each.bytes for each in members.listed.values()),
        tuple(members.damaged),
    )
    content = {**asdict(made), "form": FORM, "members": {name: asdict(each) for name, each in members.listed.items()}}
    members.add_bytes(_LIST, json.dumps(content, ensure_ascii=False, sort_keys=True).encode())
    return made


def _add_tenant(members: _Members, paths: TenantPaths, known: Records, below: str) -> None:
    for path in _beside(paths.root, _NAMED | _DERIVED):
        members.add(f"{below}/{path.relative_to(paths.root).as_posix()}", path)
    for relative, recorded in sorted(_named_files(paths, known).items()):
        members.add(f"{below}/{relative}", paths.root / relative, recorded)


def _named_files(paths: TenantPaths, known: Records) -> dict[str, str | None]:
    """The files that the store names, by their place below the tenant's folder, with the digest that is recorded."""
    found: dict[str, str | None] = {
        f"landing/{file.sha256}": file.sha256
        for file in known.files
        if not known.is_deleted(file) or (paths.landing / file.sha256).is_file()
    }
    for file in known.files:
        facts = known.facts.get(file.sequence)
        if file.staged_path is not None:
            found[file.staged_path] = facts.staged_sha256 if facts else None
        if file.quarantine_path is not None:
            found[file.quarantine_path] = facts.quarantine_sha256 if facts else None
    found |= {entry["path"]: entry["sha256"] for item in known.revisions for entry in item.tables.values()}
    found |= {entry.path: entry.sha256 for entry in known.entries if entry.path}
    found |= {item.evidence_path: item.evidence_sha256 for item in known.closeouts if item.evidence_path}
    for attachment in map(attachments.named, known.decisions):
        if attachment is not None:
            kept = attachments.path_of(paths, attachment.sha256)
            found[kept.relative_to(paths.root).as_posix()] = attachment.sha256
    bundles = [closeout.bundle for closeout in known.closeouts] + [sign_off.bundle for sign_off in known.sign_offs]
    folders = [paths.landing / "mappings", *(paths.root / bundle for bundle in bundles if bundle)]
    for folder in folders:  # the doctor reads what a bundle itself says of its files
        found |= dict.fromkeys(
            (file.relative_to(paths.root).as_posix() for file in folder.rglob("*") if file.is_file()), None
        )
    return found


def _beside(root: Path, folders: frozenset[str]) -> Iterator[Path]:
    """Configuration and keys: every file below a folder but those of `folders`, stores, locks and temporary names."""
    for path in sorted(root.iterdir()):
        if path.name in folders or path.name.startswith((".", *_OF_THE_STORE)) or path.name in _OF_THE_HOST:
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.is_symlink() and not file.name.startswith(".") and file.name != "lock":
                yield file


def _summary(known: Records) -> TenantSummary:
    last = known.entries[-1] if known.entries else None
    return TenantSummary(
        known.tenant.name,
        len(known.files),
        len(known.runs),
        len(known.sealed),
        len(known.decisions),
        0 if last is None else last.first_position + last.events - 1,
    )


# Restoring ----------------------------------------------------------------------------------------------------------


def _read_members(source: Path, folder: Path) -> Backup:
    """Write an archive's files below a folder; InputRejectedError unless they are those of its list, all of them."""
    found: dict[str, _Listed] = {}
    listed: bytes | None = None
    try:
        with _reading(source) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or listed is not None or member.name in found:
                    raise _no_backup(source, f"{member.name} does not belong in one")
                if member.name == _LIST:
                    if member.size > _MOST_LISTED:
                        raise _no_backup(source, f"its list has {member.size:,} bytes")
                    listed = stream.read()
                else:
                    place = _place_of(source, member.name)
                    try:
                        found[member.name] = _write_member(stream, folder, place)
                    except _NO_PLACE as cause:
                        raise _no_backup(source, f"{member.name[:80]!r} is no place in a home") from cause
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as cause:
        raise _no_backup(source, f"it cannot be read to its end ({cause})") from cause
    if listed is None:
        raise _no_backup(source, f"it has no {_LIST} at its end: it was cut off")
    return _checked(source, listed, found)


@contextmanager
def _reading(source: Path) -> Iterator[tarfile.TarFile]:
    """The archive, packed or not; what packs it is read to its checksum, also where the archive ends before."""
    with ExitStack() as opened:
        try:
            plain = opened.enter_context(source.open("rb"))
        except FileNotFoundError as cause:
            raise UsageError(f"{source}: there is no such file") from cause
        except IsADirectoryError as cause:
            raise UsageError(f"{source} is a folder: name the file that `zentra backup` wrote") from cause
        is_packed = plain.peek(len(_GZIP)).startswith(_GZIP)
        stream = opened.enter_context(gzip.GzipFile(fileobj=plain)) if is_packed else plain
        yield opened.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        while stream.read(_PIECE):
            pass


def _place_of(source: Path, name: str) -> PurePosixPath:
    """Where a member goes below the home; nothing leads out of it."""
    place = PurePosixPath(name)
    if place.is_absolute() or not place.parts or ".." in place.parts or any(mark in name for mark in "\\\0"):
        raise _no_backup(source, f"{name!r} is no place in a home")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in place.parts):
        raise _no_backup(source, f"{name[:80]!r}… is a name longer than files have")
    return place


def _write_member(stream: IO[bytes], folder: Path, place: PurePosixPath) -> _Listed:
    path = folder.joinpath(*place.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return _Listed(digest.hexdigest(), size)


def _checked(source: Path, listed: bytes, found: Mapping[str, _Listed]) -> Backup:
    try:
        content = json.loads(listed)
        form = content["form"]
        if form != FORM:
            raise RefusedError(f"{source} is a backup of form {form!r}, and this release reads {FORM}: use its release")
        members = {name: _Listed(each["sha256"], each["bytes"]) for name, each in content["members"].items()}
        backup = Backup(
            content["made_at"],
            content["version"],
            tuple(TenantSummary(**each) for each in content["tenants"]),
            content["files"],
            content["bytes"],
            tuple(content["damaged"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise _no_backup(source, f"its list cannot be read ({cause!r})") from cause
    for name in sorted(found.keys() | members.keys()):
        if found.get(name) != members.get(name):
            what = "is missing" if name not in found else "is not what its list says"
            raise _no_backup(source, f"{name} {what}")
    return backup


def _require_stores(source: Path, stores: Path, tenants: list[str]) -> None:
    """Refuse an archive whose list does not name the tenants whose stores it holds, each once."""
    held = sorted(path.parent.name for path in stores.glob("*/ops.db"))
    if held != sorted(map(str, tenants)):
        raise _no_backup(source, f"its list names the tenants {tenants}, and it holds the stores of {held}")
    for store in (stores / "control.db", *(stores / name / "ops.db" for name in held)):
        if not _is_store(store):
            raise _no_backup(source, f"{store.relative_to(stores.parent)} is no copy of a store")


def _is_store(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE


def _no_backup(source: Path, why: str) -> InputRejectedError:
    return InputRejectedError(f"{source} is no whole backup: {why}; nothing was restored, use another one")


def _place_stores(home: Home, tenants: list[str]) -> None:
    """Give the restored stores their places: files of the folder, or schemas where new homes have theirs."""
    stores = home.root / _STORES
    home.tenants.mkdir(exist_ok=True)
    for tenant in tenants:
        paths = home.tenant(tenant)
        for folder in (
            paths.root,
            paths.providers,
            paths.landing,
            paths.staged,
            paths.lake,
            paths.scratch,
            paths.locks,
        ):
            folder.mkdir(exist_ok=True)
    if database_url() is None:
        (stores / "control.db").rename(home.control_store)
        for tenant in tenants:
            (stores / tenant / "ops.db").rename(home.tenant(tenant).operational_store)
    else:
        _load_stores(stores, home, tenants)
    shutil.rmtree(stores)


def _load_stores(stores: Path, home: Home, tenants: list[str]) -> None:
    """Load the stores into schemas as those of a home without any files yet, and have this home name them."""
    bare = Home(stores / "bare")
    bare.tenants.mkdir(parents=True)
    copying.load_control_store(stores / "control.db", bare)
    for tenant in tenants:
        bare.tenant(tenant).root.mkdir()
        copying.load_operational_store(TenantPaths(stores / tenant), bare.tenant(tenant))
        (bare.tenant(tenant).root / MARKER).rename(home.tenant(tenant).root / MARKER)
    (bare.root / MARKER).rename(home.root / MARKER)
