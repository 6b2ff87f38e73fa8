"""The landing zone: bytes as received, immutable, named by their SHA-256; what they mean does not belong here.

A file is landed in two steps, so that refused bytes never stay: copied to a temporary name while it is hashed, and put
in place when the command commits.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from zentra_pipeline import blobs, durable_files
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import TenantPaths

_BLOCK = 1024 * 1024
_ARRIVING = "arriving"


@dataclass(frozen=True)
class Landed:
    """Bytes of a file in the landing zone: where they are now, their digest and size."""

    path: Path
    sha256: str
    byte_size: int


def land(paths: TenantPaths, source: Path) -> Landed:
    """Copy a file into the landing zone under its digest; bytes that are there already are kept as they are."""
    return keep(paths, receive(paths, source, 0))


def receive(paths: TenantPaths, source: Path, position: int) -> Landed:
    """Copy a file to a temporary name in one pass while hashing it; `position` distinguishes files of one command.

    Only the holder of the ingest lock may call this. UsageError when the source is no readable regular file.
    """
    if source.exists() and not source.is_file():
        raise UsageError(f"{source}: it is not a regular file; name a file that can be read")
    if not source.is_file():
        raise UsageError(f"{source}: there is no such file; name a file that can be read")
    arriving = paths.landing / _ARRIVING
    arriving.mkdir(parents=True, exist_ok=True)
    target = arriving / f"{position:06d}"
    digest, size = hashlib.sha256(), 0
    try:
        stream = source.open("rb")
    except OSError as cause:
        raise UsageError(f"{source}: cannot be read ({cause.strerror}); name a file that can be read") from cause
    with stream, target.open("wb") as copy:
        while block := stream.read(_BLOCK):
            digest.update(block)
            copy.write(block)
            size += len(block)
        copy.flush()
        os.fsync(copy.fileno())
    return Landed(target, digest.hexdigest(), size)


def keep(paths: TenantPaths, received: Landed) -> Landed:
    """Give received bytes their lasting name; a copy that is there already stays, unless it is damaged."""
    target = paths.landing / received.sha256
    if digest_of(target) == received.sha256:
        received.path.unlink()
    else:
        received.path.replace(target)
        durable_files.sync_folder(paths.landing)
    blobs.push(paths, Path("landing", received.sha256), received.sha256)
    return Landed(target, received.sha256, received.byte_size)


def digest_of(path: Path) -> str | None:
    """Hex SHA-256 of a file's bytes; null where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def discard_arriving(paths: TenantPaths) -> None:
    """Remove what commands that died or were refused left under temporary names; only under the ingest lock."""
    for left in (paths.landing / _ARRIVING).glob("*"):
        left.unlink()
