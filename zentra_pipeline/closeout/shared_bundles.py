"""Sealed bundles where hosts share them: one zip each, pushed before the seal is recorded, unpacked where it is read.

A bundle vouches for itself: its seal is the one on record, and every file is as the seal lists it. Making bundles and
judging signatures does not belong here (seal, verify).
"""

import json
import shutil
import tempfile
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Final

from zentra_pipeline import blobs, holders
from zentra_pipeline.closeout import bundle_zip, seal
from zentra_pipeline.errors import DamagedFilesError
from zentra_pipeline.settings import TenantPaths

_FILES: Final = "files"


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
        _unpack(packed, unpacked, bundle.name)
        digest, listed = _seal_of(unpacked)
        if digest != seal_digest or listed != seal.describe_files(unpacked):
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


def _unpack(packed: Path, folder: Path, name: str) -> None:
    """Write the members of a packed bundle, which are its seal and its files; any other name is damage."""
    (folder / _FILES).mkdir(parents=True)
    try:
        with zipfile.ZipFile(packed) as archive:
            for member in archive.namelist():
                *place, last = member.split("/")
                if place not in ([name], [name, _FILES]) or last in ("", ".", ".."):
                    raise DamagedFilesError(f"the packed bundle has a member {member!r}, which no bundle has")
                with archive.open(member) as source, folder.joinpath(*place[1:], last).open("xb") as target:
                    shutil.copyfileobj(source, target)
    except zipfile.BadZipFile as cause:
        raise DamagedFilesError(f"a packed bundle cannot be read ({cause}): restore the object") from cause


def _seal_of(bundle: Path) -> tuple[str | None, object]:
    """The digest of a bundle's seal, and the files that it lists; null where it cannot be read."""
    try:
        payload = b64decode(json.loads((bundle / seal.SEAL_FILE).read_bytes())["payload"])
        return seal.seal_digest(payload), json.loads(payload)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
