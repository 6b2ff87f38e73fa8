"""Sealed bundles where hosts share them: one zip each, pushed before the seal is recorded, unpacked where it is read.

A bundle vouches for itself: its seal is the one on record, and every file is as the seal lists it. Making bundles and
judging signatures does not belong here (seal, verify).
"""

import json
import tempfile
import zipfile
import zlib
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import blobs, holders
from zentra_pipeline.closeout import bundle_zip, seal
from zentra_pipeline.errors import DamagedFilesError
from zentra_pipeline.settings import TenantPaths

_FILES: Final = "files"
_BLOCK: Final = 1 << 20
_MOST_OF_A_SEAL: Final = 64 << 20
# What a zip that is damaged, packed otherwise or encrypted ends in.
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)


def push(paths: TenantPaths, bundle: Path, seal_digest: str) -> None:
    """See that a sealed bundle is in the object store before its seal is recorded; nothing where no host shares it."""
    if not blobs.are_shared(paths):
        return
    paths.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=paths.scratch) as folder:
        packed = Path(folder) / "bundle.zip"
        bundle_zip.write_zip(bundle, packed, bundle.name)
        blobs.push_as(paths, _packed(bundle.relative_to(paths.root)), seal_digest, packed)


def pull(paths: TenantPaths, relative: str | None, seal_digest: str | None) -> None:
    """See that a recorded bundle is in the tenant's folder, under the seal that is on record.

    DamagedFilesError where the object store has another one, or none.
    """
    if relative is None or seal_digest is None or not blobs.are_shared(paths):
        return
    bundle = paths.root / relative
    if bundle.is_dir() and _seal_of(bundle)[0] == seal_digest:
        return
    paths.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=paths.scratch) as folder:
        packed, unpacked = Path(folder) / "bundle.zip", Path(folder) / "unpacked"
        blobs.pull_to(paths, _packed(Path(relative)), seal_digest, packed)
        if not _unpack(packed, unpacked, bundle.name, seal_digest):
            raise DamagedFilesError(
                f"the bundle {relative} in the object store is not the one on record ({seal_digest}): restore the "
                "object from a version before"
            )
        if bundle.is_dir():  # what this host had begun, and another sealed
            bundle.rename(Path(folder) / f"other-{holders.file_suffix()}")
        bundle.parent.mkdir(parents=True, exist_ok=True)
        unpacked.rename(bundle)


def _packed(bundle: Path) -> Path:
    return bundle.with_name(f"{bundle.name}.zip")


def _unpack(packed: Path, folder: Path, name: str, seal_digest: str) -> bool:
    """Write a packed bundle to a new folder; whether it is the one with this seal, whole and with nothing beside.

    No more is written than the seal on record lists, whatever the zip says: nobody fills a host's disk by it.
    """
    (folder / _FILES).mkdir(parents=True)
    try:
        with zipfile.ZipFile(packed) as archive:
            if not _extract(archive, f"{name}/{seal.SEAL_FILE}", folder / seal.SEAL_FILE, _MOST_OF_A_SEAL):
                return False
            digest, listed = _seal_of(folder)
            if digest != seal_digest:
                return False
            names = sorted(f"{name}/{file}" for file in (seal.SEAL_FILE, *listed))
            if sorted(archive.namelist()) != names:
                return False
            sizes = {file: int(each["size"]) for file, each in listed.items()}
            are_of_size = all(_extract(archive, f"{name}/{file}", folder / file, sizes[file]) for file in listed)
            return are_of_size and listed == seal.describe_files(folder)
    except _UNREADABLE as cause:
        raise DamagedFilesError(f"a packed bundle cannot be read ({cause}): restore the object") from cause


def _extract(archive: zipfile.ZipFile, member: str, file: Path, most: int) -> bool:
    """Write a member to a new file; whether it has no more bytes than these."""
    with archive.open(member) as source, file.open("xb") as target:
        written = 0
        while block := source.read(_BLOCK):
            written += len(block)
            if written > most:
                return False
            target.write(block)
    return True


def _seal_of(bundle: Path) -> tuple[str | None, Mapping[str, Mapping[str, Any]]]:
    """The digest of a bundle's seal, and the files that it lists; null and none where it cannot be read."""
    try:
        payload = b64decode(json.loads((bundle / seal.SEAL_FILE).read_bytes())["payload"])
        return seal.seal_digest(payload), json.loads(payload)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}
