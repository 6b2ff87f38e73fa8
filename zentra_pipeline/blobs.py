"""Files of a tenant where its hosts share them: pushed before what names them is recorded, pulled before they are read.

Without a `url` in the home's `storage.yml` the tenant's folder is where files are, and every call here returns at once.
With one, the folder is this host's own cache: it may be lost at any time. An object's name carries the digest of its
content and is written once (If-None-Match), so no host ever replaces or removes what another has written, recorded or
not; only retention deletes, what has a tombstone. What is pulled counts only with the digest on record. Does not belong
here: which files a store names (store.shared_files).
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from zentra_pipeline import durable_files, holders, storage
from zentra_pipeline.errors import DamagedFilesError, UnavailableError, UsageError, ZentraError
from zentra_pipeline.settings import Home, TenantPaths

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_AT_ONCE: Final = 8
_INDEX: Final = "cache.jsonl"
_DIGITS: Final = 16  # of the digest in an object's name; what is pulled is compared with all of it


def are_shared(paths: TenantPaths) -> bool:
    """Whether the tenant's files are in an object store, and its folder is a cache."""
    return storage.of_tenant(paths).url is not None


def push(paths: TenantPaths, relative: str | Path, sha256: str) -> None:
    """See that a file, which lies whole under its name, is in the object store before it is recorded.

    UnavailableError where the store does not take it; then nothing may be recorded that names it.
    """
    url = storage.of_tenant(paths).url
    if url is not None:
        _write_once(url, _name(paths, relative, sha256), paths.root / relative)
        _index(paths.root).note(Path(relative).as_posix(), sha256)


def push_as(paths: TenantPaths, relative: str | Path, sha256: str, file: Path) -> None:
    """Like `push`, of what lies in another `file`."""
    url = storage.of_tenant(paths).url
    if url is not None:
        _write_once(url, _name(paths, relative, sha256), file)


def pull(paths: TenantPaths, wanted: Mapping[str, str]) -> None:
    """See that these files are in the folder: path below the tenant's → digest on record.

    A file that is there is compared with its digest the first time it is met in its state, and fetched again where it
    is another: this host may have written what another recorded otherwise. DamagedFilesError for one that is not, or
    not so, in the object store.
    """
    url = storage.of_tenant(paths).url
    if url is None:
        return
    index = _index(paths.root)
    unknown = [name for name, digest in wanted.items() if not index.has(name, digest)]
    _each(unknown, lambda name: _see_to(url, paths, name, wanted[name]))


def _see_to(url: str, paths: TenantPaths, relative: str, sha256: str) -> None:
    file = paths.root / relative
    if not file.is_file() or durable_files.digest_of(file) != sha256:
        _fetch(url, paths, relative, sha256)
    _index(paths.root).note(relative, sha256)


def pull_to(paths: TenantPaths, relative: str | Path, sha256: str, file: Path) -> None:
    """Fetch what was pushed as `relative` to another `file`; its content is the caller's to check."""
    url = storage.of_tenant(paths).url
    assert url is not None, "only what is shared is pulled"
    _read(url, _name(paths, relative, sha256), file, str(relative))


def delete(paths: TenantPaths, relative: str | Path, sha256: str) -> None:
    """Take a file out of the object store for good, after a tombstone of it was recorded; one that is gone stays so.

    Versions that the store keeps of itself, and caches of other hosts, are not reached.
    """
    url = storage.of_tenant(paths).url
    if url is None:
        return
    files, root = _opened(url, os.getpid())
    name = _name(paths, relative, sha256)
    with _explained(url, name), suppress(FileNotFoundError):
        files.rm_file(f"{root}/{name}")


