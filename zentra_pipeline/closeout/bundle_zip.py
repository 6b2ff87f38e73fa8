"""A sealed bundle as one zip to hand out: the same bundle gives the same bytes. Its content is not known here."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

# The earliest that a zip can say: when it was packed is no fact of the bundle.
_PACKED_AT: Final = (1980, 1, 1, 0, 0, 0)


def write_zip(bundle: Path, file: Path, folder: str, beside: Mapping[str, Path] | None = None) -> None:
    """Write a bundle's files below `folder` of a new zip, and with them those of `beside` under these names."""
    found = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted((found | dict(beside or {})).items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _PACKED_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)
