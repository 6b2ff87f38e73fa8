"""Files attached to comments: checked, kept under their SHA-256, found again through the decision that names them.

The decision is in the log and in what is sealed; the bytes are beside it, so that a seal's digest vouches for them.
Does not belong here: recording the comment (record), handing a file out (api, console).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import blobs, durable_files
from zentra_pipeline.errors import InputRejectedError, NotFoundError, UsageError, VerificationError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.decisions import Decision

DETAIL: Final = "attachment"
MOST_BYTES: Final = 10 * 1024 * 1024
MOST_NAME: Final = 200


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _begins(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(beginnings)


_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# What may be attached, by the name's ending: its media type, and what its bytes must be.
_TYPES: Final[Mapping[str, tuple[str, Callable[[bytes], bool]]]] = {
    ".pdf": ("application/pdf", _begins(b"%PDF-")),
    ".png": ("image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    ".jpg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    ".jpeg": ("image/jpeg", _begins(b"\xff\xd8\xff")),
    ".xlsx": (_XLSX, _begins(b"PK\x03\x04")),
    ".csv": ("text/csv", _is_text),
    ".txt": ("text/plain", _is_text),
    ".eml": ("message/rfc822", _is_text),
}
ENDINGS: Final = tuple(_TYPES)


@dataclass(frozen=True)
class Attachment:
    """A file as the log names it: `name` is what its sender called it and never part of a path, `size` in bytes."""

    sha256: str
    name: str
    media_type: str
    size: int

    def content(self) -> dict[str, Any]:
        """The attachment as the log and a bundle have it."""
        return asdict(self)


def keep(paths: TenantPaths, name: str, content: bytes) -> Attachment:
    """Keep a file under its digest; the same bytes again are kept once.

    UsageError for a name that cannot be shown or whose ending is not allowed, InputRejectedError for a file that is
    empty, too large, or not what its name says.
    """
    if not name or len(name) > MOST_NAME or not name.isprintable() or {"/", "\\"} & set(name):
        raise UsageError(f"the name of an attachment has 1 to {MOST_NAME} printable characters and no slash")
    ending = Path(name).suffix.lower()
    if ending not in _TYPES:
        raise UsageError(f"{name!r} cannot be attached: use one of {', '.join(ENDINGS)}")
    media_type, is_what_it_says = _TYPES[ending]
    if not content:
        raise InputRejectedError(f"{name} is empty")
    if len(content) > MOST_BYTES:
        raise InputRejectedError(f"{name} has {len(content):,} bytes, and {MOST_BYTES:,} are allowed")
    if not is_what_it_says(content):
        raise InputRejectedError(f"{name} is not what its name says: its content is no {ending} file")
    digest = hashlib.sha256(content).hexdigest()
    path = path_of(paths, digest)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:  # others' bytes are put right
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.write_durably(path, content)
    blobs.push(paths, path.relative_to(paths.root), digest)
    return Attachment(digest, name, media_type, len(content))


def of_bundle(paths: TenantPaths, bundle: Path) -> dict[str, Path]:
    """The files that a sealed bundle names, by what they are called in it; VerificationError for changed ones."""
    named_in = [json.loads(line) for line in (bundle / "files" / "decisions.jsonl").read_bytes().splitlines()]
    digests = {row[DETAIL]["sha256"] for row in named_in if row.get(DETAIL)}
    for digest in sorted(digests):
        _read(paths, digest)
    return {f"attachments/{digest}": path_of(paths, digest) for digest in sorted(digests)}


def path_of(paths: TenantPaths, sha256: str) -> Path:
    """Where a file of this digest is kept."""
    return paths.attachments / sha256


def named(decision: Decision) -> Attachment | None:
    """What a decision has attached."""
    found = decision.details.get(DETAIL)
    return None if found is None else Attachment(**found)


def find(paths: TenantPaths, log: Sequence[Decision], sha256: str) -> tuple[Attachment, bytes]:
    """A file that a decision of this log names; NotFoundError for any other, VerificationError for changed bytes."""
    attachment = next((each for each in map(named, log) if each is not None and each.sha256 == sha256), None)
    if attachment is None:
        raise NotFoundError("there is no such attachment")
    return attachment, _read(paths, attachment.sha256)


def _read(paths: TenantPaths, sha256: str) -> bytes:
    blobs.pull(paths, {f"{paths.attachments.name}/{sha256}": sha256})
    try:
        content = path_of(paths, sha256).read_bytes()
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VerificationError(f"attachment {sha256[:12]}… is not what was attached: restore it from a backup")
    return content