class _Index:
    """What the files of a cache were when their digests were last compared, kept beside them: lines, the last holds.

    A line that cannot be read costs comparing a file once more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / _INDEX
        self._known: dict[str, list[object]] = {}
        with suppress(FileNotFoundError):
            for line in self._file.read_bytes().splitlines():
                with suppress(ValueError):
                    name, *state = json.loads(line)
                    self._known[name] = state

    def has(self, relative: str, sha256: str) -> bool:
        state = self._state(relative, sha256)
        return state is not None and self._known.get(relative) == state

    def note(self, relative: str, sha256: str) -> None:
        state = self._state(relative, sha256)
        if state is None or self._known.get(relative) == state:
            return
        self._known[relative] = state
        with self._file.open("ab") as lines:  # one write a line, whoever else writes
            lines.write(json.dumps([relative, *state]).encode() + b"\n")

    def _state(self, relative: str, sha256: str) -> list[object] | None:
        try:
            found = (self._folder / relative).stat()
        except FileNotFoundError:
            return None
        return [sha256, found.st_size, found.st_mtime_ns, found.st_ino]


@cache
def _index(folder: Path) -> _Index:
    return _Index(folder)


def read_of_home(home: Home, name: str) -> bytes | None:
    """A small file of the home that hosts share; null where there is none, or no host shares anything."""
    url = storage.of_home(home).url
    if url is None:
        return None
    files, root = _opened(url, os.getpid())
    with _explained(url, name):
        try:
            return bytes(files.cat_file(f"{root}/{name}"))
        except FileNotFoundError:
            return None


def claim_of_home(home: Home, name: str, content: bytes) -> None:
    """Write a small file of the home once, for all hosts; UnavailableError where another host was first."""
    url = storage.of_home(home).url
    if url is None:
        return
    files, root = _opened(url, os.getpid())
    with _explained(url, name):
        with suppress(FileExistsError):
            files.pipe_file(f"{root}/{name}", content, mode="create")
        if files.cat_file(f"{root}/{name}") != content:
            raise UnavailableError(f"another host has just made the home in {shown(url)}: do it again")


def _each(names: list[str], step: Callable[[str], None]) -> None:
    if len(names) < 2:
        for name in names:
            step(name)
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pull") as threads:
        list(threads.map(step, names))


def _name(paths: TenantPaths, relative: str | Path, sha256: str) -> str:
    """An object's name below the home's URL: as in the folder, with the digest where the name is not it already."""
    place = PurePosixPath("tenants", paths.root.name, Path(relative).as_posix())
    if place.name == sha256:
        return str(place)
    return str(place.with_name(f"{place.stem}-{sha256[:_DIGITS]}{place.suffix}"))


def _fetch(url: str, paths: TenantPaths, relative: str, sha256: str) -> None:
    """Bring one file into the folder: whole and right under its name, or not at all."""
    final = paths.root / relative
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{holders.file_suffix()}-{threading.get_ident()}.tmp")
    try:
        _read(url, _name(paths, relative, sha256), temporary, relative)
        found = durable_files.digest_of(temporary)
        if found != sha256:
            raise DamagedFilesError(
                f"{relative} in {shown(url)} is not what was recorded: its digest is {found}, recorded is {sha256}; "
                "nothing was read from it: restore the object from a version before"
            )
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def _write_once(url: str, name: str, file: Path) -> None:
    files, root = _opened(url, os.getpid())
    target = f"{root}/{name}"
    with _explained(url, name):
        try:
            files.put_file(str(file), target, mode="create")
        except FileExistsError:  # the name carries the digest: these bytes, or the beginning of them
            if files.info(target)["size"] != file.stat().st_size:
                files.put_file(str(file), target)


def _read(url: str, name: str, file: Path, relative: str) -> None:
    files, root = _opened(url, os.getpid())
    with _explained(url, name):
        try:
            files.get_file(f"{root}/{name}", str(file))
        except FileNotFoundError as cause:
            raise DamagedFilesError(
                f"{relative} is not in {shown(url)}, though it is recorded: restore the object {name}"
            ) from cause


@contextmanager
def _explained(url: str, name: str) -> Iterator[None]:
    """Say of a fault of the object store where it was and what to do."""
    try:
        yield
    except ZentraError:
        raise
    except PermissionError as cause:
        raise UnavailableError(
            f"{shown(url)} does not allow {name}: {_said(cause)}; correct the credentials or their rights, then do it "
            "again"
        ) from cause
    except Exception as cause:  # each kind of store has errors of its own
        raise UnavailableError(
            f"{shown(url)} cannot be used for {name}: {_said(cause)}; nothing was recorded: do it again when it can"
        ) from cause


def _said(cause: Exception) -> str:
    return " ".join(str(cause).split()) or type(cause).__name__


@cache
def _opened(url: str, process: int) -> "tuple[AbstractFileSystem, str]":
    """The file system behind a URL, and the place in it; a fork opens its own."""
    import fsspec

    del process
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as cause:
        raise UsageError(
            f"storage.yml: {shown(url)} cannot be opened ({_said(cause)}); for s3:// install zentra[hosts]"
        ) from cause
    return files, str(root).rstrip("/")


def shown(url: str) -> str:
    """A URL in messages, without user, password or options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
